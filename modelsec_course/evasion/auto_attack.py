"""A fixed ensemble of strong attacks without a knob to turn, for numbers that can be compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from modelsec_course import runtime, validation
from modelsec_course.evasion.auto_pgd import apgd
from modelsec_course.evasion.blackbox import square_attack
from modelsec_course.evasion.contract import attack
from modelsec_course.evasion.losses import fooled

__all__ = ["auto", "ensemble"]


def ensemble(
    *,
    eps: float,
    norm: str = "linf",
    steps: int = 100,
    queries: int = 5000,
    classes: int = 10,
    generator: torch.Generator | None = None,
) -> dict[str, Callable[..., Tensor]]:
    """The members by name, in the order in which they are run: for `robustness.worst_case(model, x, y, ensemble(...))`.

    steps: of each APGD climb.  queries: of the black-box attack, for each input.  classes: below four, the margin takes
    the place of the targeted DLR loss.
    """
    common = {"eps": eps, "norm": norm, "generator": generator or runtime.generator(0)}
    aimed = {"loss": "dlr-targeted"} if classes >= 4 else {"loss": "margin", "restarts": max(classes - 1, 1)}
    return {
        "APGD, cross-entropy": partial(apgd, steps=steps, **common),
        "APGD, every target": partial(apgd, steps=steps, **aimed, **common),
        "Square, black-box": partial(square_attack, queries=queries, at_once=8, **common),
    }


@attack(queries=validation.count)
def auto(model, x, y, *, eps, norm="linf", steps=100, queries=5000, generator=None):
    """APGD on the cross-entropy, APGD towards every class, Square: each only on the inputs that still stand.

    x: (batch, channels, height, width) in [0, 1].  y: (batch,) true labels.  eps: radius of the ball.
    Returns x_adv, shaped like x, in [0, 1] and within eps of x.
    Source: Croce & Hein, 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
    Parameter-free Attacks", section 6; theirs runs the minimum-norm attack FAB as well.
    """
    with torch.no_grad():
        logits = model(x)
    x_adv, standing = x.clone(), (~fooled(logits, y)).nonzero().flatten()
    options = {"norm": norm, "steps": steps, "queries": queries, "generator": generator}
    for member in ensemble(eps=eps, classes=logits.shape[1], **options).values():
        if not len(standing):
            break
        x_adv[standing] = member(model, x[standing], y[standing])
        with torch.no_grad():
            standing = standing[~fooled(model(x_adv[standing]), y[standing])]
    return x_adv
