"""Random tables: columns of every kind, rules of every kind, and honest rows that keep them."""

import torch

from modelsec_course import runtime
from modelsec_course.data.tables import Feature, Schema, count, feature, safe_divide
from modelsec_course.evasion import tabular


def whole(draw, low, high):
    return int(torch.randint(low, high + 1, (), generator=draw))


def uniform(draw, low=0.0, high=1.0):
    return low + (high - low) * float(torch.rand((), generator=draw))


def column(name, draw):
    low = whole(draw, -5, 3)
    high = low + whole(draw, 1, 8)
    kind = "whole" if uniform(draw) < 0.4 else "real"
    cost = (uniform(draw, 0, 3), uniform(draw, 0, 3))
    if uniform(draw) < 0.2:
        cost = (cost[0], torch.inf) if uniform(draw) < 0.5 else (torch.inf, cost[1])
    return Feature(name, low, high, kind, mutable=uniform(draw) < 0.8, cost=cost, scale=uniform(draw, 0.5, 2))


def schema(draw, *, linear=False):
    """Three to six columns, perhaps a group of flags, two rules, and one or two derived columns."""
    names = [f"x{k}" for k in range(whole(draw, 3, 6))]
    features, derived = [column(name, draw) for name in names], {}
    group = tuple(f"flag{k}" for k in range(whole(draw, 2, 3))) if uniform(draw) < 0.4 else ()
    features += [Feature(name, 0, 1, "flag", cost=(1.0, 1.0)) for name in group]
    a, b, c = (feature(name) for name in names[:3])
    derived["sum"] = a * float(whole(draw, 1, 3)) - b
    features.append(Feature("sum", -60, 60, mutable=uniform(draw) < 0.5))
    offset = float(whole(draw, -2, 9))
    relations = {
        "linear": a * float(whole(draw, 1, 2)) + b * float(whole(draw, -2, 2)) <= c + offset,
        "derived": feature("sum") <= float(whole(draw, 4, 20)),
    }
    if not linear:
        derived["ratio"], derived["many"] = safe_divide(a, b, 1.0), count(a > 0, b > c)
        features += [Feature("ratio", -100, 100), Feature("many", 0, 2, "whole")]
        relations["either"] = (b >= 0) | (feature("ratio") <= 2) | (c >= a)
        relations["both"] = (a <= 9) & (c >= -6)
    return Schema(tuple(features), relations, derived, (group,) if group else ())


def anything(table, n, draw):
    """Rows (n, d), float64, with no regard for any rule."""
    noise = 2 * torch.randn(n, len(table.names), generator=draw, dtype=torch.float64)
    return table.vector("low", noise) + 3 + noise * table.vector("scale", noise)


def honest(table, n, draw):
    """Up to n rows that keep the rules: anything, clamped, rounded and derived, if it then does."""
    rows = anything(table, 8 * n, draw)
    low, high = (table.vector(side, rows) for side in ("low", "high"))
    rows = rows.clamp(low, high)
    rows[:, list(table.whole)] = rows[:, list(table.whole)].round()
    for group in table.one_hot:
        k = [table.index(name) for name in group]
        rows[:, k] = torch.nn.functional.one_hot(rows[:, k].argmax(1), len(k)).to(rows)
    rows = table.derive(rows)
    return rows[tabular.feasible(rows, table)][:n]


def worlds(n, rows, *, linear=False, seed=0):
    """n random schemas with rows of each: (schema, honest rows, anything)."""
    draw = runtime.generator(seed)
    while n:
        table = schema(draw, linear=linear)
        reference = honest(table, rows, draw)
        if len(reference):
            n -= 1
            yield table, reference, anything(table, len(reference), draw)
