"""Copying a model end to end: a knock-off, beside an ordinary loop, scikit-learn and ART; and a label-only search."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks import harness, peers, victims
from modelsec_course import data, extraction, models, runtime, training

LR, BATCH = 5e-3, 64
ABOUT = """A network of 128 hidden units on scikit-learn's digits (n, 1, 8, 8), trained on 700, is copied from its
answers to blends of 100 public ones: asking and training. Every student has its shape, optimiser, batches and epochs.
seconds: median over the rounds.  ours ÷ it: median and quartiles of the ratios within a round; below 1, ours is faster.
success: share of 360 test digits on which copy and victim agree.  distance: the boundary's angle to the true one."""


def contests(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """A copy from probabilities, a copy from labels, and a linear boundary from labels."""
    digits = data.load("digits").to(device)
    company = fresh(0, device)
    training.fit(company, digits.x_train[:700], digits.y_train[:700], epochs=2 if quick else 30, progress=False)
    queries, epochs = (64, 1) if quick else (1000, 40)
    x = extraction.mixtures(digits.x_train[-100:], queries, generator=runtime.generator(1))
    judge = partial(_agreement, company, digits.x_test)
    for answers in ("probabilities", "label"):
        victim = extraction.Victim(company, answers=answers)
        runs = {
            harness.OURS: partial(_ours, victim, x, epochs),
            "ordinary loop (DataLoader)": partial(_by_hand, victim, x, epochs),
        }
        if answers == "label":
            runs["scikit-learn, MLPClassifier"] = partial(_scikit_learn, victim, x, epochs)
        missing = [] if peers.installed("ART") else ["ART"]
        if not missing:
            runs["ART, KnockoffNets"] = partial(_art, company, x, epochs, answers == "probabilities")
        runs["bound: the steps alone"] = partial(_steps, x, epochs)
        yield harness.Contest(f"Knock-off, {queries:,} queries, {answers}, {epochs} epochs", runs, judge, missing)
    yield _boundary(10 if quick else 40)


def fresh(seed: int, device: torch.device) -> nn.Module:
    return models.initialise(victims.mlp(), runtime.generator(seed)).to(device)


def _agreement(company, x, student) -> dict[str, float]:
    return {} if student is None else {"success": extraction.agreement(company, student, x)}


def _ours(victim, x: Tensor, epochs: int) -> nn.Module:
    return extraction.knockoff(victim, x, fresh(2, x.device), epochs=epochs, lr=LR, progress=False)


def _by_hand(victim, x: Tensor, epochs: int) -> nn.Module:
    """What one writes first."""
    student, answers = fresh(2, x.device), victim(x)
    optimiser = torch.optim.Adam(student.parameters(), LR)
    loader = DataLoader(TensorDataset(x, answers), BATCH, shuffle=True, generator=runtime.generator(0))
    for _ in range(epochs):
        for some, said in loader:
            loss = F.cross_entropy(student(some), said)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return student.eval()


def _scikit_learn(victim, x: Tensor, epochs: int):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    fitted = MLPClassifier(
        128, batch_size=BATCH, learning_rate_init=LR, alpha=0, max_iter=epochs, n_iter_no_change=epochs, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(x.flatten(1).cpu().numpy(), victim(x).cpu().numpy())

    def logits(z: Tensor) -> Tensor:
        said = torch.as_tensor(fitted.predict(z.flatten(1).cpu().numpy()), device=z.device)
        return F.one_hot(said, 10).float()

    return logits


def _art(company: nn.Module, x: Tensor, epochs: int, probabilities: bool) -> nn.Module:
    library = importlib.import_module("art.attacks.extraction")
    student = fresh(2, x.device)
    victim = peers.art_classifier(_Softmax(company), x)
    copy = peers.art_classifier(student, x, optimizer=torch.optim.Adam(student.parameters(), LR))
    attack = library.KnockoffNets(
        victim, batch_size_fit=BATCH, batch_size_query=len(x), nb_epochs=epochs, nb_stolen=len(x),
        sampling_strategy="random", use_probability=probabilities, verbose=False,
    )  # fmt: skip
    attack.extract(x.cpu().numpy(), thieved_classifier=copy)
    return student.eval()


class _Softmax(nn.Module):
    """ART's attack takes what its classifier returns for probabilities."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).softmax(1)


def _steps(x: Tensor, epochs: int) -> None:
    """Forward, backward and Adam on batches that are cut already."""
    student, said = fresh(2, x.device), torch.zeros(BATCH, dtype=torch.int64, device=x.device)
    optimiser = torch.optim.Adam(student.parameters(), LR, fused=True)
    for _ in range(epochs):
        for some in x.split(BATCH):
            optimiser.zero_grad()
            F.cross_entropy(student(some), said[: len(some)]).backward()
            optimiser.step()


def _boundary(bits: int) -> harness.Contest:
    """Thirty weights on the CPU in float64: all lines at once, beside one line after the other."""
    draw = runtime.generator(3)
    w = torch.randn(30, generator=draw, dtype=torch.float64)
    labels = lambda x: x @ w > 0  # noqa: E731

    def one_by_one() -> Tensor:
        """The same lines and halvings, a query at a time."""
        sides = torch.linalg.qr(torch.cat([w[:, None], torch.randn(30, 29, generator=draw, dtype=w.dtype)], 1)).Q.T
        points = []
        for k in range(30):
            beside = sides[k] if k else 0 * w
            low, high = beside - w, beside + w
            for _ in range(bits):
                middle = (low + high) / 2
                low, high = (low, middle) if labels(middle[None])[0] else (middle, high)
            points.append((low + high) / 2)
        points = torch.stack(points)
        return torch.linalg.svd(points[1:] - points[0]).Vh[-1]

    runs = {
        harness.OURS: lambda: extraction.find_hyperplane(labels, w, -w, bits=bits)[0],
        "one line after the other": one_by_one,
    }
    found = lambda v: {"distance": min(extraction.angle(v, w), extraction.angle(-v, w))}  # noqa: E731
    return harness.Contest(f"Linear boundary from labels, 30 weights, {bits} bits", runs, found)
