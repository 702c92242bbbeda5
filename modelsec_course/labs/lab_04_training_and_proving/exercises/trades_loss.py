"""The TRADES loss: cross-entropy at x, plus β times the divergence of the answers at x and x_adv."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import models, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import digits_model
from modelsec_course.labs.lab_04_training_and_proving.exercises.shared import toy_batch


class _Says(nn.Module):
    """A model whose inputs are its logits, so that a test can choose them."""

    def forward(self, x):
        return x


def _unmoved(loss):
    """x_adv = x: exactly the cross-entropy, whatever β"""
    net, x, y = digits_model(48)
    for beta in (0.0, 1.0, 6.0):
        expect_close(loss(net, x, x, y, beta), F.cross_entropy(net(x), y), 1e-6, f"the loss at beta = {beta:g}")


def _by_hand(loss):
    """p = (½, ½) and q = (0.9, 0.1): KL(p ‖ q) = ½ ln(0.5/0.9) + ½ ln(0.5/0.1) = 0.5108"""
    p, q = torch.log(torch.tensor([[0.5, 0.5]])), torch.log(torch.tensor([[0.9, 0.1]]))
    for beta in (1.0, 6.0):
        got = loss(_Says(), p, q, torch.tensor([0]), beta)
        expect_close(got, 0.693147 + beta * 0.510826, 1e-4, f"ln 2 + {beta:g} · KL")


def _mean_over_the_batch(loss):
    """A mean over the batch: the same batch twice has the same loss"""
    draw = runtime.generator(4)
    x, x_adv = torch.randn(5, 4, generator=draw), torch.randn(5, 4, generator=draw)
    y = torch.arange(5) % 4
    once = loss(_Says(), x, x_adv, y, 2.0)
    expect_close(loss(_Says(), x.repeat(2, 1), x_adv.repeat(2, 1), y.repeat(2), 2.0), once.detach(), 1e-5)
    each = [loss(_Says(), x[i : i + 1], x_adv[i : i + 1], y[i : i + 1], 2.0).detach() for i in range(5)]
    expect_close(once, torch.stack(each).mean(), 1e-5, "the loss of five inputs, against the mean of their own losses")


def _sure(loss):
    """Stays a number when the model is very sure"""
    x, x_adv = torch.tensor([[300.0, 0.0, -300.0]]), torch.tensor([[299.0, 1.0, -300.0]])
    expect_close(loss(_Says(), x, x_adv, torch.tensor([0]), 6.0), 0.0, 1e-5)


def _both_ways(loss):
    """Gradients reach the weights through p(x) and through p(x_adv)"""
    net = models.initialise(models.linear(36, 3), runtime.generator(0))
    x, x_adv, y = toy_batch(), toy_batch(seed=5), torch.arange(12) % 3
    (got,) = torch.autograd.grad(loss(net, x, x_adv, y, 6.0), net[1].weight)
    (want,) = torch.autograd.grad(_trades_by_formula(net, x, x_adv, y, 6.0), net[1].weight)
    expect_close(got, want, 1e-4, "the gradient of the loss in the weights")


def _trainable(result, args, kwargs) -> None:
    expect(isinstance(result, Tensor), f"expected a tensor that can be trained on, got a {type(result).__name__}")
    expect(result.dim() == 0, f"expected one number for the whole batch, got shape {tuple(result.shape)}")


def trades_loss(model, x, x_adv, y, beta=6.0):
    logits = model(x)
    moved = F.kl_div(model(x_adv).log_softmax(1), logits.log_softmax(1), reduction="batchmean", log_target=True)
    return F.cross_entropy(logits, y) + beta * moved


def _trades_by_formula(model, x, x_adv, y, beta=6.0):
    log_p, log_q = model(x).log_softmax(1), model(x_adv).log_softmax(1)
    return (-log_p.gather(1, y[:, None]).squeeze(1) + beta * (log_p.exp() * (log_p - log_q)).sum(1)).mean()


def _trades_wrong(model, x, x_adv, y, beta=6.0, *, detach=False, at="x", over=None):
    logits, moved = model(x), model(x_adv)
    p = logits.log_softmax(1).detach() if detach else logits.log_softmax(1)
    divergence = F.kl_div(moved.log_softmax(1), p, reduction="sum", log_target=True) / (over or len(x))
    return F.cross_entropy(logits if at == "x" else moved, y) + beta * divergence


def _trades_unsafe(model, x, x_adv, y, beta=6.0):
    p, q = model(x).softmax(1), model(x_adv).softmax(1)
    return F.cross_entropy(model(x), y) + beta * (p * (p.log() - q.log())).sum(1).mean()


EXERCISE = Exercise(
    "04.trades_loss",
    title="The TRADES loss",
    reference=trades_loss,
    properties=[_unmoved, _by_hand, _mean_over_the_batch, _sure, _both_ways],
    hints=[
        "Cross-entropy of the **clean** logits, plus beta times the divergence of the two answers.",
        "`F.kl_div(input, target)` is KL(target ‖ input): `input` is log q, what the attack made of the answer. "
        "With `log_target=True` the target is log p.",
        'Its default averages over classes too: you want `reduction="batchmean"`. Take both logarithms with '
        "`.log_softmax(1)`, and detach neither.",
    ],
    returns=_trainable,
    second=_trades_by_formula,
    mutants={
        "divergence the wrong way round": lambda model, x, x_adv, y, beta=6.0: (
            F.cross_entropy(model(x), y) + trades_loss(model, x_adv, x, y, beta) - F.cross_entropy(model(x_adv), y)
        ),
        "averages over classes too": lambda model, x, x_adv, y, beta=6.0: _trades_wrong(
            model, x, x_adv, y, beta, over=model(x).numel()
        ),
        "sums over the batch": functools.partial(_trades_wrong, over=1),
        "forgets beta": lambda model, x, x_adv, y, beta=6.0: trades_loss(model, x, x_adv, y, 1.0),
        "cross-entropy at x_adv": functools.partial(_trades_wrong, at="x_adv"),
        "detaches p(x)": functools.partial(_trades_wrong, detach=True),
        "takes the logarithm of a probability that is 0": _trades_unsafe,
    },
)
