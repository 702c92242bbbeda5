"""A learner may rename parameters: what the lab says by the reference's names reaches them by position."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def names(f: Callable) -> list[str]:
    """The names of the parameters, less *args and **kwargs; none of what has no signature."""
    try:
        return [p.name for p in inspect.signature(f).parameters.values() if p.kind not in VARIABLE]
    except (TypeError, ValueError):
        return []


def renames(f: Callable, reference: Callable) -> dict[str, str]:
    """What `f` calls the parameters of `reference` that it has not: those left over on both sides, in their order."""
    ours, theirs = names(reference), names(f)
    return dict(zip((n for n in ours if n not in theirs), (n for n in theirs if n not in ours), strict=False))


def by_position(f: Callable, reference: Callable) -> Callable:
    """`f` that also understands the reference's names for its parameters; `f` itself if it has the same."""
    new = renames(f, reference)
    if not new:
        return f

    @functools.wraps(f)
    def renamed(*args, **kwargs):
        return f(*args, **{new.get(name, name): value for name, value in kwargs.items()})

    return renamed
