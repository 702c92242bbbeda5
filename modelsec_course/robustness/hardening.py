"""Training that buys robustness: losses for `training.fit(net, x, y, loss=adversarial(0.15))`.

Each looks for the batch's worst inputs with the network as it is at that moment, in eval mode and with frozen weights:
batch norm uses its running statistics, and the search leaves no trace in them. The loss itself is then computed in the
mode in which `fit` has put the network, so batch norm learns from the inputs that the loss sees.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import runtime, validation
from modelsec_course.evasion import pgd
from modelsec_course.evasion.contract import RULES
from modelsec_course.models import frozen
from modelsec_course.training import Loss

__all__ = ["adversarial", "fast", "noisy", "trades"]


def adversarial(
    eps: float,
    *,
    steps: int = 7,
    step_size: float | None = None,
    norm: str = "linf",
    generator: torch.Generator | None = None,
) -> Loss:
    """Adversarial training: cross-entropy on what PGD makes of the batch.

    eps: radius of the ball, in the units of x.  steps, step_size, norm: of the attack.  generator: draws the starts,
    from batch to batch (default: seed 0).
    Returns loss(model, x, y) -> scalar, for x in [0, 1]. It takes steps + 1 gradients a batch.
    Source: Madry et al., 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks", section 2.1.
    """
    attack = _search(eps=eps, steps=steps, step_size=step_size, norm=norm, generator=generator)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(model(pgd(model, x, y, **attack)), y)

    return loss


def fast(eps: float, *, generator: torch.Generator | None = None) -> Loss:
    """Fast adversarial training: one step of 1.25 · eps from a random start in the ball, so two gradients a batch.

    eps: radius of the L∞ ball, in the units of x.  generator: draws the starts (default: seed 0).
    Returns loss(model, x, y) -> scalar, for x in [0, 1].
    Source: Wong, Rice & Kolter, 2020, "Fast Is Better than Free: Revisiting Adversarial Training", algorithm 3.
    """
    validation.number("eps", eps, low=0)
    return adversarial(eps, steps=1, step_size=1.25 * eps or None, generator=generator)


def trades(
    eps: float,
    *,
    beta: float = 6.0,
    steps: int = 7,
    step_size: float | None = None,
    norm: str = "linf",
    generator: torch.Generator | None = None,
) -> Loss:
    """TRADES: cross-entropy on the clean batch, plus beta times how far the answers can be moved inside the ball.

    That is the Kullback-Leibler divergence of p(x_adv) from p(x); PGD looks for the x_adv that makes it large.
    eps: radius of the ball, in the units of x; at 0 what is left is the cross-entropy, exactly, if the network does not
    draw at random.  beta: the price of moving, at least 0.  steps, step_size, norm: of the attack.  generator: draws
    the starts (default: seed 0).
    Returns loss(model, x, y) -> scalar, for x in [0, 1]. It takes steps + 2 gradients a batch.
    Source: Zhang et al., 2019, "Theoretically Principled Trade-off between Robustness and Accuracy", equation 5.
    """
    attack = _search(eps=eps, steps=steps, step_size=step_size, norm=norm, generator=generator)
    validation.number("beta", beta, low=0)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        with frozen(model):
            clean = model(x).log_softmax(1)

            def moved(at: Tensor) -> Tensor:
                """Two logits whose margin is the divergence: PGD on the margin climbs it."""
                gap = _divergence(model(at), clean)
                return torch.stack([torch.zeros_like(gap), gap], 1)

            x_adv = pgd(moved, x, torch.zeros_like(y), loss="margin", **attack)
        logits = model(x)
        return F.cross_entropy(logits, y) + beta * _divergence(model(x_adv), logits.log_softmax(1)).mean()

    return loss


def noisy(sigma: float, *, generator: torch.Generator | None = None) -> Loss:
    """Training for randomised smoothing: cross-entropy on the batch with Gaussian noise added.

    sigma: standard deviation of the noise, in the units of x; certify with the same.  generator: draws it (default:
    seed 0).  Returns loss(model, x, y) -> scalar.
    Source: Cohen, Rosenfeld & Kolter, 2019, "Certified Adversarial Robustness via Randomized Smoothing", section 3.3.
    """
    validation.positive("sigma", sigma)
    validation.randomness("generator", generator)
    generator = generator or runtime.generator(0)

    def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        noise = torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype)
        return F.cross_entropy(model(x + sigma * noise.to(x.device)), y)

    return loss


def _divergence(logits: Tensor, log_p: Tensor) -> Tensor:
    """KL(p ‖ softmax(logits)) for each input, (batch,)."""
    return F.kl_div(logits.log_softmax(1), log_p, reduction="none", log_target=True).sum(1)


def _search(**options) -> dict:
    """The options of PGD that training wants, checked before the first batch."""
    for name, value in options.items():
        RULES[name](name, value)
    return options | {"stop_early": False, "generator": options["generator"] or runtime.generator(0)}
