"""Property inference: learn about a whole training set, such as the share of a class, from a model's answers."""

from __future__ import annotations

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from modelsec_course import validation

__all__ = ["infer_property", "members_with_share"]


def members_with_share(
    y: Tensor, *, label: int, share: float, size: int, models: int, generator: torch.Generator
) -> Tensor:
    """Random training sets in which a class has a given share: bool (models, n), rows of `size` True each.

    y: (n,) int64 labels of the rows to draw from, without replacement.  share: round(share · size) rows of each set
    have `label`, the others have not. Raises ValueError when there are too few of either.
    """
    validation.tensor("y", y)
    validation.labels(y, y)
    validation.number("share", share, low=0.0, high=1.0)
    validation.count("size", size)
    validation.count("models", models)
    if generator is None:
        raise TypeError("generator must be a torch.Generator, but it is None: use runtime.generator(seed)")
    validation.randomness("generator", generator)
    wanted, chosen = round(share * size), torch.zeros(models, len(y), dtype=torch.bool, device=y.device)
    for rows, count in (((y == label).nonzero()[:, 0], wanted), ((y != label).nonzero()[:, 0], size - wanted)):
        if len(rows) < count:
            raise ValueError(f"share = {share} of size = {size} needs {count} rows, but y has only {len(rows)} of them")
        for one in chosen:
            one[rows[torch.randperm(len(rows), generator=generator, device=generator.device)[:count].to(y.device)]] = 1
    return chosen


def infer_property(answers: Tensor, property: Tensor, targets: Tensor) -> Tensor:
    """The probability that each target model's training set has a property, (targets,): a meta-classifier's answer.

    answers: (shadows, probes, classes) logits of shadow models on the attacker's probes.  property: bool (shadows,),
    which of them were trained on a set that has it.  targets: (targets, probes, classes) logits on the same probes.
    A strongly regularised logistic regression on all log-probabilities, since there are more of these than shadows.
    Source: Ateniese et al., 2015, "Hacking Smart Machines with Smarter Ones"; from answers alone: Zhang, Tople &
    Ohrimenko, 2021, "Leakage of Dataset Properties in Multi-Party Machine Learning".
    """
    validation.tensor("answers", answers)
    validation.tensor("property", property)
    validation.tensor("targets", targets)
    if answers.dim() != 3 or targets.dim() != 3 or answers.shape[1:] != targets.shape[1:]:
        raise ValueError(
            "answers and targets must be (models, probes, classes) on the same probes, but are "
            f"{tuple(answers.shape)} and {tuple(targets.shape)}"
        )
    if property.dtype != torch.bool or property.shape != answers.shape[:1] or property.all() or not property.any():
        raise ValueError(f"property must be bool ({len(answers)},) and hold both True and False")
    looks = [logits.detach().log_softmax(2).flatten(1).cpu().double().numpy() for logits in (answers, targets)]
    meta = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    meta.fit(looks[0], property.cpu().numpy())
    return torch.as_tensor(meta.predict_proba(looks[1])[:, 1], dtype=targets.dtype, device=targets.device)
