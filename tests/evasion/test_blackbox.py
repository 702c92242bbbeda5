"""Attacks that only ask: what a query is, that none is wasted, miscounted or too many, and what they reach."""

import itertools
from functools import partial

import pytest
import torch
from evasion_cases import network, pictures, robust_accuracy, still_right

from modelsec_course import data, models, runtime, training
from modelsec_course.evasion import (
    LOSSES,
    NORMS,
    fgsm,
    hop_skip_jump,
    nes,
    nes_gradient,
    pgd,
    square_attack,
    transfer,
)
from modelsec_course.evasion.squares import PROPOSALS, _bumps

EPS = {"linf": 0.1, "l2": 0.7}
ASKING = {
    **{f"nes-{norm}": partial(nes, eps=eps, norm=norm, samples=8) for norm, eps in EPS.items()},
    **{f"square-{norm}": partial(square_attack, eps=eps, norm=norm) for norm, eps in EPS.items()},
    **{f"squares-{norm}": partial(square_attack, eps=eps, norm=norm, at_once=7) for norm, eps in EPS.items()},
    "hop-skip-jump": partial(hop_skip_jump, starts=4),
}


class Counted:
    """A model that knows whose every query is: the input's that lies nearest, and no two lie near each other."""

    def __init__(self, model, x):
        self.model, self.x = model, x
        self.asked, self.shown = torch.zeros(len(x), dtype=torch.int64, device=x.device), []

    def __call__(self, v):
        owners = torch.cdist(v.flatten(1), self.x.flatten(1)).argmin(1)
        self.asked += torch.bincount(owners, minlength=len(self.x))
        self.shown.append((owners, v.clone()))
        return self.model(v)


def far_apart(n=24):
    """Pictures of noise, each more than 2 away from all others, and what the network says to them."""
    x = torch.rand(n, 1, 8, 8, generator=runtime.generator(3))
    return network().eval(), x, network().eval()(x).argmax(1)


# ------------------------------------------------------------------------------------------------ the slope


def quadratic(curvature, slope):
    return lambda v: 0.5 * ((v @ curvature) * v).sum(1) + v @ slope


@pytest.mark.parametrize("sigma", [0.01, 1.0])
def test_the_estimated_slope_of_a_quadratic_has_no_bias(sigma):
    # E[(s(x + σu) − s(x − σu)) / 2σ · u] = E[u uᵀ] (A x + b) = A x + b, whatever σ is; its variance is known too
    generator = runtime.generator(0)
    curvature, slope = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((5, 5), (5,)))
    curvature = curvature + curvature.T
    x = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    exact, samples = x @ curvature + slope, 40_000
    got = nes_gradient(quadratic(curvature, slope), x, sigma=sigma, samples=samples, generator=generator)
    spread = (exact.square().sum(1, keepdim=True) + exact.square()).sqrt() / (samples / 2) ** 0.5
    assert ((got - exact).abs() < 4.5 * spread).all()


def test_the_slope_is_estimated_from_as_many_scores_as_samples(device):
    asked = []
    nes_gradient(lambda v: asked.append(len(v)) or v.sum(1), torch.zeros(3, 2, device=device), samples=6)
    assert asked == [3] * 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 5}, "samples must be even.*5"),
        ({"samples": 0}, "samples must be at least 2"),
        ({"sigma": 0.0}, "sigma must be above 0"),
    ],
)
def test_a_slope_of_odd_samples_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        nes_gradient(lambda v: v.sum(1), torch.zeros(1, 2), **options)


# ------------------------------------------------------------------------------------------------ queries


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("queries", [1, 2, 3, 17, 150])
def test_every_query_is_counted_and_none_is_one_too_many(name, queries):
    x, y = pictures(8)

    def run(which):
        spent, asked = torch.full_like(y[which], -1), []
        model = lambda v: asked.append(len(v)) or network().eval()(v)  # noqa: E731
        ASKING[name](model, x[which], y[which], queries=queries, spent=spent)
        assert spent.sum() == sum(asked)
        assert spent.min() >= 1
        assert spent.max() <= queries
        return spent

    assert (run(slice(None))[4:] == 1).all()  # wrong already: the first query says so
    for i in range(4):
        run(slice(i, i + 1))  # alone there is nobody else whose queries these could be


@pytest.mark.parametrize("name", [name for name in ASKING if name != "hop-skip-jump"])
def test_the_queries_are_counted_for_the_right_input_which_is_left_alone_once_it_has_fallen(name):
    net, x, y = far_apart()
    counted, spent = Counted(net, x), torch.zeros_like(y)
    x_adv = ASKING[name](counted, x, y, queries=120, spent=spent)
    assert torch.equal(counted.asked, spent)
    assert spent.unique().numel() > 4  # they fall one by one
    last = {int(i): shown[owners == i] for owners, shown in counted.shown for i in owners}
    fallen = ~still_right(net, x_adv, y)
    assert all((last[i] == x_adv[i]).flatten(1).all(1).any() for i in fallen.nonzero().flatten().tolist())


@pytest.mark.parametrize("name", ASKING)
def test_the_first_query_is_x_and_no_query_leaves_the_box(name, cnn, digits):
    x, y = (t[:24] for t in digits)
    counted = Counted(cnn, x)
    ASKING[name](counted, x, y, queries=200)
    assert torch.equal(counted.shown[0][1], x)
    assert all(v.min() >= 0 and v.max() <= 1 for _, v in counted.shown)


def test_spent_must_be_able_to_hold_the_counts():
    x, y = pictures()
    for spent in (torch.zeros(3, dtype=torch.int64), torch.zeros(12), y.to("meta")):
        with pytest.raises(ValueError, match=r"spent must be like y.*zeros_like"):
            nes(network(), x, y, eps=0.1, queries=5, samples=2, spent=spent)
    with pytest.raises(TypeError, match="spent must be a tensor"):
        nes(network(), x, y, eps=0.1, queries=5, samples=2, spent=[0] * 12)


def test_spent_is_filled_in_inference_mode_too():
    x, y = pictures()
    with torch.inference_mode():
        spent = torch.zeros_like(y)
        square_attack(network(), x, y, eps=0.1, queries=5, spent=spent)
    assert spent.max() <= 5
    assert spent.min() >= 1


# ------------------------------------------------------------------------------------------------ the attacks


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("at_once", [1, 6])
def test_squares_score_never_falls(norm, loss, targeted, at_once):
    # so what still stands comes back as the best that was ever asked; and no query repeats the best so far
    net, x, y = far_apart()
    y = (y + 1) % 10 if targeted else y
    counted, eps = Counted(net, x), {"linf": 0.03, "l2": 0.2}[norm]
    x_adv = square_attack(counted, x, y, eps=eps, norm=norm, loss=loss, queries=80, targeted=targeted, at_once=at_once)
    best, kept = torch.full((24,), -torch.inf), torch.full_like(x, torch.nan)

    @torch.no_grad()
    def score(v, owners):
        return (-1 if targeted else 1) * LOSSES[loss](net(v), y[owners])

    for owners, shown in counted.shown:
        assert norm == "l2" or not (shown == kept[owners]).flatten(1).all(1).any()
        standing = len(owners.unique())
        for row, who in zip(shown.split(standing), owners.split(standing), strict=True):  # the squares asked together
            now = score(row, who)
            better = now > best[who]
            best[who[better]], kept[who[better]] = now[better], row[better]
    stands = still_right(net, x_adv, y) != targeted
    assert stands.sum() > 5
    torch.testing.assert_close(score(x_adv, torch.arange(24))[stands], best[stands])


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize("name", ["square", "squares", "nes"])
def test_more_queries_fool_no_fewer(name, norm, cnn, digits):
    x, y = digits[0][:80], digits[1][:80]
    attack = ASKING[f"{name}-{norm}"]
    robust = [robust_accuracy(cnn, attack(cnn, x, y, queries=queries), y) for queries in (1, 30, 100, 400)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(robust)), robust
    assert robust[0] > 0.95
    assert robust[-1] < 0.8


@pytest.mark.parametrize("norm", EPS)
def test_squares_asked_together_fool_as_many_query_for_query(norm, cnn, digits):
    def broken(at_once, seed):
        attack = partial(ASKING[f"square-{norm}"], queries=300, at_once=at_once, generator=runtime.generator(seed))
        return 1 - robust_accuracy(cnn, attack(cnn, *digits), digits[1])

    one, eight = (sum(broken(at_once, seed) for seed in range(2)) / 2 for at_once in (1, 8))
    assert one > 0.2
    assert eight > one - 0.03


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize("name", ["square", "squares", "nes"])
def test_on_a_linear_model_nothing_falls_that_must_stand_and_most_falls_that_can(name, norm, linear, digits):
    x, y = 0.25 + digits[0][:120] / 2, digits[1][:120]  # here the box does not bind
    model, eps = lambda u: linear(2 * (u - 0.25)), {"linf": 0.05, "l2": 0.3}[norm]
    weight, logits = 2 * linear[-1].weight, model(x)
    lengths = torch.linalg.vector_norm(weight[y][:, None] - weight, ord={"linf": 1, "l2": 2}[norm], dim=2)
    distance = (logits.gather(1, y[:, None]) - logits) / lengths.clamp_min(1e-12)
    distance = distance.masked_fill(torch.nn.functional.one_hot(y, 10).bool(), torch.inf).amin(1)
    stands = still_right(model, ASKING[f"{name}-{norm}"](model, x, y, eps=eps, queries=400), y)
    assert stands[distance > eps * (1 + 1e-4)].all()
    assert stands.double().mean() - (distance > eps).double().mean() < 0.3
    assert (~stands).double().mean() > 0.2


@pytest.mark.parametrize("name", ["square", "squares", "nes"])
def test_a_random_change_of_the_same_size_and_as_many_queries_does_less(name, cnn, digits):
    x, y = digits[0][:100], digits[1][:100]
    generator, stands = runtime.generator(0), still_right(cnn, x, y)
    for _ in range(200):
        signs = torch.randint(2, x.shape, generator=generator).to(x) * 2 - 1
        stands &= still_right(cnn, (x + 0.1 * signs).clamp(0, 1), y)
    attacked = robust_accuracy(cnn, ASKING[f"{name}-linf"](cnn, x, y, queries=200), y)
    assert attacked < stands.double().mean().item() - 0.1


def test_a_square_is_painted_in_full_and_always_changes_something():
    x = (torch.rand(50, 3, 8, 8, generator=runtime.generator(0)) * 1.4 - 0.2).clamp(0, 1)
    generator = runtime.generator(1)
    start = PROPOSALS["linf"](x, x, None, 0.1, generator)
    stripes = PROPOSALS["linf"](x * 0 + 0.5, x, None, 0.1, generator) - 0.5
    assert (stripes.std(2) < 1e-6).all()  # vertical: a column has one sign
    assert (stripes.std(3) > 0.01).any()
    for area in (0.5, 0.1, 0.001):
        painted = PROPOSALS["linf"](x, start, area, 0.1, generator)
        changed = painted != start
        assert changed.flatten(1).any(1).all()
        assert changed.flatten(1).sum(1).max() <= 3 * max(1, round(8 * area**0.5)) ** 2
        ends = torch.stack([(x - 0.1).clamp(0, 1), (x + 0.1).clamp(0, 1)])
        assert (ends == painted).any(0).all()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 10), (1, 1, 30), (2, 2, 2), (1, 3, 1)])
def test_the_l2_square_spends_the_whole_ball_where_the_box_lets_it(shape):
    x = torch.full((20, *shape), 0.5)
    generator, current = runtime.generator(0), x
    for area in (None, 0.8, 0.3, 0.05, 0.001):
        current = PROPOSALS["l2"](x, current, area, 0.2, generator)
        torch.testing.assert_close(NORMS["l2"].length(current - x), torch.full((20,), 0.2))


def test_the_bumps_of_the_l2_square_are_the_papers():
    # n = 1: the centre is Σ 1/k² over k = 1, 2, the ring around it 1/2²
    bumps = _bumps(6, 3, torch.zeros(1))
    assert bumps.shape == (6, 3)
    torch.testing.assert_close(bumps[:3], -bumps[3:])
    torch.testing.assert_close(bumps[1, 1] / bumps[0, 0], torch.tensor(5.0))
    torch.testing.assert_close(bumps.norm(), torch.tensor(1.0))


# ------------------------------------------------------------------------------------------------ transfer


def test_transfer_asks_once_for_x_and_once_for_each_surrogate_until_one_fools():
    x, y = pictures()
    steps = [0.0, 0.02, 0.3]
    crafted = lambda k, x, y: fgsm(network(), x, y, eps=steps[k])  # noqa: E731
    surrogates = [partial(int, k) for k in range(3)]
    spent = torch.zeros_like(y)
    x_adv = transfer(network(), x, y, attack=lambda k, x, y: crafted(k(), x, y), surrogates=surrogates, spent=spent)
    fallen = torch.stack([~still_right(network().eval(), crafted(k, x, y), y) for k in range(3)])
    first = torch.where(fallen.any(0), fallen.int().argmax(0), 2)
    assert torch.equal(spent, torch.where(~still_right(network().eval(), x, y), 1, first + 2))
    for i in range(12):
        expected = crafted(int(first[i]), x, y)[i] if fallen[:, i].any() else x[i]
        torch.testing.assert_close(x_adv[i], expected, rtol=0, atol=1e-6)


def test_a_model_that_is_its_own_surrogate_is_attacked_in_the_open(cnn, digits):
    x, y = digits[0][:40], digits[1][:40]
    attack = partial(pgd, eps=0.1, steps=10)
    borrowed, own = transfer(cnn, x, y, attack=lambda m, x, y: attack(m, x, y), surrogates=[cnn]), attack(cnn, x, y)
    assert robust_accuracy(cnn, borrowed, y) == pytest.approx(robust_accuracy(cnn, own, y), abs=0.03)


def test_a_full_climb_transfers_better_than_a_first_success_and_both_better_than_noise(cnn, digits):
    x, y = digits
    known = data.load("digits").to(x.device)
    surrogate = models.initialise(models.cnn(), runtime.generator(7)).to(x.device)
    training.fit(surrogate, known.x_train, known.y_train, epochs=8, generator=runtime.generator(8), progress=False)
    left = {}
    for stop in (True, False):
        attack = partial(pgd, eps=0.15, steps=20, stop_early=stop)
        left[stop] = robust_accuracy(cnn, transfer(cnn, x, y, attack=attack, surrogates=[surrogate]), y)
    assert left[False] < left[True] - 0.1
    assert left[True] < 0.9


@pytest.mark.parametrize("surrogates", [[], None, 3, ["model"], network()])
def test_transfer_without_models_of_ones_own_is_refused(surrogates):
    with pytest.raises(TypeError, match="surrogates must be a list"):
        transfer(network(), *pictures(), attack=fgsm, surrogates=surrogates)


def test_records_are_taken_as_pictures_of_one_row(device):
    x, y = (
        torch.rand(20, 30, generator=runtime.generator(0)).to(device),
        torch.zeros(20, dtype=torch.int64, device=device),
    )
    model = lambda v: torch.stack([v[:, :15].sum(1), v[:, 15:].sum(1)], 1)  # noqa: E731
    y = model(x).argmax(1)
    for norm, eps in (("linf", 0.2), ("l2", 1.5)):
        x_adv = square_attack(model, x, y, eps=eps, norm=norm, queries=200)
        assert x_adv.shape == x.shape
        assert not still_right(model, x_adv, y).any()


# ------------------------------------------------------------------------------------------------ the oracle


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.1), ("l2", 0.6)])
def test_square_fools_at_least_as_many_as_torchattacks(norm, eps, cnn, digits):
    torchattacks = pytest.importorskip("torchattacks")
    x, y = digits[0][:100], digits[1][:100]
    peer = torchattacks.Square(cnn, norm={"linf": "Linf", "l2": "L2"}[norm], eps=eps, n_queries=150, loss="margin")
    ours = square_attack(cnn, x, y, eps=eps, norm=norm, queries=150)  # theirs asks once more, for the start
    assert still_right(cnn, ours, y).sum() <= still_right(cnn, peer(x, y), y).sum()
