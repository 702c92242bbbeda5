"""Evaluating and buying robustness: strong attacks, an ensemble, certification and adversarial training.

The bound is what the network itself costs: as many passes as a method asks for when nothing falls on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import harness, peers, victims
from benchmarks.contests import beside_peers
from modelsec_course import data, models, robustness, runtime, training, zoo
from modelsec_course.evasion import apgd, ensemble, hop_skip_jump, square_attack

EPS, EPS_L2, EPS_DIGITS, SIGMA = victims.EPS, 1.0, 0.15, 0.1
ABOUT = """Pictures (n, 3, 32, 32) as in the suite `evasion`, and scikit-learn's digits (n, 1, 8, 8) for the ensemble.
seconds: median over the rounds.  ours ÷ it: median and quartiles of the ratios within a round; below 1, ours is faster.
success: share of all inputs that are misclassified within budget, recounted on the returned tensor by one function.
distance: median L2 length over the inputs that were right before; an input that was not broken counts as infinite.
HopSkipJump: foolbox and ART take 16 iterations, about 5,000 queries, and have no budget; ours has 5,000, exactly.
The ensemble: worst_case beside torchattacks' AutoAttack (which runs FAB as well) on the same defended model, each with
the 100 iterations of Croce & Hein (2020), and beside AutoAttack as it comes: there torchattacks takes 10."""


def contests(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """APGD, Square, HopSkipJump, the ensemble on honest and on fake defences, certification, an adversarial epoch."""
    few, many = (4, 8) if quick else (16, 128)
    steps, queries = (2, 5) if quick else (50, 500)
    for kind in ("standard", "resisting"):
        contest = partial(beside_peers, kind, victims.load(kind, device, quick))
        climb = {"eps": EPS, "steps": steps}
        yield contest("apgd", f"APGD-{steps}, cross-entropy", many, apgd, steps + 1, **climb)
        every = partial(apgd, loss="dlr-targeted")
        yield contest("apgd_targeted", f"APGD-{steps}, every target", many // 2, every, 9 * (steps + 1), **climb)
        ask = {"queries": queries, "backwards": 0}
        yield contest("square", f"Square, L∞, {queries} queries", many, square_attack, queries, eps=EPS, **ask)
        blind = partial(square_attack, norm="l2")
        yield contest("square_l2", f"Square, L2, {queries} queries", many, blind, queries, eps=EPS_L2, **ask)
    for name in ("digits-cnn", "digits-cnn-pgd", "digits-cnn-trades"):
        contest = partial(beside_peers, name, zoo.load(name, device=device), "square")
        title, shown = f"Square, L∞ {EPS_DIGITS}, {queries} queries", _digits(device, many)
        yield contest(title, many, _squares, queries, eps=EPS_DIGITS, **shown, **ask)
        half = partial(_squares, share=0.5)
        yield contest(f"{title}, ours {queries // 2}", many, half, queries // 2, eps=EPS_DIGITS, **shown, **ask)
    contest = partial(beside_peers, "standard", victims.load("standard", device, quick))
    most, rounds = (60, 1) if quick else (5000, 16)
    jump = partial(_jump, most=most)
    yield contest("hop_skip_jump", f"HopSkipJump, {most:,} queries", few, jump, most, steps=rounds, backwards=0)
    yield from _ensembles(device, quick)
    yield _certification(device, quick)
    yield _epoch(device, quick)


def _digits(device: torch.device, n: int) -> dict[str, Tensor]:
    held_out = data.load("digits").to(device)
    return {"x": held_out.x_test[:n], "y": held_out.y_test[:n]}


def _squares(model: nn.Module, x: Tensor, y: Tensor, *, eps: float, queries: int, share: float = 1.0) -> Tensor:
    return square_attack(model, x, y, eps=eps, queries=int(share * queries), at_once=8)


def _jump(model: nn.Module, x: Tensor, y: Tensor, *, most: int, steps: int) -> Tensor:
    return hop_skip_jump(model, x, y, queries=most)


def _ensembles(device: torch.device, quick: bool) -> Iterator[harness.Contest]:
    """On the zoo's digits, honest and trained to resist, and on the planted fakes with the attack that knows each."""
    n = 2 if quick else 40
    inputs = _digits(device, n)
    x, y = inputs["x"], inputs["y"]
    plain = zoo.load("digits-cnn", device=device)
    suspects = {name: (zoo.load(name, device=device), None) for name in ("digits-cnn-pgd", "digits-cnn-trades")}
    suspects = {"digits-cnn": (plain, None)} | suspects
    suspects |= {name: (fake.defended, fake.adaptive) for name, fake in robustness.planted(plain).items()}
    if quick:  # an honest one and a fake one: torchattacks' FAB takes seconds each
        suspects = {name: suspects[name] for name in ("digits-cnn", "input noise")}
    options = {"eps": EPS_DIGITS, "steps": 2 if quick else 100, "queries": 5 if quick else 5000}
    passes = options["steps"] + 1 + 9 * (options["steps"] + 1)
    for name, (model, adaptive) in suspects.items():
        ours = partial(_worst, adaptive=adaptive, options=options)
        title = f"Ensemble, digits, L∞ {EPS_DIGITS}"
        contest = beside_peers(name, model, "auto", title, n, lambda m, x, y, eps, steps, ours=ours: ours(m, x, y),
                               passes, eps=EPS_DIGITS, steps=options["steps"], **inputs)  # fmt: skip
        if peers.installed("torchattacks"):
            as_it_comes = peers.find("torchattacks", "auto", model, x, y, eps=EPS_DIGITS)
            contest = replace(contest, runs=contest.runs | {"torchattacks, 10 iterations": as_it_comes})
        yield contest


def _worst(model: nn.Module, x: Tensor, y: Tensor, *, adaptive: nn.Module | None, options: dict) -> Tensor:
    attacks = dict(ensemble(**options))
    if adaptive is not None:  # whoever knows the defence begins with it
        attack = robustness.knowing(adaptive, eps=options["eps"])
        attacks = {"adaptive": attack} | attacks
    return robustness.worst_case(model, x, y, attacks, eps=options["eps"]).x_adv


def _certification(device: torch.device, quick: bool) -> harness.Contest:
    model = victims.load("standard", device, quick)
    n, inputs = (200, 2) if quick else (10_000, 4)
    _, _, x, _ = victims.pictures()
    x = x[:inputs].to(device)
    draw = {"n0": 100, "n": n, "sigma": SIGMA, "alpha": 0.001}
    runs = {harness.OURS: lambda: robustness.certify(model, x, **draw)}
    missing = [] if peers.installed("ART") else ["ART"]
    if not missing:
        runs["ART"] = _art_smoothing(model, x, n)
    runs[f"bound: {n + 100:,} × forward of each input"] = lambda: _forwards(model, x, n + 100)
    return harness.Contest(f"Certification, n = {n:,}, {inputs} inputs", runs, lambda result: {}, missing)


def _art_smoothing(model, x, n):
    from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing

    smoothed = PyTorchRandomizedSmoothing(
        model=model, loss=nn.CrossEntropyLoss(), input_shape=tuple(x.shape[1:]), nb_classes=10, clip_values=(0.0, 1.0),
        device_type="gpu" if x.is_cuda else "cpu", sample_size=100, scale=SIGMA, alpha=0.001,
    )  # fmt: skip
    pictures = x.cpu().numpy()
    return lambda: smoothed.certify(pictures, n=n, batch_size=1000)


@torch.no_grad()
def _forwards(model: nn.Module, x: Tensor, n: int) -> None:
    with models.frozen(model):
        for one in x:
            for left in range(n, 0, -1000):
                model(one.expand(min(left, 1000), *one.shape))


def _epoch(device: torch.device, quick: bool) -> harness.Contest:
    """One epoch of PGD-7 training, each from the same weights."""
    n, batch = 32 if quick else 512, 64
    x, y, _, _ = victims.pictures()
    x, y = x[:n].to(device), y[:n].to(device)

    def fresh() -> nn.Module:
        return models.initialise(victims.network(), runtime.generator(0)).to(device)

    def ours() -> None:
        loss = robustness.adversarial(EPS, steps=7)
        training.fit(fresh(), x, y, epochs=1, batch_size=batch, loss=loss, progress=False)

    def by_hand(worst) -> None:
        net = fresh().train()
        optimiser, find = torch.optim.Adam(net.parameters(), 2e-3), worst(net)
        for some, labels in zip(x.split(batch), y.split(batch), strict=True):
            loss = F.cross_entropy(net(find(some, labels)), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def torchattacks() -> None:
        import torchattacks as library

        by_hand(lambda net: library.PGD(net, eps=EPS, alpha=2.5 * EPS / 7, steps=7))

    def art() -> None:
        from art.defences.trainer import AdversarialTrainerMadryPGD

        net = fresh()
        wrapped = peers.art_classifier(net, x, optimizer=torch.optim.Adam(net.parameters(), 2e-3))
        trainer = AdversarialTrainerMadryPGD(
            wrapped, nb_epochs=1, batch_size=batch, eps=EPS, eps_step=2.5 * EPS / 7, max_iter=7
        )
        trainer.fit(x.cpu().numpy(), F.one_hot(y, 10).cpu().numpy())

    everybody = {"torchattacks": torchattacks, "ART": art}
    runs = {harness.OURS: ours} | {name: run for name, run in everybody.items() if peers.installed(name)}
    runs["bound: 7 × (forward + backward to x), one step"] = lambda: _passes(fresh(), x, y, batch)
    missing = [name for name in everybody if not peers.installed(name)]
    return harness.Contest(f"An epoch of PGD-7 training, {n} inputs", runs, lambda result: {}, missing)


def _passes(net: nn.Module, x: Tensor, y: Tensor, batch: int) -> None:
    """What seven gradients in x and one in the weights cost, with nothing between them."""
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for some, labels in zip(x.split(batch), y.split(batch), strict=True):
        with models.frozen(net):
            for _ in range(7):
                at = some.detach().requires_grad_()
                torch.autograd.grad(F.cross_entropy(net(at), labels), at)
        optimiser.zero_grad()
        F.cross_entropy(net(some), labels).backward()
        optimiser.step()
