"""Auto-PGD: projected gradient descent that chooses its own step sizes, and tries every class when asked to."""

from __future__ import annotations

import math
from functools import partial

import torch

from modelsec_course import runtime, validation
from modelsec_course.evasion.contract import attack
from modelsec_course.evasion.losses import LOSSES, dlr_targeted, fooled, scored
from modelsec_course.evasion.norms import NORMS, back_inside_, per_input, repeated

__all__ = ["apgd"]

SMALL = 2**15  # numbers in a batch: below it a step costs its calls, and a larger batch costs no more


@attack(loss=partial(validation.one_of, choices=(*LOSSES, "dlr-targeted")))
def apgd(
    model, x, y, *, eps, steps=100, norm="linf", loss="ce", targets=9, random_start=True, restarts=1, generator=None
):
    """Auto-PGD: climb with momentum, from the best point so far, and halve an input's step when it climbs too rarely.

    x: (batch, ...) in [0, 1].  y: (batch,) true labels.  eps: radius of the ball, in the units of x.
    loss: "ce", "margin", "dlr", or "dlr-targeted", which climbs towards each of the `targets` likeliest other classes
    in turn. The DLR losses compare four logits and refuse a model with fewer classes: "margin" then does the same.
    restarts: how often inputs that stand are climbed again from another random start.
    Returns x_adv, shaped like x, in [0, 1] and within eps of x: the first success, or the point with the highest loss.
    It holds about seven copies of its batch.
    Source: Croce & Hein, 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
    Parameter-free Attacks", algorithm 1 and section 4.
    """
    if restarts > 1 and not random_start:
        raise ValueError(f"restarts={restarts} needs random_start: otherwise nothing is tried anew")
    ball, generator, x_adv = NORMS[norm], generator or runtime.generator(0), x.clone()
    with torch.no_grad():
        logits = model(x)
    standing = (~fooled(logits, y)).nonzero().flatten()
    rivals = logits.scatter(1, y[:, None], -torch.inf).argsort(1, descending=True)[:, :-1]  # the likeliest first
    climbs = list(rivals.unbind(1)[:targets] if loss == "dlr-targeted" else [None])
    climbs, room = [aim for aim in climbs for _ in range(restarts)], max(len(x), SMALL // x[0].numel())
    while climbs and len(standing):
        count = max(1, room // len(standing))
        together, climbs = climbs[:count], climbs[count:]  # beside each other, where there is room for it
        some, labels = (repeated(t[standing], len(together)) for t in (x, y))
        extra = () if together[0] is None else (torch.cat([aim[standing] for aim in together]),)
        score = dlr_targeted if extra else LOSSES[loss]
        start = ball.random(some, eps, generator).add_(some).clamp_(0, 1) if random_start else some.clone()
        climbed, fallen = _climb(model, some, (labels, *extra), score, start, ball, eps, steps, len(standing))
        fallen = fallen.view(len(together), -1)
        which = fallen.float().argmax(0) * len(standing) + torch.arange(len(standing), device=x.device)
        x_adv[standing] = climbed[which]
        standing = standing[~fallen.any(0)]
    return x_adv


def _climb(model, x, labels, score, x_adv, ball, eps, steps, inputs, momentum=0.75, enough=0.75):
    """One climb from `x_adv`: the first success or the best point (batch, ...), and who has fallen (batch,).

    labels: (y,) or (y, target), what `score(logits, *labels)` needs.  inputs: the batch holds so many inputs once or
    several times over, and when one of its rows falls the others of that input stop.  momentum, enough: the paper's α
    and ρ.
    """
    done, fallen = x_adv.clone(), torch.zeros_like(labels[0], dtype=torch.bool)
    here = torch.arange(len(x), device=x.device)  # whose rows the working batch holds
    best, before, step = x_adv, x_adv, torch.full(x.shape[:1], 2.0 * eps, device=x.device, dtype=x.dtype)
    top = checked = torch.full_like(step, -torch.inf)  # the best score so far, and at the last checkpoint
    last = -top  # the score of the step before
    rises, halved = torch.zeros_like(step), torch.zeros_like(step, dtype=torch.bool)
    checkpoints, since = _checkpoints(steps), 0
    for k in range(steps + 1):
        logits, values, gradient = scored(model, x_adv, lambda logits: score(logits, *labels))  # noqa: B023
        fell = fooled(logits, labels[0])
        if fell.any():
            done[here[fell]], fallen[here[fell]] = x_adv[fell], True
            over = fallen.view(-1, inputs).any(0)[here % inputs]
            state = (here, x, x_adv, best, before, gradient, values, step, top, checked, last, rises, halved, *labels)
            here, x, x_adv, best, before, gradient, values, step, top, checked, last, rises, halved, *labels = (
                part[~over] for part in state
            )
            if not len(here):
                break
        better = values > top
        best, top = torch.where(per_input(better, x), x_adv, best), torch.where(better, values, top)
        rises, last = rises + (values > last), values
        if k == steps:
            break
        back = None
        if k in checkpoints:
            stuck = (rises < enough * (k - since)) | (~halved & (top <= checked))
            step, halved, checked, since = torch.where(stuck, step / 2, step), stuck, top, k
            rises = torch.zeros_like(rises)
            back = per_input(stuck, x)
        aim = back_inside_(ball, ball.steepest_(gradient).mul_(per_input(step, x)).add_(x_adv), x, eps)
        ahead = aim if k == 0 else x_adv + momentum * (aim - x_adv) + (1 - momentum) * (x_adv - before)
        ahead = back_inside_(ball, ahead, x, eps)
        before = x_adv if back is None else torch.where(back, best, x_adv)
        x_adv = ahead if back is None else torch.where(back, best, ahead)  # those look at their best point again
    done[here] = best
    return done, fallen


def _checkpoints(steps: int) -> set[int]:
    """The steps after which a step size may be halved: .22 of them, then gaps that shrink from .19 to .06."""
    percent, gap, found = 0, 22, set()
    while percent + gap <= 100:
        percent, gap = percent + gap, max(gap - 3, 6)
        found.add(math.ceil(percent * steps / 100))
    return found
