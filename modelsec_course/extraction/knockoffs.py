"""Knock-offs: train a model of your own on the victim's answers."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from modelsec_course import runtime, validation
from modelsec_course.models import frozen

__all__ = ["active_knockoff", "agreement", "imitate", "knockoff", "mixtures"]

Ask = Callable[[Tensor], Tensor]


def mixtures(x: Tensor, n: int, *, noise: float = 0.1, generator: torch.Generator | None = None) -> Tensor:
    """`n` queries from a few public inputs: each a random blend of two of them, with a little noise, in [0, 1].

    x: (m, ...) in [0, 1], none of them in the test set.  noise: its standard deviation.
    """
    validation.tensor("x", x)
    validation.count("n", n)
    validation.number("noise", noise, low=0)
    generator = generator or runtime.generator(0)
    draw = {"generator": generator, "device": generator.device}
    one, other = torch.randint(len(x), (2, n), **draw).to(x.device)
    share = torch.rand(n, *[1] * (x.dim() - 1), **draw).to(x)
    blend = torch.lerp(x[other], x[one], share)
    return (blend + noise * torch.randn(blend.shape, **draw).to(x)).clamp(0, 1)


def imitate(
    student: nn.Module,
    x: Tensor,
    answers: Tensor,
    *,
    epochs: int = 40,
    lr: float = 5e-3,
    batch_size: int = 64,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> nn.Module:
    """Train `student` in place with Adam until it answers as the victim did; returns it in eval mode.

    x: (n, ...).  answers: probabilities (n, classes), or int64 labels (n,).  generator: orders the batches.
    """
    validation.module("student", student)
    validation.count("epochs", epochs)
    validation.positive("lr", lr)
    validation.count("batch_size", batch_size)
    _answers(x, answers)
    generator = generator or runtime.generator(0)
    optimiser = torch.optim.Adam(student.parameters(), lr, fused=True)
    student.train()
    for _ in tqdm(range(epochs), desc="copying", unit="epoch", leave=False, disable=not progress):
        order = torch.randperm(len(x), generator=generator, device=generator.device).to(x.device)
        for some, said in zip(x[order].split(batch_size), answers[order].split(batch_size), strict=True):
            loss = F.cross_entropy(student(some), said)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    return student.eval()


def knockoff(victim: Ask, x: Tensor, student: nn.Module, **training) -> nn.Module:
    """Ask the victim about every row of x, once, and train `student` on the answers, probabilities or labels.

    x: (n, ...), of which the test set must hold none.  training: as for `imitate`.  Returns the student.
    Source: Orekondy, Schiele & Fritz, 2019, "Knockoff Nets: Stealing Functionality of Black-Box Models".
    """
    return imitate(student, x, victim(x), **training)


def active_knockoff(
    victim: Ask,
    pool: Tensor,
    student: nn.Module,
    *,
    queries: int,
    rounds: int = 5,
    generator: torch.Generator | None = None,
    **training,
) -> nn.Module:
    """A knock-off that chooses: after each round, ask about the inputs of `pool` where the copy is least sure.

    pool: (m, ...) candidates, m >= queries, which cost nothing until they are asked about.  queries: in all, in equal
    rounds; the first is drawn at random.  training: as for `imitate`.  Returns the student.
    Source: Pal et al., 2020, "ActiveThief: Model Extraction Using Active Learning and Unannotated Public Data".
    """
    validation.count("rounds", rounds)
    validation.count("queries", queries, low=rounds)
    if len(pool) < queries:
        raise ValueError(f"pool must hold at least queries = {queries} inputs, but it holds {len(pool)}")
    generator = generator or runtime.generator(0)
    unsure = torch.rand(len(pool), generator=generator, device=generator.device).to(pool.device)
    asked, answers = torch.zeros(0, dtype=torch.int64, device=pool.device), None
    for k in range(rounds):
        more = unsure.topk(queries * (k + 1) // rounds - len(asked)).indices
        new = victim(pool[more])
        asked, answers = torch.cat([asked, more]), new if answers is None else torch.cat([answers, new])
        imitate(student, pool[asked], answers, generator=generator, **training)
        with torch.no_grad():
            first, second = student(pool).softmax(1).topk(2, dim=1).values.T
        unsure = (second - first).index_fill(0, asked, -torch.inf)
    return student


@torch.no_grad()
def agreement(model: Ask, other: Ask, x: Tensor) -> float:
    """The share of inputs (n, ...) to which both models give the same label; their logits decide."""
    validation.tensor("x", x)
    if not len(x):
        raise ValueError("x must hold at least one input")
    with frozen(model), frozen(other):
        return (model(x).argmax(1) == other(x).argmax(1)).double().mean().item()


def _answers(x: Tensor, answers: Tensor) -> None:
    validation.tensor("x", x)
    validation.tensor("answers", answers)
    if not len(x) or len(answers) != len(x):
        raise ValueError(f"x must hold one input for each answer, but there are {len(x)} and {len(answers)}")
    if not answers.is_floating_point():
        validation.labels(answers, x, "answers")
    elif answers.dim() != 2 or (answers < 0).any() or ((answers.sum(1) - 1).abs() > 1e-3).any():
        raise ValueError(
            "answers must be labels (n,), or probabilities (n, classes) that sum to 1, as softmax(1) gives"
        )
