"""Randomised smoothing: a class and the radius within which it is proved, or an abstention."""

from __future__ import annotations

import functools

import torch
from scipy.stats import beta as beta_distribution
from scipy.stats import norm
from torch import nn

from modelsec_course import robustness, runtime, statistics
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import argument, expect_tensors


class _Always(nn.Module):
    """Class 1, whatever it is shown."""

    def forward(self, x):
        return torch.tensor([0.0, 1.0, 0.0]).expand(len(x), 3)


class _Coin(nn.Module):
    """Class 0 or 1, by the sign of the first pixel."""

    def forward(self, x):
        pixel = x.flatten(1)[:, 0]
        return torch.stack([-pixel, pixel], 1)


def _radius_table(certify):
    """If all n copies agree, R = σ·Φ⁻¹(α^(1/n)): 1.5005 σ for n = 100, 2.4633 σ for n = 1000"""
    for n, ratio in ((100, 1.500475), (1000, 2.463263)):
        for sigma in (0.25, 1.0):
            classes, radii = certify(_Always(), torch.zeros(2, 9), sigma, 20, n, 0.001)
            expect_close(classes, [1, 1], 0, "classes")
            expect_close(radii, [ratio * sigma] * 2, 1e-4, f"radii at n = {n}, σ = {sigma}")


def _confidence(certify):
    """α is one-sided: all of 50 copies and α = 0.1 give Φ⁻¹(0.1^(1/50)) = 1.6948"""
    _, radii = certify(_Always(), torch.zeros(1, 9), 1.0, 20, 50, 0.1)
    halved = abs(float(radii) - norm.ppf(0.05 ** (1 / 50))) < 1e-3
    expect(not halved, "you used α/2: the interval leaves half of 1 − confidence on either side, and you need one")
    expect_close(radii, [norm.ppf(0.1 ** (1 / 50))], 1e-4, "radii")


def _abstains(certify):
    """Abstains, with class −1 and radius 0, where p, the lower end, is not above ½"""
    classes, radii = certify(_Coin(), torch.zeros(20, 4), 1.0, 50, 200, 0.001)
    expect_close(classes, [-1] * 20, 0, "classes in front of a boundary")
    expect_close(radii, [0.0] * 20, 0, "radii in front of a boundary")


def _linear_truth(certify):
    """A linear classifier smooths to itself: R comes close to |f| / ‖w‖ and stays below it"""
    x = torch.linspace(-1, 1, 21)[:, None] * torch.ones(21, 4)
    classes, radii = certify(_Coin(), x, 0.5, 100, 4000, 0.001)
    exact = x[:, 0].abs()
    expect(radii <= exact + 1e-6, f"a radius exceeds the distance to the boundary by {(radii - exact).max():.3g}")
    inner = (exact > 0.15) & (exact < 0.9)
    expect_close(classes[inner], (x[inner, 0] > 0).long(), 0, "classes")
    gap = (exact - radii)[inner].max().item()
    expect(gap < 0.12, f"a radius falls short of the distance to the boundary by {gap:.3g}")


def _fresh_samples(certify):
    """The copies that choose the class are not those that count it: a coin is proved no more often than α"""
    _, radii = certify(_Coin(), torch.zeros(600, 1), 1.0, 20, 20, 0.2)
    proved = (radii > 0).float().mean().item()
    expect(proved < 0.2, f"{proved:.0%} of 600 coins are 'proved' to fall on one side, at α = 20 %")


def _classes_and_radii(result, args, kwargs) -> None:
    inputs = argument(args, kwargs, 1, "x").shape[:1]
    expect_tensors(result, classes=inputs, radii=inputs)


def certify(model, x, sigma, n0=100, n=1000, alpha=0.001, generator=None):
    return robustness.certify(model, x, sigma=sigma, n0=n0, n=n, alpha=alpha, generator=generator)


def _certify_each(model, x, sigma, n0=100, n=1000, alpha=0.001, generator=None):
    """One input after the other, with the beta distribution itself."""
    draw, classes, radii = generator or runtime.generator(7), [], []
    for one in x:
        with torch.no_grad():
            first, second = (
                torch.bincount(model(one + sigma * torch.randn(m, *one.shape, generator=draw)).argmax(1), minlength=2)
                for m in (n0, n)
            )
        top = int(first.argmax())
        k = int(second[top]) if top < len(second) else 0
        p = beta_distribution.ppf(alpha, k, n - k + 1) if k else 0.0
        classes.append(top if p > 0.5 else -1)
        radii.append(sigma * float(norm.ppf(p)) if p > 0.5 else 0.0)
    return torch.tensor(classes), torch.tensor(radii)


def _certify_wrong(
    model, x, sigma, n0=100, n=1000, alpha=0.001, generator=None, *, sides=1, fresh=True, estimate=False, abstain=True
):
    draw = generator or runtime.generator(0)
    votes = robustness.noisy_votes(model, x, n, sigma=sigma, generator=draw)
    chosen = (robustness.noisy_votes(model, x, n0, sigma=sigma, generator=draw) if fresh else votes).argmax(1)
    hits = votes.gather(1, chosen[:, None]).squeeze(1).numpy()
    if estimate:
        p = (hits / n).clip(max=1 - 1 / n)
    else:
        p, _ = statistics.clopper_pearson(hits, n, confidence=1 - 2 * alpha / sides)
    radii = torch.as_tensor(sigma * norm.ppf(p.clip(min=1e-9)), dtype=torch.float32)
    return (torch.where(radii > 0, chosen, -1), radii.clamp(min=0)) if abstain else (chosen, radii.abs())


EXERCISE = Exercise(
    "04.certify",
    title="Randomised smoothing",
    reference=certify,
    properties=[_radius_table, _confidence, _abstains, _linear_truth, _fresh_samples],
    hints=[
        "Draw twice: `robustness.noisy_votes(model, x, n0, …).argmax(1)` chooses the class, a second call with `n` "
        "counts how many fresh copies agree. One generator for both, or the second draw repeats the first.",
        "`statistics.clopper_pearson(hits, n, confidence=…)` leaves half of the doubt on either side. You use one "
        "side, so the confidence is `1 - 2 * alpha`.",
        "```python\nlow, _ = statistics.clopper_pearson(hits.cpu().numpy(), n, confidence=1 - 2 * alpha)\n"
        "radii = sigma * torch.as_tensor(norm.ppf(low))\n```\nWhere `low` is not above ½: radius 0, class −1.",
    ],
    returns=_classes_and_radii,
    second=_certify_each,
    mutants={
        "believes the share that it counted": functools.partial(_certify_wrong, estimate=True),
        "counts on the copies that chose": functools.partial(_certify_wrong, fresh=False),
        "a two-sided interval": functools.partial(_certify_wrong, sides=2),
        "never abstains": functools.partial(_certify_wrong, abstain=False),
        "forgets sigma in the radius": lambda model, x, sigma, n0=100, n=1000, alpha=0.001, generator=None: (
            lambda classes, radii: (classes, radii / sigma)
        )(*certify(model, x, sigma, n0, n, alpha, generator)),
        "class 0 where it abstains": lambda model, x, sigma, n0=100, n=1000, alpha=0.001, generator=None: (
            lambda classes, radii: (classes.clamp(min=0), radii)
        )(*certify(model, x, sigma, n0, n, alpha, generator)),
    },
)
