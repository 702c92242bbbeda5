"""RMIA, an attack for few shadow models: does a record stand out more than those which were surely not there?"""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course import validation
from modelsec_course.membership.likelihood import fit_together

__all__ = ["rmia"]


def rmia(
    target: Tensor,
    population: Tensor,
    shadows: Tensor,
    shadows_population: Tensor,
    members: Tensor,
    *,
    gamma: float = 1.0,
    a: float = 0.3,
) -> Tensor:
    """The share of others z that a record x outdoes, p(x|θ)/p(x) ≥ γ · p(z|θ)/p(z): a score, higher means member.

    target: (..., n) the attacked model's probability of each record's true label.  population: (..., m) the same for
    records that no model was trained on.  shadows: (models, n) and shadows_population: (models, m) the same of shadow
    models.  members: bool (models, n).  gamma: above 0, how much more x must stand out.
    p(x) is the mean over shadows without x, out, raised towards what shadows with x would add: ((1 + a)·out + 1 − a)/2,
    a in [0, 1]. Ties are broken by p(x|θ)/p(x), by less than one z counts.
    Source: Zarifzadeh, Liu & Shokri, 2024, "Low-Cost High-Power Membership Inference Attacks", eq. 5 and 10.
    """
    validation.positive("gamma", gamma)
    validation.number("a", a, low=0, high=1)
    fit_together(target, shadows, members)
    fit_together(population, shadows_population, torch.zeros_like(shadows_population, dtype=torch.bool))
    for name, value in (("target", target), ("shadows", shadows), ("population", population)):
        if value.min() < 0 or value.max() > 1 + 1e-6:
            raise ValueError(f"{name} must hold probabilities of the true label, in [0, 1]: use softmax on the logits")
    absent = (~members).sum(0)
    out = torch.where(members, 0, shadows).sum(0) / absent.clamp_min(1)
    out = torch.where(absent > 0, out, shadows[~members].mean() if absent.any() else shadows.mean())
    ratio = target / _marginal(out, a)  # (..., n)
    others = (population / _marginal(shadows_population.mean(0), a)).sort(-1).values
    beaten = torch.searchsorted(others, (ratio / gamma).contiguous(), right=True)
    return (beaten + ratio / (1 + ratio)) / (population.shape[-1] + 1)


def _marginal(out: Tensor, a: float) -> Tensor:
    return ((1 + a) * out + 1 - a).clamp_min(1e-12) / 2
