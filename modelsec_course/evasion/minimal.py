"""Attacks that look for the smallest change that fools the model. They take no eps: the length is their answer."""

from __future__ import annotations

import math
from functools import partial

import torch

from modelsec_course.evasion.contract import attack
from modelsec_course.evasion.losses import fooled, input_gradient, margin, scored, slope
from modelsec_course.evasion.norms import L2, NORMS, back_inside_, per_input

__all__ = ["carlini_wagner", "deepfool", "fast_minimum_norm"]

FOLLOWED = 3  # boundaries that DeepFool looks at again: as short as with all of them, in half the time


@attack(parts=2)
def deepfool(model, x, y, *, steps=50, norm="l2", overshoot=5e-4, candidates=9):
    """DeepFool: treat the model as linear, step onto the nearest class boundary, repeat until it is crossed.

    x: (batch, ...) in [0, 1].  y: (batch,) true labels.  norm: the length that is made small, "l2" or "linf".
    overshoot: how far beyond the boundary each step goes, as a share of the step.  candidates: how many of the
    other classes, the likeliest first, the first step looks at; the steps after it, at the three that were nearest.
    Returns x_adv, shaped like x, in [0, 1]. Inputs that the model already gets wrong come back as they are.
    Source: Moosavi-Dezfooli, Fawzi & Frossard, 2016, "DeepFool: A Simple and Accurate Method to Fool Deep Neural
    Networks", algorithm 2.
    """
    ball, x_adv, rivals = NORMS[norm], x.clone(), None
    standing = torch.arange(len(x), device=x.device)
    for k in range(steps):
        with torch.no_grad():
            logits = model(x_adv[standing])
        if rivals is None:  # in the first step the likeliest classes, (standing, candidates)
            others = logits.scatter(1, y[:, None], -torch.inf)
            rivals = others.topk(min(candidates, logits.shape[1] - 1)).indices
        stands = ~fooled(logits, y[standing])
        standing, rivals = standing[stands], rivals[stands]
        if not len(standing):
            break
        at, labels = x_adv[standing].requires_grad_(), y[standing]
        logits = model(at)
        distance, normal, nearest = _nearest_boundary(logits, at, labels, ball, rivals)
        rivals = rivals.gather(1, nearest[:, :FOLLOWED])
        length = per_input((1 + overshoot) * distance + 1e-6 * k, x)  # the second part: a tie must not hold for ever
        x_adv[standing] = ball.steepest_(normal).mul_(length).add_(x_adv[standing]).clamp_(0, 1)
        del at, logits, normal  # or the next step would hold a fourth copy of the batch
    return x_adv


def _nearest_boundary(logits, x, y, ball, rivals):
    """How far the nearest class boundary seems to be (batch,), and the gradient (batch, ...) that leads to it.

    rivals: (batch, k), the classes whose boundaries with y are looked at.  Third comes their order, the nearest first.
    """
    gaps = logits - logits.gather(1, y[:, None])  # how far each class is above the true one
    distances, normal = [], None
    for gap in gaps.gather(1, rivals).unbind(1):
        gradient = slope(gap, x, True)
        distance = gap.detach().abs() / ball.dual(gradient).clamp_min(1e-12)
        if normal is None:
            nearest, normal = distance, gradient
        else:
            closer = distance < nearest
            nearest = torch.where(closer, distance, nearest)
            torch.where(per_input(closer, x), gradient, normal, out=normal)
            del gradient  # or the next class would hold another copy of the batch
        distances.append(distance)
    return nearest, normal, torch.stack(distances, 1).argsort(1)


@attack(parts=3)
def carlini_wagner(
    model, x, y, *, steps=200, searches=6, lr=0.1, start=1.0, confidence=0.0, targeted=False, abort_early=False
):
    """Carlini & Wagner's L2 attack: minimise ‖x_adv − x‖² + c · (how far the model is from erring).

    x: (batch, ...) in [0, 1].  y: (batch,) true labels, or targets.  steps: Adam's steps for each c, of size
    lr falling to 0 over the second half.  searches: how many values of c are tried for each input, by bisection from
    `start`.  confidence: the margin demanded.  abort_early: after three fifths of the steps, leave inputs alone whose
    loss has stopped falling, which saves a fifth of the time and makes some changes longer by a few per cent.
    Returns the closest x_adv found, shaped like x, in [0, 1]; an input for which none was found comes back as it is.
    Source: Carlini & Wagner, 2017, "Towards Evaluating the Robustness of Neural Networks", section VI.A.
    """
    with torch.no_grad():
        done = fooled(model(x), y, targeted)
    best, length = x.clone(), torch.where(done, 0.0, torch.inf).to(x.dtype)
    low, high, c = torch.zeros_like(length), torch.full_like(length, torch.inf), torch.full_like(length, start)
    descend = partial(
        _shrink, model, x, y, steps=steps, lr=lr, confidence=confidence, targeted=targeted, abort_early=abort_early
    )
    for _ in range(searches):
        found = descend(c, best, length)
        low, high = torch.where(found, low, c), torch.where(found, c, high)
        c = torch.where(high.isinf(), 10 * low, torch.where(low > 0, (low * high).sqrt(), high / 10))
    return best


def _shrink(model, x, y, c, best, length, *, steps, lr, confidence, targeted, abort_early):
    """One run of Adam for fixed c, over w with x_adv = (tanh w + 1) / 2, which cannot leave the box.

    Writes what is closer than before into `best` (batch, ...) and `length` (batch,); returns who was fooled (batch,).
    """
    w = (2 * x - 1).mul_(1 - 1e-4).atanh_()  # finite at 0 and 1
    mean, square = torch.zeros_like(w), torch.zeros_like(w)
    moving, reached = torch.arange(len(x), device=x.device), torch.zeros_like(y, dtype=torch.bool)
    lowest = before = torch.full_like(length, torch.inf)  # the loss: its lowest, now and a look ago
    for k in range(1, steps + 1):
        at = (2 * w).sigmoid_()  # (tanh w + 1) / 2
        distance = L2.length(at - x)
        logits, gradient = input_gradient(model, at, y, "margin", targeted)
        rounding = 1e-6 * logits.abs().amax(1)  # what a batch of another size may change in the answer
        ahead = (-margin(logits, y) if targeted else margin(logits, y)) - confidence - rounding
        won = ahead > 0
        closer = won & (distance < length[moving])
        if len(moving) == len(best):
            torch.where(per_input(closer, x), at, best, out=best)  # without a copy of what is closer
        else:
            best[moving[closer]] = at[closer]
        length[moving[closer]] = distance[closer]
        reached[moving] |= won
        gradient.mul_(per_input(-c * ~won, x)).add_(at, alpha=2).sub_(x, alpha=2)  # d(loss) / d(x_adv)
        gradient.mul_(at).mul_(at.neg_().add_(1)).mul_(2)  # d(loss) / dw; from here on, Adam
        mean.lerp_(gradient, 0.1)
        square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        step = lr * min(1, 2 - 2 * k / steps) / (1 - 0.9**k)
        w.addcdiv_(mean, torch.sqrt(square, out=at).div_(math.sqrt(1 - 0.999**k)).add_(1e-8), value=-step)
        del at, gradient  # or the next step would hold two more copies
        if not abort_early:
            continue
        lowest = torch.minimum(lowest, distance**2 + c * ahead.neg().clamp_min(0))
        if 5 * k >= 3 * steps and k % max(1, steps // 10) == 0:
            falling, before = lowest < 0.9999 * before, lowest
            lowest = lowest[falling]
            x, y, c, before, moving = (state[falling] for state in (x, y, c, before, moving))
            w = w[falling]
            mean = mean[falling]  # one after the other: never two copies of all three
            square = square[falling]
            if not len(moving):
                break
    return reached


@attack
def fast_minimum_norm(model, x, y, *, steps=100, norm="l2", step_size=1.0, shrink=0.05, targeted=False):
    """Fast minimum-norm attack: climb the margin inside a ball that shrinks while the model errs and grows while not.

    x: (batch, ...) in [0, 1].  y: (batch,) true labels, or targets.  norm: the length that is made small, "l2" or
    "linf".  step_size: the length of the first step, in that norm.  shrink: by how much the ball's radius changes in
    the first step. Both fall to 0 along a cosine.
    Returns the closest x_adv found, shaped like x, in [0, 1]; an input for which none was found comes back as it is.
    Source: Pintor, Roli, Brendel & Biggio, 2021, "Fast Minimum-norm Adversarial Attacks through Adaptive Norm
    Constraints", algorithm 1.
    """
    ball, x_adv, best, sign = NORMS[norm], x.clone(), x.clone(), -1 if targeted else 1
    shortest = radius = torch.full((len(x),), torch.inf, device=x.device, dtype=x.dtype)
    for k in range(steps + 1):
        length = ball.length(x_adv - x)
        logits, gap, gradient = scored(model, x_adv, lambda logits: sign * margin(logits, y))
        won = gap > 1e-6 * logits.abs().amax(1)  # what a batch of another size may change in the answer
        closer = won & (length < shortest)
        torch.where(per_input(closer, x), x_adv, best, out=best)
        shortest = torch.where(closer, length, shortest)
        if k == steps:
            break
        fade = (1 + math.cos(math.pi * k / steps)) / 2
        boundary = length + gap.abs() / ball.dual(gradient).clamp_min(1e-12)  # if the model were linear
        outside = torch.where(shortest.isinf(), boundary * (1 + shrink), radius * (1 + shrink * fade))
        radius = torch.where(won, torch.minimum(radius * (1 - shrink * fade), shortest), outside)
        x_adv = back_inside_(ball, x_adv.add_(ball.steepest_(gradient), alpha=step_size * fade), x, radius)
        del gradient  # or the next step would hold a fourth copy of the batch
    return best
