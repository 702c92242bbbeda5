"""How robust is this model, at most? The worst case over several attacks, with the doubts that it raises."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modelsec_course import validation
from modelsec_course.evasion import NORMS, ensemble, fooled
from modelsec_course.models import frozen
from modelsec_course.robustness.flags import Flag, black_beats_white, inspect_model, stands_everything, vanished
from modelsec_course.statistics import clopper_pearson

__all__ = ["Evaluation", "Round", "red_flags", "worst_case"]

Attack = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]
STANDS, WRONG = "stands", "wrong already"
LOOKS = 9


@dataclass(frozen=True)
class Round:
    """One attack's turn: how many inputs it was given, how many fell, what it cost for each input it was given."""

    attack: str
    given: int
    fell: int
    queries: float
    gradients: float
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """What `worst_case` found. robust is an upper bound: the next attack may lower it.

    clean, robust: accuracies.  interval: of `robust`, 95 % (Clopper–Pearson), over the choice of inputs.  fell_to: for
    each input the attack's name, "wrong already" or "stands".  x_adv: (batch, ...), what fooled the model or x itself.
    """

    clean: float
    robust: float
    interval: tuple[float, float]
    fell_to: tuple[str, ...]
    rounds: tuple[Round, ...]
    flags: tuple[Flag, ...]
    x_adv: Tensor

    def __repr__(self) -> str:
        low, high = self.interval
        lines = [f"clean accuracy {self.clean:.1%}, at most {self.robust:.1%} robust [{low:.1%}, {high:.1%}]"]
        lines += [f"  {'attack':26}{'given':>6}{'fell':>6}{'queries':>9}{'gradients':>11}{'seconds':>9}"]
        lines += [
            f"  {r.attack:26}{r.given:6}{r.fell:6}{r.queries:9.0f}{r.gradients:11.0f}{r.seconds:9.2f}"
            for r in self.rounds
        ]
        return "\n".join(lines + [f"  red flag: {flag}" for flag in self.flags])


class _Metered(nn.Module):
    """A model that counts the inputs it is asked about, and those whose gradient is taken."""

    def __init__(self, model: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.counts = model, Counter()

    def forward(self, x: Tensor) -> Tensor:
        logits = self.model(x)
        self.counts["queries"] += len(x)
        if logits.requires_grad:
            logits.register_hook(lambda gradient: self.counts.update(gradients=len(gradient)))
        return logits


def worst_case(
    model: nn.Module | Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    attacks: Mapping[str, Attack],
    *,
    eps: float | None = None,
    norm: str = "linf",
) -> Evaluation:
    """Run each attack on what the ones before it left standing; an input is robust if it stands them all.

    model: returns logits (batch, classes).  x: (batch, ...) in [0, 1].  y: (batch,) true labels.
    attacks: attack(model, x, y) -> x_adv by name, white-box ones first: `evasion.ensemble(eps=...)`, or your own.
    eps, norm: if given, an x_adv further from x does not count; one outside [0, 1] never does.
    Right and wrong are counted on the tensor that was returned, by the majority of LOOKS answers: where the model rolls
    dice, an attack gains nothing by a lucky draw and loses nothing by an unlucky one. Raises ValueError for bad input.
    """
    validation.tensor("x", x)
    validation.labels(y, x)
    validation.one_of("norm", norm, NORMS)
    if not len(x) or not attacks:
        raise ValueError("x and attacks must not be empty: there is nothing to evaluate")
    meter, raised = _Metered(model), inspect_model(model, x, y)
    x_adv, fell_to, rounds, tried = x.clone(), [STANDS] * len(x), [], False
    blind = won = gone = 0
    with frozen(meter), torch.no_grad():
        right = ~_errs(meter, x, y)
        for i in (~right).nonzero().flatten().tolist():
            fell_to[i] = WRONG
        standing = right.nonzero().flatten()
        for name, attack in attacks.items():
            if not len(standing):
                break
            found, fell, lucky, turn = _turn(meter, name, attack, x[standing], y[standing], eps, norm)
            x_adv[standing[fell]] = found[fell]
            for i in standing[fell].tolist():
                fell_to[i] = name
            rounds.append(turn)
            blind += turn.fell if tried and not turn.gradients else 0
            tried, standing = tried or bool(turn.gradients), standing[~fell]
            won, gone = won + turn.fell + lucky, gone + lucky
    raised += black_beats_white(blind, len(x)) + vanished(gone, won)
    return Evaluation(
        clean=right.double().mean().item(), robust=len(standing) / len(x), fell_to=tuple(fell_to), x_adv=x_adv,
        interval=clopper_pearson(len(standing), len(x)), rounds=tuple(rounds), flags=tuple(raised),
    )  # fmt: skip


def _turn(
    meter: _Metered, name: str, attack: Attack, x: Tensor, y: Tensor, eps: float | None, norm: str
) -> tuple[Tensor, Tensor, int, Round]:
    """What the attack returned, where it succeeded within its budget (batch,), how often by luck, and what it cost."""
    meter.counts.clear()
    start = time.perf_counter()
    with torch.enable_grad():
        found = attack(meter, x, y)
    seconds, counts = time.perf_counter() - start, dict(meter.counts)
    if not isinstance(found, Tensor) or found.shape != x.shape:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"attack {name!r} must return x_adv shaped like x, {tuple(x.shape)}, but it returned {got}")
    within = ((found >= 0) & (found <= 1)).flatten(1).all(1)
    if eps is not None:
        within &= NORMS[norm].length(found - x) <= eps + 1e-6
    once, won = within & fooled(meter(found), y), within & _errs(meter, found, y)
    lucky = int((once & ~won).sum())
    costs = (counts.get(what, 0) / len(x) for what in ("queries", "gradients"))
    return found.detach(), won, lucky, Round(name, len(x), int(won.sum()), *costs, seconds)


def _errs(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """For whom most of LOOKS answers are wrong (batch,); every second one in other company: batch norm mixes rows."""
    wrong = [fooled(model(x), y) if k % 2 else fooled(model(x.flip(0)).flip(0), y) for k in range(LOOKS)]
    return torch.stack(wrong).double().mean(0) > 0.5


def red_flags(
    model: nn.Module | Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: str = "linf",
    steps: int = 20,
    queries: int = 300,
    generator: torch.Generator | None = None,
) -> tuple[Flag, ...]:
    """Why a robust accuracy of this model at eps might be too good to be true; empty when nothing is amiss.

    Runs `evasion.ensemble` with few steps and queries, then an attack at ε = 1, beside what `worst_case` looks at.
    x: (batch, channels, height, width) in [0, 1].  y: (batch,) true labels.
    Source: Carlini et al., 2019, "On Evaluating Adversarial Robustness", section 4.
    """
    with frozen(model), torch.no_grad():
        classes = model(x[:1]).shape[1]
    options = {"norm": norm, "steps": steps, "queries": queries, "classes": classes, "generator": generator}
    found = worst_case(model, x, y, ensemble(eps=eps, **options), eps=eps, norm=norm)
    return found.flags + tuple(stands_everything(model, x, y))
