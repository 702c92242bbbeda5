"""Tell the truth about a bit with probability e^ε / (1 + e^ε), else its opposite."""

from __future__ import annotations

import functools
import math

import torch

from modelsec_course import privacy, runtime
from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.labs.common import expect_draws, expect_tensor


def _response_rate(respond):
    """Tells the truth with probability e^ε / (1 + e^ε), whatever the truth is"""
    for eps in (math.log(3), 0.2, 2.0):
        want = 1 / (1 + math.exp(-eps))
        for bit in (True, False):
            said = respond(torch.full((40_000,), bit), eps, runtime.generator(7))
            expect_close((said == bit).double().mean(), want, 0.012, f"at ε = {eps:.2f}, the share of truths on {bit}")


def _response_private(respond):
    """Keeps the promise: "yes" is at most e^ε times as likely from a yes as from a no, and uses it up"""
    for eps in (0.5, 1.5):
        yes = [respond(torch.full((40_000,), bit), eps, runtime.generator(8)).double().mean() for bit in (True, False)]
        for one, other, word in ((yes[0], yes[1], "yes"), (1 - yes[1], 1 - yes[0], "no")):
            expect(other > 0, f'at ε = {eps}, "{word}" never comes from the other answer: that gives the truth away')
            case = f'at ε = {eps}, how many times likelier "{word}" is from a {word} than from its opposite'
            expect_close(one / other, math.exp(eps), 0.08 * math.exp(eps), case)


def _response_shape(respond):
    """Answers with bools in the shape of the bits, each flipped by itself, by the generator"""
    bits = torch.rand(50, 20, generator=runtime.generator(9)) < 0.5
    before = bits.clone()
    got = respond(bits, 1.0, runtime.generator(10))
    expect_tensor(got, bits.shape, "the answers, shaped like the bits")
    expect(got.dtype == torch.bool, f"expected a tensor of bools, got {got.dtype}")
    expect(torch.equal(bits, before), "the caller's bits have changed: make a new tensor")
    lies = (got != bits).double()
    shares = [float((respond(bits, 1.0, runtime.generator(seed)) != bits).double().mean()) for seed in range(10, 20)]
    expect(max(shares) > 0, "no bit was ever flipped")
    expect(any(0 < share < 1 for share in shares), "all bits are flipped together, or none is: each needs its own coin")
    expect_draws(lambda generator: respond(bits, 1.0, generator), "the answers")
    expect(lies.mean(0).std() > 0.02 and lies.mean(1).std() > 0.02, "each bit must be flipped, or not, by itself")


def randomised_response(bits, eps, generator):
    return privacy.randomised_response(bits, eps, generator=generator)


def _response_by_coin(bits, eps, generator):
    """Warner's coin: an answer that is random with probability 2 / (1 + e^ε), else the truth."""
    random = torch.rand(bits.shape, generator=generator) < 2 / (1 + math.exp(eps))
    return torch.where(random, torch.randint(2, bits.shape, generator=generator).bool(), bits)


def _response_wrong(bits, eps, generator, *, truth, shape=None, other=lambda bits: ~bits):
    kept = torch.rand(bits.shape if shape is None else shape, generator=generator) < truth(eps)
    return torch.where(kept, bits, other(bits))


def _sigmoid(eps):
    return 1 / (1 + math.exp(-eps))


EXERCISE = Exercise(
    "13.randomised_response",
    title="Randomised response",
    reference=randomised_response,
    properties=[_response_shape, _response_rate, _response_private],
    hints=[
        "The ratio of both probabilities has to be p / (1 − p) = e^ε, so p = e^ε / (1 + e^ε).",
        "`torch.rand(bits.shape, generator=generator) < p` says who tells the truth; `~bits` is the opposite.",
    ],
    second=_response_by_coin,
    mutants={
        "the truth with probability 1 − e^−ε": functools.partial(_response_wrong, truth=lambda e: 1 - math.exp(-e)),
        "lies with probability e^−ε": functools.partial(_response_wrong, truth=lambda e: 1 - math.exp(-e) / 2),
        "a sigmoid of ε / 2": functools.partial(_response_wrong, truth=lambda e: _sigmoid(e / 2)),
        "the truth, or else no": functools.partial(_response_wrong, truth=_sigmoid, other=torch.zeros_like),
        "a coin instead of a lie": functools.partial(
            _response_wrong, truth=_sigmoid, other=lambda bits: torch.rand(bits.shape) < 0.5
        ),
        "one coin for all": functools.partial(_response_wrong, truth=_sigmoid, shape=(1,)),
        "the other way round": functools.partial(_response_wrong, truth=lambda e: 1 - _sigmoid(e)),
    },
)  # fmt: skip
