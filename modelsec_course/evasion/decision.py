"""An attack on a model that says nothing but its class: it walks along the boundary, towards x."""

from __future__ import annotations

import math

import torch

from modelsec_course import runtime, validation
from modelsec_course.evasion.contract import attack
from modelsec_course.evasion.losses import fooled
from modelsec_course.evasion.norms import L2, per_input

__all__ = ["hop_skip_jump"]

BLOCK = 2**22  # numbers in a block of probes


def _pool(name, value):
    if value is None:
        return
    validation.tensor(name, value)
    if not len(value) or not value.is_floating_point() or value.min() < 0 or value.max() > 1:
        raise ValueError(f"{name} must hold at least one picture, of floats in [0, 1]: it is a pool to start from")


@attack(queries=validation.count, starts=validation.count, images=_pool)
@torch.no_grad()
def hop_skip_jump(model, x, y, *, queries=5000, restarts=2, starts=50, images=None, generator=None, spent=None):
    """HopSkipJump: from a picture that fools the model to the closest one found, by decisions alone. L2 only.

    Only the class that the model names is used. From points on the boundary it estimates in which direction the wrong
    class lies (probes around the point vote), steps that way, and bisects back towards x.
    x: (batch, ...) in [0, 1].  y: (batch,) true labels.  queries: the most for each input, the first for x itself.
    restarts: walks that share the queries.  starts: how many points each walk may begin from; the closest is taken.
    images: (n, ...) a pool of pictures in [0, 1] to begin from (default: uniform noise).
    Returns the closest x_adv found, shaped like x, in [0, 1]; an input that the model gets wrong already, or that no
    start fools, comes back as it is.
    Source: Chen, Jordan & Wainwright, 2020, "HopSkipJumpAttack: A Query-Efficient Decision-Based Attack".
    """
    if images is not None and images.shape[1:] != x.shape[1:]:
        raise ValueError(f"images must be shaped like x, (n, *{tuple(x.shape[1:])}), but have {tuple(images.shape)}")
    right = ~fooled(model(x), y)
    walk = _Walk(model, x[right], y[right], (queries - 1) // restarts, restarts, generator or runtime.generator(0))
    for _ in range(min(starts, walk.budget)):
        walk.begin(images)
    turn = 1
    while len(rows := walk.going()):
        walk.hop(rows, turn)
        turn += 1
    x_adv, tries = x.clone(), walk.spent.view(restarts, -1)
    x_adv[right], spent[right] = walk.closest(), tries.sum(0)
    spent += 1
    return x_adv


class _Walk:
    """`restarts` walks for each input, side by side: row r belongs to input r modulo the batch's size."""

    def __init__(self, model, x, y, budget, restarts, generator):
        self.model, self.budget, self.restarts, self.generator = model, budget, restarts, generator
        self.x, self.y = x.repeat(restarts, *[1] * (x.dim() - 1)), y.repeat(restarts)
        self.at = self.x.clone()  # the closest point that fools the model
        self.distance = torch.full_like(self.x.flatten(1)[:, 0], torch.inf)
        self.spent = torch.zeros_like(self.y)
        features = max(2, x.shape[1:].numel())
        self.reach = 1 / features  # of the distance: how far away probes vote
        self.halvings = math.ceil(1.5 * math.log2(features))  # bisects a distance to features ** -1.5 of it

    def fools(self, points, rows):
        """(k,) whether each of points (k, ...) fools the model. What a row has no queries left for does not."""
        paid = self.spent[rows] < self.budget
        says = torch.zeros_like(paid)
        if paid.any():
            says[paid] = fooled(self.model(points[paid]), self.y[rows[paid]])
            self.spent.index_add_(0, rows, paid.long())
        return says

    def toward(self, rows, points, share):
        """The point that lies this share of the way from x to each of points."""
        x = self.x[rows]
        return torch.lerp(x, points, per_input(share, x))

    def begin(self, images):
        """Another start for each row. It is worth bisecting if it fools the model closer to x than the last ones."""
        rows = torch.arange(len(self.x), device=self.x.device)
        if images is None:
            points = self.draw(torch.rand, len(rows))
        else:
            which = torch.randint(len(images), rows.shape, generator=self.generator, device=self.generator.device)
            points = images[which.to(images.device)].to(self.x)
        share = (self.distance / L2.length(points - self.x).clamp_min(1e-12)).clamp_max(1)
        points = self.toward(rows, points, share)
        nearer = self.fools(points, rows)
        self.settle(rows[nearer], points[nearer])

    def settle(self, rows, points):
        """Bisect between x and points that fool the model; keep the result where it is the closest so far."""
        low, high = torch.zeros_like(self.distance[rows]), torch.ones_like(self.distance[rows])
        for _ in range(self.halvings):
            middle = (low + high) / 2
            wrong = self.fools(self.toward(rows, points, middle), rows)
            low, high = torch.where(wrong, low, middle), torch.where(wrong, middle, high)
        points = self.toward(rows, points, high)
        length = L2.length(points - self.x[rows])
        closer = length < self.distance[rows]
        self.at[rows[closer]], self.distance[rows[closer]] = points[closer], length[closer]

    def going(self):
        """The rows that have a point to walk from, and queries for more than looking around once."""
        return (self.distance.isfinite() & (self.budget - self.spent > self.halvings + 30)).nonzero()[:, 0]

    def hop(self, rows, turn):
        """Look around, step towards the wrong class, halve the step until it fools the model, bisect."""
        direction = self.look_around(rows, turn)
        step, points = self.distance[rows] / math.sqrt(turn), self.at[rows]
        moving = torch.ones_like(rows, dtype=torch.bool)
        for _ in range(15):
            trial = torch.add(self.at[rows], direction * per_input(step, direction)).clamp_(0, 1)
            moving[moving.clone()] = ~self.fools(trial[moving], rows[moving])
            points = torch.where(per_input(moving, points), points, trial)
            step = torch.where(moving, step / 2, step)
            if not moving.any():
                break
        self.settle(rows, points)

    def look_around(self, rows, turn):
        """Where the wrong class lies, (k, ...) of length 1: random directions, signed by what the model says there."""
        at, radius = self.at[rows], self.distance[rows] * (0.1 if turn == 1 else self.reach)
        count = (self.budget - self.spent[rows] - self.halvings - 10).clamp_max(int(100 * math.sqrt(turn)))
        signed, plain, votes = torch.zeros_like(at), torch.zeros_like(at), torch.zeros_like(radius)
        block, most = max(1, BLOCK // at.numel()), int(count.max())
        for first in range(0, most, block):
            probe = torch.arange(first, min(first + block, most), device=at.device)
            own = (probe[:, None] < count).nonzero()[:, 1]  # (m,) which point each probe is around
            u = L2.steepest_(self.draw(torch.randn, len(own)))
            points = u.mul_(per_input(radius[own], u)).add_(at[own]).clamp_(0, 1)
            vote = self.fools(points, rows[own]).to(u).mul_(2).sub_(1)
            u = points.sub_(at[own]).div_(per_input(radius[own], u))
            plain.index_add_(0, own, u)
            signed.index_add_(0, own, u.mul_(per_input(vote, u)))
            votes.index_add_(0, own, vote)
        mean = torch.where(votes.abs() == count, 0, votes / count)  # a baseline; if all agree there is none
        return L2.steepest_(signed.sub_(plain.mul_(per_input(mean, plain))))

    def draw(self, kind, n):
        """`kind` (torch.rand or torch.randn) numbers for n inputs, on their device."""
        on = self.generator.device
        return kind(n, *self.x.shape[1:], generator=self.generator, device=on, dtype=self.x.dtype).to(self.x.device)

    def closest(self):
        """For each input the best of its walks."""
        at = self.at.view(self.restarts, -1, *self.x.shape[1:])
        best = self.distance.view(self.restarts, -1).argmin(0)
        return at[best, torch.arange(at.shape[1], device=at.device)]
