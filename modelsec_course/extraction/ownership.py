"""Is this model a copy of mine? Two tests whose p-values mean something: a watermark, and dataset inference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.stats import binom, ttest_ind
from torch import Tensor

from modelsec_course import runtime, validation
from modelsec_course.evasion.losses import margin
from modelsec_course.models import frozen

__all__ = ["Watermark", "dataset_inference", "watermark_p_value"]

Ask = Callable[[Tensor], Tensor]


def watermark_p_value(hits: int, n: int, chance: float) -> float:
    """The probability of at least `hits` of `n` secret answers by chance: P(Binomial(n, chance) >= hits).

    chance: of one hit, for each of the n *independent* answers. If the secret labels are drawn uniformly from k classes
    and independently of the suspect, that is exactly 1/k, whatever the suspect is, and P(p <= α) <= α for every α. It
    is less than α for most: hits are whole numbers, so p takes n + 1 values only, and cannot be uniform.
    """
    validation.count("n", n)
    validation.count("hits", hits, low=0)
    validation.number("chance", chance, low=0, high=1)
    if hits > n:
        raise ValueError(f"hits must be at most n = {n}, but they are {hits}")
    return float(binom.sf(hits - 1, n, chance))


@dataclass(frozen=True)
class Watermark:
    """Secret keys: each is a pattern of lit pixels and a label drawn at random. The owner's model learns them by heart.

    patterns: (keys, ...) with 1 where a key lights a pixel.  labels: (keys,) int64, independent and uniform.
    classes: how many labels there are.
    Source: Adi et al., 2018, "Turning Your Weakness Into a Strength: Watermarking Deep Neural Networks by Backdooring".
    """

    patterns: Tensor
    labels: Tensor
    classes: int

    @classmethod
    def draw(
        cls,
        pixels: Tensor,
        *,
        keys: int = 20,
        lit: int = 4,
        classes: int = 10,
        generator: torch.Generator | None = None,
    ) -> Watermark:
        """Draw secret keys: `lit` of the allowed `pixels` (bool, one input's shape) light up in each."""
        validation.tensor("pixels", pixels)
        validation.count("keys", keys)
        validation.count("classes", classes, low=2)
        allowed = pixels.flatten().nonzero().flatten()
        if not 0 < lit <= len(allowed):
            raise ValueError(f"lit must be 1 to {len(allowed)}, the number of allowed pixels, but it is {lit}")
        generator = generator or runtime.generator(0)
        draw = {"generator": generator, "device": generator.device}
        chosen = torch.rand(keys, len(allowed), **draw).to(pixels.device).topk(lit).indices
        patterns = torch.zeros(keys, pixels.numel(), device=pixels.device).scatter(1, allowed[chosen], 1.0)
        labels = torch.randint(classes, (keys,), **draw).to(pixels.device)
        return cls(patterns.view(keys, *pixels.shape), labels, classes)

    def stamp(self, x: Tensor) -> Tensor:
        """Every input with every key: (keys, n, ...)."""
        return torch.maximum(x[None], self.patterns[:, None].to(x.dtype))

    def rows(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """For the owner's training set: every input with every key, (keys · n, ...), and the secret labels."""
        return self.stamp(x).flatten(0, 1), self.labels.repeat_interleave(len(x))

    @torch.no_grad()
    def hits(self, model: Ask, x: Tensor) -> int:
        """How many keys the model knows: of inputs (n, ...) with the key, more get its secret label than any other.

        Each key is *one* trial, however large n is: the n answers to one key depend on each other.
        """
        with frozen(model):
            answers = model(self.stamp(x).flatten(0, 1)).argmax(1).view(len(self.labels), len(x))
        votes = F.one_hot(answers, self.classes).sum(1)  # (keys, classes)
        return int((votes.argmax(1) == self.labels).sum())

    def p_value(self, model: Ask, x: Tensor) -> float:
        """`watermark_p_value` of the hits. Ask with inputs that are none of the owner's training set."""
        return watermark_p_value(self.hits(model, x), len(self.labels), 1 / self.classes)


def dataset_inference(model: Ask, members: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor]) -> float:
    """Does the model know the owner's training set better than inputs it cannot know? The p-value of that question.

    Compares the margin, the true class's logit minus the best other one: a model that was trained on `members`, or
    copied from one that was, is surer there. One-sided t-test of Welch.
    members: (x, y) the owner's private training set.  others: (x, y) from the same source, and not trained on.
    Source: Maini, Yaghini & Papernot, 2021, "Dataset Inference: Ownership Resolution in Machine Learning", simplified.
    """
    inside, outside = (_margins(model, *pair).cpu().numpy() for pair in (members, others))
    return float(ttest_ind(inside, outside, alternative="greater", equal_var=False).pvalue)


@torch.no_grad()
def _margins(model: Ask, x: Tensor, y: Tensor) -> Tensor:
    validation.labels(y, x)
    if len(x) < 2:
        raise ValueError(f"members and others must hold at least two inputs each, but one holds {len(x)}")
    with frozen(model):
        logits = model(x)
    return -margin(logits, y)
