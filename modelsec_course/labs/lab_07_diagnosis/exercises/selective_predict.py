"""A class, or −1: the model may say that it does not know."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from modelsec_course import robustness, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import argument, expect_tensor


def _logits(classes: int = 3, n: int = 120):
    return 2 * torch.randn(n, classes, generator=runtime.generator(0))


def _by_hand(predict):
    """Probabilities .9, .6 and .5 at a threshold of .55: two answers, one refusal"""
    logits = torch.log(torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]]))
    expect_close(predict(logits, 0.55), [0, 1, -1], 0, "the answers")


def _at_the_threshold(predict):
    """Confidence exactly at the threshold is enough"""
    said = predict(torch.tensor([[2.0, 2.0, -torch.inf], [1.0, 1.0, 1.0]]), 0.5)
    expect_close(torch.as_tensor(said) >= 0, [True, False], 0, "answered")


def _answers_all(predict):
    """At threshold 0 it answers everything, as the model would; above 1 nothing"""
    logits = _logits()
    expect_close(predict(logits, 0.0), logits.argmax(1), 0, "the answers at 0")
    expect_close(predict(logits, 1.01), -torch.ones(len(logits)), 0, "the answers above 1")


def _monotone(predict):
    """Coverage never rises with the threshold, and an answer that stays is the same"""
    logits, before = _logits(), None
    for step in range(21):
        said = torch.as_tensor(predict(logits, step / 20))
        answered = said >= 0
        expect((said == logits.argmax(1))[answered], f"at {step / 20} an answer is not the likeliest class")
        if before is not None:
            back = int((answered & ~before).sum())
            expect(back == 0, f"{back} refused at {(step - 1) / 20:.2f} are answered at {step / 20:.2f}")
        before = answered


def _probabilities(predict):
    """Adding the same number to all logits of a row changes nothing"""
    logits = _logits()
    shift = 5 * torch.randn(len(logits), 1, generator=runtime.generator(1))
    expect_close(predict(logits + shift, 0.7), predict(logits, 0.7), 0, "the answers after the shift")


def _confidence(predict):
    """It is the largest probability that counts: with three classes, .4, .35, .25 is refused at .45, answered at .38"""
    logits = torch.log(torch.tensor([[0.25, 0.4, 0.35]])) + 3
    for threshold, want in ((0.45, -1), (0.38, 1)):
        expect_close(predict(logits, threshold), [want], 0, f"the answer at {threshold}")


def _large_logits(predict):
    """Logits of 200 are no trouble: e²⁰⁰ overflows, a softmax does not"""
    logits = torch.tensor([[200.0, 198.0], [199.0, 203.0], [-200.0, -200.0]])  # .88, .98, .5
    expect_close(predict(logits, 0.9), [-1, 1, -1], 0, "the answers at 0.9")


def _not_rounded(predict):
    """A confidence just below the threshold is refused: .98999 at .99"""
    logits = torch.log(torch.tensor([[0.98999, 0.01001], [0.00998, 0.99002]], dtype=torch.float64)).float()
    expect_close(predict(logits, 0.99), [-1, 1], 0, "the answers at 0.99")


def _one_answer_each(result, args, kwargs) -> None:
    if isinstance(result, list | np.ndarray):
        result = torch.as_tensor(result)
    expect_tensor(result, (len(argument(args, kwargs, 0, "logits")),), "one answer for each row")


def selective_predict(logits, threshold):
    return robustness.selective_predict(logits, threshold)


def _by_loss(logits, threshold):
    """The likeliest class has the smallest cross-entropy: −log of its probability."""
    said = logits.max(1).indices.clone()
    said[torch.exp(-F.cross_entropy(logits, said, reduction="none")) < threshold - 1e-7] = -1
    return said


def _where(answer, sure):
    return torch.where(sure, answer, -torch.ones_like(answer))


EXERCISE = Exercise(
    "07.selective_predict",
    title="The right to say nothing",
    reference=selective_predict,
    properties=[
        _by_hand,
        _at_the_threshold,
        _answers_all,
        _monotone,
        _probabilities,
        _confidence,
        _large_logits,
        _not_rounded,
    ],
    hints=[
        "Confidence is the probability of the likeliest class. Logits are not probabilities yet.",
        "`logits.softmax(1).amax(1)` is the confidence of each row, `logits.argmax(1)` the answer.",
        "`torch.where(confidence >= threshold, answer, -1)` keeps an answer or puts −1 in its place.",
    ],
    returns=_one_answer_each,
    second=_by_loss,
    mutants={
        "compares the logit itself": lambda logits, t: _where(logits.argmax(1), logits.amax(1) >= t),
        "a sigmoid of each logit": lambda logits, t: _where(logits.argmax(1), logits.sigmoid().amax(1) >= t),
        "the lead over the second": lambda logits, t: _where(
            logits.argmax(1), logits.softmax(1).topk(2, 1).values.diff(dim=1).abs().squeeze(1) >= t
        ),
        "e to the logits, which overflows": lambda logits, t: _where(
            logits.argmax(1), (logits.exp() / logits.exp().sum(1, keepdim=True)).amax(1) >= t
        ),
        "rounds the confidence": lambda logits, t: _where(
            logits.argmax(1), (logits.softmax(1).amax(1) * 1000).round() / 1000 >= t
        ),
        "refuses what is sure": lambda logits, t: _where(logits.argmax(1), logits.softmax(1).amax(1) < t),
        "above, not at the threshold": lambda logits, t: _where(logits.argmax(1), logits.softmax(1).amax(1) > t),
        "class 0 where it refuses": lambda logits, t: logits.argmax(1) * (logits.softmax(1).amax(1) >= t),
        "says whether it would answer": lambda logits, t: (logits.softmax(1).amax(1) >= t).long(),
        "leaves the refused out": lambda logits, t: logits.argmax(1)[logits.softmax(1).amax(1) >= t],
    },
)
