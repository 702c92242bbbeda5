"""Shadow models all at once, in groups, one by one and with scikit-learn; LiRA from the data to the scores."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from scipy.stats import norm
from sklearn.neural_network import MLPClassifier
from torch import Tensor, nn

from benchmarks import harness
from benchmarks.victims import mlp
from modelsec_course import data, ensembles, membership, models, runtime

BATCH, LR = 64, 2e-3
ABOUT = """Networks on random halves of scikit-learn's digits (1,437 rows), Adam, batches of 64.
seconds: median over the rounds.  ours ÷ it: median and quartiles of the ratios within a round; below 1, ours is faster.
one by one: the fastest ordinary loop over models and batches that we know, with PyTorch's fused Adam.
scikit-learn: MLPClassifier with the same layers, batches and epochs, one after the other.
success: mean accuracy on the 360 test digits; for LiRA the members found at 1 % false accusations."""


def contests(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """64 small MLPs, 16 small CNNs, and an audit of eight victims by 64 shadow models."""
    few, some, epochs = (3, 2, 1) if quick else (64, 16, 10)
    yield _training(f"{few} MLPs 64-128-10, {epochs} epochs", mlp, few, epochs, device, scikit=device.type == "cpu")
    yield _training(f"{some} CNNs, {epochs} epochs", small_cnn, some, epochs, device)
    yield _training(f"{some} CNNs of the course, {epochs} epochs", models.cnn, some, epochs, device)
    yield _audit(12 if quick else few, 3 * epochs, device)


def small_cnn() -> nn.Sequential:
    """Two convolutions, each pooled: 16 and 32 channels."""
    layers = []
    for before, width in ((1, 16), (16, 32)):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def one_by_one(architecture: Callable, x: Tensor, y: Tensor, members: Tensor, epochs: int) -> list[nn.Module]:
    """The ordinary loop: for each model, epoch and batch a forward pass, a backward pass and a step."""
    nets, draw = [], runtime.generator(0)
    for own in members:
        net, mine = architecture().to(x.device, memory_format=torch.channels_last), (x[own], y[own])
        optimiser = torch.optim.Adam(net.parameters(), LR, fused=True)
        for _ in range(epochs):
            for batch in torch.randperm(len(mine[1]), generator=draw).to(x.device).split(BATCH):
                loss = F.cross_entropy(net(mine[0][batch]), mine[1][batch])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
        nets.append(net)
    return nets


def _training(
    title: str, architecture: Callable, count: int, epochs: int, device: torch.device, scikit: bool = False
) -> harness.Contest:
    digits = data.load("digits").to(device)
    x, y = digits.x_train, digits.y_train
    members = _halves(count, len(x), device)
    together = partial(
        ensembles.train, architecture, x, y, members, epochs=epochs, lr=LR, batch_size=BATCH, progress=False
    )
    runs = {
        harness.OURS: together,
        "in groups of a quarter": partial(together, chunk=max(1, count // 4)),
        "one by one": partial(one_by_one, architecture, x, y, members, epochs),
    }
    if scikit:
        runs["scikit-learn"] = partial(_scikit, x, y, members, epochs)

    def judge(trained) -> dict[str, float]:
        if isinstance(trained, ensembles.Shadows):
            trained = [trained.model(i) for i in range(len(trained))]
        right = [(net(digits.x_test).argmax(1) == digits.y_test).float().mean() for net in trained]
        return {"success": torch.stack(right).mean().item()}

    return harness.Contest(title, runs, judge)


def _scikit(x: Tensor, y: Tensor, members: Tensor, epochs: int) -> list[Callable[[Tensor], Tensor]]:
    nets, rows, labels = [], x.flatten(1).numpy(), y.numpy()
    for own in members.numpy():
        net = MLPClassifier((128,), alpha=0, batch_size=BATCH, learning_rate_init=LR, max_iter=epochs, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            net.fit(rows[own], labels[own])
        nets.append(lambda z, net=net: torch.from_numpy(net.predict_proba(z.flatten(1).numpy())))
    return nets


def _audit(shadows: int, epochs: int, device: torch.device) -> harness.Contest:
    """Eight victims, audited: training, answers, scores."""
    digits = data.load("digits").to(device)
    x, y = digits.x_train[:600], digits.y_train[:600].clone()
    y[::10] = (y[::10] + 1) % 10  # one label in ten is wrong
    members = _halves(shadows + 8, 600, device)

    def ours() -> Tensor:
        trained = ensembles.train(architecture=mlp, x=x, y=y, members=members, epochs=epochs, lr=LR, progress=False)
        odds = membership.logit_scale(trained.logits(x), y)
        return membership.lira(odds[:8], odds[8:], members[8:], variance="each")

    def loops() -> Tensor:
        nets = one_by_one(mlp, x, y, members, epochs)
        odds = torch.stack([membership.logit_scale(net(x).detach(), y) for net in nets]).cpu().numpy()
        known, scores = members[8:].cpu().numpy(), torch.zeros(8, 600)
        for i in range(600):
            groups = [odds[8:, i][chosen] for chosen in (known[:, i], ~known[:, i])]
            inside, outside = (norm(group.mean(), group.std(ddof=1) + 1e-3) for group in groups)
            scores[:, i] = torch.from_numpy(inside.logpdf(odds[:8, i]) - outside.logpdf(odds[:8, i]))
        return scores.to(device)

    def judge(scores: Tensor) -> dict[str, float]:
        return {"success": membership.tpr_at_fpr(scores.nan_to_num(0), members[:8], 0.01).value}

    title = f"LiRA, {shadows} shadow MLPs, {epochs} epochs, 600 records, 8 victims"
    return harness.Contest(title, {harness.OURS: ours, "one by one, records in a loop": loops}, judge)


def _halves(count: int, n: int, device: torch.device) -> Tensor:
    return (torch.rand(count, n, generator=runtime.generator(1)) < 0.5).to(device)
