"""Lab 08: flipped labels, triggers, detectors of poison, and votes that few poisons cannot turn."""

from __future__ import annotations

import functools
import itertools
import math

import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from modelsec_course import data, models, poisoning, runtime, training
from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close

LAB = Lab(
    number="08",
    title="Poisoning and backdoors",
    question="Can training data be trusted?",
    minutes=80,
    difficulty=3,
    prerequisites=("Lab 01, for PGD", "how PyTorch trains a network"),
    outcomes=(
        "poison a training set: spoil a model for everybody, or plant a backdoor that only you can open",
        "count a backdoor's success without counting what needs no trigger",
        "look for poison with three detectors, and set their thresholds on clean models",
        "prove how many poisoned rows a prediction withstands",
    ),
    seconds=35,
    part="Integrity at training time",
    stage="data",
)

# ----------------------------------------------------------------------------------------------------- 08.flip_labels


def _labels(n: int = 900, classes: int = 6) -> Tensor:
    return torch.randint(classes, (n,), generator=runtime.generator(1))


def _flips_exactly(flip):
    """Exactly `count` labels are wrong, at the indices it returns"""
    y = _labels()
    for count, systematic in itertools.product((0, 1, 300, 900), (False, True)):
        flipped, indices = flip(y, count, 6, runtime.generator(0), systematic)
        wrong = (flipped != y).nonzero().flatten().tolist()
        expect(len(wrong) == count, f"count = {count}, systematic = {systematic}: {len(wrong)} labels are wrong")
        expect(sorted(indices.tolist()) == wrong, f"count = {count}: the indices are not those of the wrong labels")
        expect(
            flipped.min() >= 0 and flipped.max() < 6,
            f"with 6 classes, labels go from 0 to 5, but there are {int(flipped.min())} to {int(flipped.max())}",
        )


def _flips_systematically(flip):
    """Systematic: class c becomes c + 1, and the last becomes 0"""
    y = _labels()
    flipped, indices = flip(y, 400, 6, runtime.generator(0), True)
    expect_close(flipped[indices], (y[indices] + 1) % 6, 0, "the flipped labels")


def _flips_evenly(flip):
    """Random: every other class is equally likely, and so is every row"""
    y, steps, chosen = _labels(300), torch.zeros(6), torch.zeros(300)
    for seed in range(60):
        flipped, indices = flip(y, 100, 6, runtime.generator(seed), False)
        steps += ((flipped - y)[indices] % 6).bincount(minlength=6)
        chosen[indices] += 1
    even, spread = 6000 / 5, math.sqrt(6000 * 0.2 * 0.8)
    gap = (steps[1:] - even).abs().max() / spread
    say = ", ".join(f"{int(n)}" for n in steps[1:])
    expect(gap < 5, f"the five other classes came {say} times, expected about {even:.0f} each")
    gap = (chosen - 20).abs().max() / math.sqrt(60 * (1 / 3) * (2 / 3))
    expect(gap < 5, f"rows were chosen {int(chosen.min())} to {int(chosen.max())} times, expected about 20 each")


def _flips_draw(flip):
    """Draws from `generator`: the same seed, the same rows"""
    y = _labels()
    one, same, other = (flip(y, 50, 6, runtime.generator(seed), False) for seed in (1, 1, 2))
    expect_close(same[0], one[0], 0, "the labels when the seed is the same")
    expect((one[0] != other[0]).any(), "another seed flips the same labels the same way")


def _labels_and_indices(result, args, kwargs) -> None:
    y = kwargs.get("y", args[0] if args else None)
    pair = isinstance(result, tuple) and len(result) == 2 and all(isinstance(part, Tensor) for part in result)
    expect(pair, "expected two tensors: the labels with the wrong ones among them, and the indices of the wrong ones")
    expect(result[0].shape == y.shape, f"labels: expected {tuple(y.shape)}, got {tuple(result[0].shape)}")
    expect(result[1].dtype == torch.int64, f"indices: expected int64 numbers of rows, got {result[1].dtype}")


def flip_labels(y, count, classes, generator, systematic=False):
    mapping = (torch.arange(classes, device=y.device) + 1) % classes if systematic else None
    return poisoning.flip_labels(y, count, classes=classes, mapping=mapping, generator=generator)


def _flip_one_by_one(y, count, classes, generator, systematic=False, *, high=None, low=1, rows=None):
    flipped, order = y.clone(), torch.randperm(len(y), generator=generator).tolist()
    chosen = (rows(len(y), count, generator) if rows else order[:count]) if count else []
    for i in chosen:
        others = [c for c in range(classes) if c != y[i]] if low else list(range(classes))
        pick = int(torch.randint(high or len(others), (1,), generator=generator))
        flipped[i] = (y[i] + 1) % classes if systematic else others[pick]
    return flipped, torch.tensor(chosen, dtype=torch.int64)


def _flip_in_place(y, count, classes, generator, systematic=False):
    flipped, indices = flip_labels(y, count, classes, generator, systematic)
    y[indices] = flipped[indices]
    return y, indices


def _flip_without_wrapping(y, count, classes, generator, systematic=False):
    flipped, indices = flip_labels(y, count, classes, generator, systematic)
    return (flipped.index_put((indices,), y[indices] + 1) if systematic else flipped), indices


exercise(
    "08.flip_labels",
    title="Wrong labels",
    reference=flip_labels,
    properties=[_flips_exactly, _flips_systematically, _flips_evenly, _flips_draw],
    hints=[
        "Which rows? `torch.randperm(len(y), generator=generator)[:count]` never names one twice; `randint` does.",
        "A wrong label is the right one plus 1, 2, … or classes − 1, modulo `classes`. Systematic: always plus 1.",
        "`step = torch.randint(1, classes, (count,), generator=generator)`, then "
        "`flipped = y.clone(); flipped[indices] = (y[indices] + step) % classes`.",
    ],
    second=_flip_one_by_one,
    returns=_labels_and_indices,
    mutants={
        "draws rows with replacement": functools.partial(
            _flip_one_by_one, rows=lambda n, count, g: torch.randint(n, (count,), generator=g).tolist()
        ),
        "the new label may be the old one": functools.partial(_flip_one_by_one, low=0),
        "never the last of the other classes": functools.partial(_flip_one_by_one, high=4),
        "always the first rows": functools.partial(_flip_one_by_one, rows=lambda n, count, g: list(range(count))),
        "writes into y": _flip_in_place,
        "the last class becomes one more": _flip_without_wrapping,
        "draws from nowhere": lambda y, count, classes, generator, systematic=False: flip_labels(
            y, count, classes, runtime.generator(0), systematic
        ),
    },
)

# --------------------------------------------------------------------------------------------------- 08.stamp_trigger


def _stamping() -> tuple[Tensor, Tensor, Tensor]:
    draw = runtime.generator(2)
    mask = torch.tensor([[0.0, 0.0, 0.25], [0.0, 0.5, 1.0], [0.0, 1.0, 1.0]])
    return torch.rand(4, 1, 3, 3, generator=draw), mask, torch.rand(3, 3, generator=draw)


def _stamp_by_hand(stamp):
    """One pixel by hand: black, pattern 0.8, mask 0.5, strength 0.5 → 0.2"""
    x, mask, pattern = torch.zeros(1, 1, 1, 1), torch.full((1, 1), 0.5), torch.full((1, 1), 0.8)
    expect_close(stamp(x, mask, pattern, 0.5), [[[[0.2]]]], 1e-6, "the pixel")
    expect_close(stamp(x + 1, mask, pattern, 0.5), [[[[0.95]]]], 1e-6, "the pixel, white before")


def _stamp_outside(stamp):
    """Where the mask is 0 nothing changes; where it is 1, at full strength, the pattern stands"""
    x, mask, pattern = _stamping()
    got = stamp(x, mask, pattern, 1.0)
    expect_close(got[..., mask == 0], x[..., mask == 0], 1e-6, "pixels outside the mask")
    expect_close(got[..., mask == 1], pattern[mask == 1].expand(4, 1, -1), 1e-6, "pixels inside the mask")


def _stamp_strength(stamp):
    """Strength 0 changes nothing, and the change grows in proportion"""
    x, mask, pattern = _stamping()
    expect_close(stamp(x, mask, pattern, 0.0), x, 1e-6, "the pictures at strength 0")
    whole = stamp(x, mask, pattern, 1.0) - x
    for strength in (0.2, 0.7):
        expect_close(stamp(x, mask, pattern, strength) - x, strength * whole, 1e-6, f"the change at {strength}")


def _stamp_stays(stamp):
    """Pixels stay in [0, 1] without being cut off"""
    draw = runtime.generator(3)
    x = torch.randint(2, (50, 1, 3, 3), generator=draw).float()
    got = stamp(x, torch.ones(3, 3), torch.rand(3, 3, generator=draw), 0.3)
    expect(got.min() >= 0 and got.max() <= 1, f"pixels go from {got.min():.2f} to {got.max():.2f}")
    expect(got[x == 1].max() < 1, "white pixels stay white, although the pattern is darker: do not add, mix")


def stamp_trigger(x, mask, pattern, strength):
    return poisoning.Trigger(pattern, mask, strength)(x)


exercise(
    "08.stamp_trigger",
    title="Stamp a trigger on pictures",
    reference=stamp_trigger,
    properties=[_stamp_by_hand, _stamp_outside, _stamp_strength, _stamp_stays],
    hints=[
        "Each pixel becomes a mixture of itself and the pattern. How much of each? That is what mask and strength say.",
        "The pattern's share is `strength * mask`, the picture's share is what is left of 1.",
    ],
    second=lambda x, mask, pattern, strength: torch.lerp(x, pattern.expand_as(x), (strength * mask).expand_as(x)),
    mutants={
        "adds instead of mixing": lambda x, m, p, s: (x + s * m * p).clamp(0, 1),
        "forgets the strength": lambda x, m, p, s: (1 - m) * x + m * p,
        "wipes the mask first": lambda x, m, p, s: (1 - m) * x + s * m * p,
        "blends the whole picture": lambda x, m, p, s: (1 - s) * x + s * m * p,
        "writes into x": lambda x, m, p, s: x.copy_((1 - s * m) * x + s * m * p),
        "stamps by threshold": lambda x, m, p, s: torch.where(m > 0, (1 - s) * x + s * p, x),
    },
)

# -------------------------------------------------------------------------------------------------- 08.attack_success


class _Reader(nn.Module):
    """A model that says what the first pixel holds, in tenths."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.one_hot((x.flatten(1)[:, 0] * 10).round().long(), 10).float()


_reader = _Reader()


def _says(*labels: int) -> Tensor:
    return (torch.tensor(labels) / 10).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()


def _success_by_hand(success):
    """Five pictures by hand: of the three that are not 7s, the trigger turns two"""
    x, y = _says(7, 7, 1, 2, 3), torch.tensor([7, 7, 1, 2, 3])

    def trigger(z):
        return torch.where(z > 0.25, z, 0.7)  # 1 and 2 become 7; 3 stays

    expect_close(success(_reader, x, y, trigger, 7), 2 / 3, 1e-6, "the success")


def _success_target_class(success):
    """A trigger that does nothing has success 0, however many pictures are of the target class"""
    y = torch.tensor([7, 7, 7, 1, 2])
    expect_close(success(_reader, _says(*y), y, lambda z: z, 7), 0.0, 1e-6, "the success")
    expect_close(success(_reader, _says(*y), y, lambda z: z * 0 + 0.7, 7), 1.0, 1e-6, "the success of a perfect one")


def _success_other_errors(success):
    """Wrong is not enough: only the target class counts"""
    y = torch.tensor([1, 2, 3, 4])
    got = success(_reader, _says(*y), y, lambda z: torch.where(z > 0.35, 0.7, 0.9), 7)
    expect_close(got, 1 / 4, 1e-6, "the success when three pictures are called 9 and one is called 7")


def _success_truth(success):
    """What is left out depends on the true label, not on what the model says without the trigger"""
    x, y = _says(7, 1, 2, 3), torch.tensor([1, 1, 2, 3])  # the first is a 1 that the model misreads
    expect_close(success(_reader, x, y, lambda z: torch.where(z > 0.25, z, 0.7), 7), 3 / 4, 1e-6, "the success")


def attack_success(model, x, y, trigger, target):
    return poisoning.attack_success(model, x, y, trigger=trigger, target=target)


def _success_one_by_one(model, x, y, trigger, target):
    turned = [int(model(trigger(x[i : i + 1])).argmax()) == target for i in range(len(x)) if y[i] != target]
    return sum(turned) / len(turned)


def _said(model, x):
    return model(x).argmax(1)


exercise(
    "08.attack_success",
    title="What counts as a success",
    reference=attack_success,
    properties=[_success_by_hand, _success_target_class, _success_other_errors, _success_truth],
    hints=[
        "Which pictures would be called `target` without any trigger? Their success proves nothing.",
        "Keep `others = y != target`, stamp only those, and count how many the model calls `target`.",
    ],
    second=_success_one_by_one,
    mutants={
        "counts the target class too": lambda model, x, y, trigger, target: (
            (_said(model, trigger(x)) == target).float().mean().item()
        ),
        "divides by all pictures": lambda model, x, y, trigger, target: (
            ((_said(model, trigger(x)) == target) & (y != target)).float().mean().item()
        ),
        "counts every error": lambda model, x, y, trigger, target: (
            (_said(model, trigger(x)) != y)[y != target].float().mean().item()
        ),
        "forgets the trigger": lambda model, x, y, trigger, target: (
            (_said(model, x) == target)[y != target].float().mean().item()
        ),
        "leaves out by the model's word": lambda model, x, y, trigger, target: (
            (_said(model, trigger(x)) == target)[_said(model, x) != target].float().mean().item()
        ),
    },
)

# ------------------------------------------------------------------------------------------------- 08.spectral_scores


@functools.cache
def _poisoned_class() -> tuple[Tensor, Tensor]:
    """Activations (n, 128) of the rows labelled 0 in a network with a backdoor, and which are poison."""
    digits = data.load("digits")
    x, y, indices = poisoning.backdoor(digits.x_train, digits.y_train, 43, trigger=poisoning.patch(), target=0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    models.initialise(net, runtime.generator(0))
    training.fit(net, x, y, epochs=15, lr=3e-3, progress=False)
    bad = torch.zeros(len(y), dtype=torch.bool)
    bad[indices] = True
    return poisoning.activations(net, x[y == 0]), bad[y == 0]


def _cloud(n: int = 40, d: int = 6) -> Tensor:
    """Rows around a far mean, spread most along a slanted direction."""
    draw = runtime.generator(4)
    turn = torch.linalg.qr(torch.randn(d, d, generator=draw)).Q
    return torch.randn(n, d, generator=draw) * torch.tensor([4.0, 2, 1, 1, 0.5, 0.5]) @ turn + 9


def _spectral_line(scores):
    """Rows on a line: the squared distance to their mean"""
    along = torch.tensor([0.0, 1.0, 2.0, 9.0])
    got = scores(5 + along[:, None] * torch.tensor([0.6, 0.8, 0.0]))
    expect_close(got, (along - 3).square(), 1e-4, "the scores of rows at 0, 1, 2 and 9 on a line")


def _spectral_oracle(scores):
    """In general: the squared coordinate along the main axis of the covariance"""
    rows = _cloud().double()
    centred = rows - rows.mean(0)
    axis = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -1]
    expect_close(scores(rows), (centred @ axis).square(), 1e-6, "the scores")


def _spectral_moves(scores):
    """Moving all rows changes nothing; doubling them makes the scores four times as large"""
    rows = _cloud().double()
    plain = scores(rows)
    expect_close(scores(rows + 50), plain, 1e-6, "the scores of rows that are moved by 50")
    expect_close(scores(2 * rows), 4 * plain, 1e-6, "the scores of doubled rows")


def _spectral_finds(scores):
    """On a network with a backdoor: most poisoned rows are among the highest"""
    features, bad = _poisoned_class()
    top = scores(features).argsort(descending=True)[: int(1.5 * bad.sum())]
    found = (bad[top].sum() / bad.sum()).item()
    expect(found > 0.75, f"{found:.0%} of 43 poisoned rows are among the 64 highest scores, expected nearly all")


def _one_number_a_row(result, args, kwargs) -> None:
    features = kwargs.get("features", args[0] if args else None)
    expect(isinstance(result, Tensor), f"expected a tensor, got a {type(result).__name__}")
    shape = tuple(result.shape)
    expect(shape == (len(features),), f"expected one number for each of {len(features)} rows, got the shape {shape}")


def _spectral(features, *, centre=True, axis=0, kind="V"):
    rows = features - features.mean(0) if centre else features
    u, _, v = torch.linalg.svd(rows, full_matrices=False)
    return u[:, axis].square() if kind == "U" else (rows @ v[axis]).square()


def _spectral_by_eigh(features):
    spread = torch.cov(features.T)
    return ((features - features.mean(0)) @ torch.linalg.eigh(spread).eigenvectors[:, -1]) ** 2


exercise(
    "08.spectral_scores",
    title="Spectral signatures",
    reference=poisoning.spectral_scores,
    properties=[_spectral_line, _spectral_oracle, _spectral_moves, _spectral_finds],
    hints=[
        "Subtract the mean row first. `torch.linalg.svd(rows, full_matrices=False)` returns U, S and Vh.",
        "The direction of largest spread is `Vh[0]`, a unit vector (d,). How far does each centred row reach along it?",
    ],
    second=_spectral_by_eigh,
    returns=_one_number_a_row,
    mutants={
        "forgets to centre": functools.partial(_spectral, centre=False),
        "the direction of least spread": functools.partial(_spectral, axis=-1),
        "does not square": lambda f: _spectral(f).sqrt(),
        "takes U, which has lost the scale": functools.partial(_spectral, kind="U"),
        "the whole distance, in all directions": lambda f: (f - f.mean(0)).square().sum(1),
        "divides each column by its spread": lambda f: _spectral((f - f.mean(0)) / f.std(0).clamp_min(1e-9)),
    },
)

# --------------------------------------------------------------------------------------------- 08.activation_clusters


def _blobs(few: int, many: int, *, few_first: bool, gap: float = 8.0) -> tuple[Tensor, Tensor]:
    draw = runtime.generator(few)
    small = torch.arange(few + many) < few
    small = small if few_first else ~(torch.arange(few + many) < many)
    return torch.randn(few + many, 20, generator=draw) + gap * small[:, None] * torch.eye(20)[3] + 5, small


def _clusters_split(cluster):
    """Two clouds of rows: flags the smaller one, wherever its rows stand"""
    for few, many, first in ((12, 60, True), (12, 60, False), (30, 45, True), (30, 45, False)):
        rows, small = _blobs(few, many, few_first=first)
        wrong = int((cluster(rows) != small).sum())
        expect(wrong == 0, f"clouds of {few} and {many} rows: {wrong} rows are on the wrong side")


def _clusters_order(cluster):
    """The order of rows and where they lie do not matter"""
    rows, small = _blobs(20, 80, few_first=True)
    order = torch.randperm(100, generator=runtime.generator(5))
    expect_close(cluster(rows[order]).float(), small[order].float(), 0, "the flags of shuffled rows")
    expect_close(cluster(rows - 40).float(), small.float(), 0, "the flags of rows that are moved by −40")


def _clusters_far(cluster):
    """One cloud only: still two parts, and the flagged one is not the larger"""
    rows = torch.randn(80, 5, generator=runtime.generator(6))
    flagged = int(cluster(rows).sum())
    expect(1 <= flagged <= 40, f"{flagged} of 80 rows are flagged, expected 1 to 40")


def _clusters_find(cluster):
    """On a network with a backdoor: the flagged rows are the poison"""
    features, bad = _poisoned_class()
    flags = cluster(features)
    recall, precision = (flags & bad).sum() / bad.sum(), (flags & bad).sum() / flags.sum().clamp_min(1)
    say = f"flags {recall:.0%} of the poison, and {precision:.0%} of what it flags is poison"
    expect(recall > 0.75 and precision > 0.8, say)


def _flags(result, args, kwargs) -> None:
    _one_number_a_row(result, args, kwargs)
    expect(result.dtype == torch.bool, f"expected True or False for each row, got {result.dtype}")


def activation_clusters(features):
    return poisoning.activation_clusters(features).small


def _halves(features, n=2):
    found = KMeans(n, n_init=5, random_state=0).fit_predict(features.numpy())
    return torch.as_tensor(found)


def _main_axis(features):
    rows = features - features.mean(0)
    return rows @ torch.linalg.svd(rows, full_matrices=False).Vh[0]


def _clusters_by_lloyd(features):
    """Two means by hand, begun at the ends of the main axis."""
    along = _main_axis(features)
    centres = features[[int(along.argmin()), int(along.argmax())]]
    for _ in range(30):
        near = torch.cdist(features, centres).argmin(1)
        centres = torch.stack([features[near == k].mean(0) for k in (0, 1)])
    return near == near.bincount(minlength=2).argmin()


exercise(
    "08.activation_clusters",
    title="Activation clustering",
    reference=activation_clusters,
    properties=[_clusters_split, _clusters_order, _clusters_far, _clusters_find],
    hints=[
        "`PCA(10).fit_transform(rows)` keeps ten directions, `KMeans(2, n_init=10, random_state=0).fit_predict(rows)` "
        "splits the rows in two. Both take `features.cpu().numpy()`; of fewer columns than ten, keep all.",
        "k-means calls its clusters 0 and 1 in no particular order. `labels.sum()` counts the ones: which are fewer?",
        "Return flags as a tensor: `torch.as_tensor(labels == small, device=features.device)`.",
    ],
    second=_clusters_by_lloyd,
    returns=_flags,
    mutants={
        "flags the larger one": lambda f: ~activation_clusters(f),
        "flags cluster 1, whichever that is": lambda f: _halves(f) == 1,
        "flags the cluster of the first row": lambda f: _halves(f) == _halves(f)[0],
        "always flags half": lambda f: _main_axis(f) > _main_axis(f).median(),
        "flags what is large": lambda f: f.norm(dim=1) > f.norm(dim=1).mean(),
        "three clusters": lambda f: _halves(f, 3) == _halves(f, 3).bincount().argmin(),
    },
)

# -------------------------------------------------------------------------------------------- 08.partition_certificate


def _withstands(votes: list[int], changed: int) -> bool:
    """Brute force: does the first of the largest stay, however `changed` voters vote otherwise?"""
    classes, winner = range(len(votes)), votes.index(max(votes))
    moves = [move for move in itertools.product(classes, classes) if move[0] != move[1]]
    for chosen in itertools.combinations_with_replacement(moves, changed):
        now = list(votes)
        for source, goal in chosen:
            now[source] -= 1
            now[goal] += 1
        legal = all(votes[c] >= sum(source == c for source, _ in chosen) for c in classes)
        if legal and now.index(max(now)) != winner:
            return False
    return True


@functools.cache
def _exact(votes: tuple[int, ...]) -> int:
    return next(r for r in itertools.count() if r >= sum(votes) or not _withstands(list(votes), r + 1))


def _certificate_known(certify):
    """30 votes against 12 withstand 9; a tie goes to the class that comes first"""
    winner, radius = certify(torch.tensor([[12, 30, 8], [30, 12, 8], [5, 4, 0], [4, 5, 0], [5, 5, 0]]))
    expect_close(winner, [1, 0, 0, 1, 0], 0, "the winners")
    expect_close(radius, [8, 9, 0, 0, 0], 0, "the radii of 12:30:8, 30:12:8, 5:4:0, 4:5:0, 5:5:0")


def _certificate_brute(certify):
    """Equal to brute force, for every vote of seven or fewer among three classes"""
    for total in (1, 4, 7):
        rows = [v for v in itertools.product(range(total + 1), repeat=3) if sum(v) == total]
        winner, radius = certify(torch.tensor(rows))
        for votes, won, got in zip(rows, winner.tolist(), radius.tolist(), strict=True):
            expect(won == votes.index(max(votes)), f"votes {votes}: the winner is {votes.index(max(votes))}, got {won}")
            want = min(_exact(votes), total)
            if want < total:  # else nothing can turn it
                expect(got == want, f"votes {votes}: {want} voters may change and no more, but radius says {got}")


def _certificate_sound(certify):
    """Random votes of 50 voters: nobody with that many voters turns the winner"""
    draw = runtime.generator(7)
    votes = torch.multinomial(torch.rand(200, 5, generator=draw), 50, replacement=True, generator=draw)
    votes = nn.functional.one_hot(votes, 5).sum(1)
    winner, radius = certify(votes)
    for goal in range(5):
        moved = votes.clone()
        rows = torch.arange(200)
        step = torch.minimum(radius, votes[rows, winner])
        moved[rows, winner] -= step
        moved[:, goal] += step
        bad = (moved.argmax(1) != winner) & (winner != goal)
        expect(not bad.any(), f"votes {votes[bad][0].tolist() if bad.any() else ''} were turned within their radius")


def _two_rows_of_numbers(result, args, kwargs) -> None:
    pair = isinstance(result, tuple) and len(result) == 2 and all(isinstance(part, Tensor) for part in result)
    expect(pair, "expected two tensors: the winners and their radii")
    votes = kwargs.get("votes", args[0] if args else None)
    for name, part in zip(("winner", "radius"), result, strict=True):
        expect(part.shape == votes.shape[:1], f"{name}: expected {len(votes)} numbers, got shape {tuple(part.shape)}")
        expect(not part.is_floating_point(), f"{name}: expected whole numbers, got {part.dtype}")


def _certificate_one_by_one(votes):
    winners, radii = [], []
    for row in votes.tolist():
        won = row.index(max(row))
        gaps = [row[won] - n - (c < won) for c, n in enumerate(row) if c != won]
        winners.append(won)
        radii.append(min(gaps) // 2)
    return torch.tensor(winners), torch.tensor(radii)


def _certificate_of_two(votes, *, tie="none", half=True):
    """From the two largest alone."""
    top = votes.topk(2, dim=1)
    winner, gap = votes.argmax(1), top.values[:, 0] - top.values[:, 1]
    if tie == "always":
        gap = gap - 1
    if tie == "reversed":
        gap = gap - ((votes == top.values[:, 1:]).int().flip(1).argmax(1) < votes.shape[1] - 1 - winner).long()
    return winner, (gap // 2 if half else gap).clamp_min(0)


def _certificate_runner_up(votes):
    """Looks for a tie only at the last of those that come second."""
    winner = votes.argmax(1)
    rest = votes.scatter(1, winner[:, None], -1)
    second = rest.shape[1] - 1 - rest.flip(1).argmax(1)
    gap = votes.amax(1) - rest.amax(1) - (second < winner).long()
    return winner, gap // 2


exercise(
    "08.partition_certificate",
    title="How many poisoned rows a vote withstands",
    reference=poisoning.partition_certificate,
    properties=[_certificate_known, _certificate_brute, _certificate_sound],
    hints=[
        "A voter who leaves the winner for another class closes the gap between them by 2.",
        "For each other class c the gap is n₁ − n_c, less 1 if c comes before the winner: then a tie is lost. Half of "
        "it, rounded down, withstands; the smallest over c counts.",
        "`needed = votes + (classes < winner[:, None])`, with −1 in the winner's place; then "
        "`(n1 - needed.amax(1)) // 2`.",
    ],
    second=_certificate_one_by_one,
    returns=_two_rows_of_numbers,
    mutants={
        "forgets ties": _certificate_of_two,
        "loses every tie": functools.partial(_certificate_of_two, tie="always"),
        "ties the wrong way round": functools.partial(_certificate_of_two, tie="reversed"),
        "does not halve": functools.partial(_certificate_of_two, half=False),
        "sees only one of two runners-up": _certificate_runner_up,
        "one too many": lambda votes: (
            poisoning.partition_certificate(votes)[0],
            poisoning.partition_certificate(votes)[1] + 1,
        ),
    },
)

QUIZ = (
    Question(
        "A backdoored model is as accurate on the test set as a clean one. Why?",
        (
            "the test set was poisoned as well",
            "the trigger is not on any test input, and the rest of the training set is as it was",
            "the attacker chose the weights by hand",
        ),
        1,
        (
            "Nobody touched it. It has no trigger in it, which is why it shows nothing.",
            "So a test accuracy cannot tell a backdoored model from a clean one.",
            "The attacker only added rows; ordinary training did the rest.",
        ),
    ),
    Question(
        "30 % of the labels are wrong. When does that hurt a network most?",
        (
            "when the wrong labels are drawn at random",
            "when all wrong labels of a class agree on one other class",
            "it makes no difference: 30 % is 30 %",
        ),
        1,
        (
            "Then each wrong class gets a ninth of them, and the right label keeps a large majority.",
            "Then there is a second answer to learn. At one half it has as many votes as the right one.",
            "It makes a large one: what counts is whether the errors agree.",
        ),
    ),
    Question(
        "Your detector flags 95 % of all poisoned rows. What do you have to know before you use it?",
        (
            "how many clean rows and clean models it flags",
            "which library it comes from",
            "nothing else: 95 % is enough",
        ),
        0,
        (
            "Flagging everything finds all poison. Run it where there is none, and set its threshold there.",
            "That says nothing about your data.",
            "A detector that flags everything reaches 100 %.",
        ),
    ),
    Question(
        "A partition ensemble of 50 certifies a radius of 12 for one input. What is proved?",
        (
            "the label is right",
            "the label stays, whichever 12 rows an attacker adds, removes or relabels",
            "the label stays, whichever 12 rows an attacker rewrites",
        ),
        1,
        (
            "It may be wrong. A certificate is about change, not truth.",
            "Each such row reaches one part, so at most 12 votes move.",
            "A rewritten row leaves one part and enters another: it costs two votes, so 6 are proved.",
        ),
    ),
)
