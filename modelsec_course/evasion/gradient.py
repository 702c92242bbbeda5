"""Attacks that climb the loss along its gradient, inside a ball around each input."""

from __future__ import annotations

import torch

from modelsec_course import runtime
from modelsec_course.evasion.contract import attack
from modelsec_course.evasion.losses import fooled, input_gradient
from modelsec_course.evasion.norms import NORMS, back_inside_

__all__ = ["fgsm", "pgd"]


@attack
def fgsm(model, x, y, *, eps, norm="linf", loss="ce", targeted=False):
    """Fast gradient sign method: one step of length eps, straight up the loss.

    x: (batch, ...) in [0, 1].  y: (batch,) true labels, or targets.  eps: radius of the ball, in the units of x.
    norm: "linf" steps along the gradient's signs, "l2" along the gradient itself.
    Returns x_adv, shaped like x, in [0, 1].
    Source: Goodfellow, Shlens & Szegedy, 2015, "Explaining and Harnessing Adversarial Examples", section 4.
    """
    _, gradient = input_gradient(model, x, y, loss, targeted)
    return NORMS[norm].steepest_(gradient).mul_(eps).add_(x).clamp_(0, 1)


@attack
def pgd(
    model,
    x,
    y,
    *,
    eps,
    steps=40,
    step_size=None,
    norm="linf",
    loss="ce",
    targeted=False,
    random_start=True,
    restarts=1,
    stop_early=True,
    generator=None,
):
    """Projected gradient descent: climb the loss, step back into the ball, repeat.

    x: (batch, ...) in [0, 1].  y: (batch,) true labels, or targets.  eps: radius of the ball, in the units of x.
    step_size: default 2.5 · eps / steps, so that the ball can be crossed.  loss: "ce" or "margin".
    restarts: inputs that stand after one climb are climbed again from another random start.
    stop_early: inputs that have fallen are left alone, so the result is the first success, not the worst; training
    against the worst wants False.  generator: draws the starts (default: seed 0).
    Returns x_adv, shaped like x, in [0, 1] and within eps of x.
    Source: Madry et al., 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks", section 2.1.
    """
    if restarts > 1 and not (random_start and stop_early):
        raise ValueError(f"restarts={restarts} needs random_start and stop_early: otherwise nothing is tried anew")
    ball, generator = NORMS[norm], generator or runtime.generator(0)
    step_size = 2.5 * eps / steps if step_size is None else step_size
    x_adv = ball.random(x, eps, generator).add_(x).clamp_(0, 1) if random_start else x.clone()
    standing = torch.arange(len(x), device=x.device)  # the inputs that have not fallen yet
    for k in range(restarts * (steps + 1) - 1):
        logits, gradient = input_gradient(model, x_adv[standing], y[standing], loss, targeted)
        fallen = fooled(logits, y[standing], targeted)
        if stop_early and fallen.any():
            standing, gradient = standing[~fallen], gradient[~fallen]
        if not len(standing):
            break
        if k % (steps + 1) == steps:  # the climb has ended in vain: start from another point
            gradient = None
            x_adv[standing] = ball.random(x[standing], eps, generator).add_(x[standing]).clamp_(0, 1)
            continue
        x_adv[standing] = back_inside_(
            ball, ball.steepest_(gradient).mul_(step_size).add_(x_adv[standing]), x[standing], eps
        )
        del gradient  # or the next step would hold a fourth copy of the batch
    return x_adv
