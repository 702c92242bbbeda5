"""HopSkipJump: decisions alone lead to the closest boundary, and the distance is one that is known."""

import pytest
import torch
from evasion_cases import network, pictures, still_right
from torch import nn

from modelsec_course import data, runtime
from modelsec_course.evasion import NORMS, deepfool, hop_skip_jump


@pytest.fixture
def boxed(linear, digits, device):
    """Digits and softmax regression seen through u = ¼ + x / 2, so that the box never binds: model, u, y, distance."""
    x, y = digits
    weight, logits = 2 * linear[-1].weight, linear(x)
    gaps, lengths = logits.gather(1, y[:, None]) - logits, (weight[y][:, None] - weight).norm(dim=2).clamp_min(1e-12)
    distance = (gaps / lengths).masked_fill(nn.functional.one_hot(y, 10).bool(), torch.inf).amin(1)
    some = (distance > 0).nonzero().flatten()[:60]
    return (lambda u: linear(2 * (u - 0.25))), 0.25 + x[some] / 2, y[some], distance[some]


def pool(device):
    return 0.25 + data.load("digits").x_train.to(device) / 2


def moved(x_adv, x):
    return NORMS["l2"].length(x_adv - x)


@pytest.mark.parametrize("seed", range(4))
def test_five_thousand_decisions_find_the_closed_form(seed, boxed, device):
    model, u, y, distance = boxed
    spent = torch.zeros_like(y)
    x_adv = hop_skip_jump(
        model, u, y, queries=5000, images=pool(device), generator=runtime.generator(seed), spent=spent
    )
    assert not still_right(model, x_adv, y).any()
    assert spent.max() <= 5000
    ratio = moved(x_adv, u) / distance
    assert ratio.min() > 1 - 1e-4  # nothing is closer than the boundary
    assert ratio.median() < 1.05
    assert ratio.quantile(0.9) < 1.15


def test_more_queries_come_closer_and_bisecting_alone_does_not(boxed, device):
    model, u, y, distance = boxed
    run = lambda **options: moved(hop_skip_jump(model, u, y, images=pool(device), **options), u) / distance  # noqa: E731
    ratios = [run(queries=queries, starts=10).median().item() for queries in (250, 500, 1000, 2500)]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] < 1.15
    control = run(queries=2500, starts=2400, restarts=1)  # the same queries, spent on starts alone
    assert control.median() > 1.4


def test_only_the_class_is_used(boxed, device):
    model, u, y, _ = boxed
    labels = lambda v: nn.functional.one_hot(model(v).argmax(1), 10).to(v) * 7  # noqa: E731
    options = {"queries": 400, "images": pool(device)}
    assert torch.equal(hop_skip_jump(labels, u, y, **options), hop_skip_jump(model, u, y, **options))


def test_on_the_network_it_comes_near_what_gradients_find(cnn, digits):
    x, y = digits[0][:24], digits[1][:24]
    images = data.load("digits").x_train.to(x.device)
    x_adv = hop_skip_jump(cnn, x, y, queries=1500, images=images)
    right = still_right(cnn, x, y)
    assert not still_right(cnn, x_adv, y).any()
    assert torch.equal(x_adv[~right], x[~right])
    assert moved(x_adv, x)[right].median() < 1.25 * moved(deepfool(cnn, x, y), x)[right].median()


def test_what_no_start_fools_and_what_is_wrong_already_come_back_as_they_are(device):
    x, y = pictures(device=device)
    constant = lambda v: v.flatten(1)[:, :10] * 0 + nn.functional.one_hot(y[:1], 10)  # noqa: E731
    spent = torch.zeros_like(y)
    assert torch.equal(hop_skip_jump(constant, x, y, queries=200, starts=30, spent=spent), x)
    assert spent.max() == 1 + 2 * 30  # one query for each start, in two walks
    assert (spent[y != y[0]] == 1).all()


def test_starts_come_from_the_pool(device):
    x, y = torch.zeros(5, 4, device=device), torch.zeros(5, dtype=torch.int64, device=device)
    images = torch.tensor([[1.0, 0, 0, 0]], device=device)
    seen = []

    def model(v):
        seen.append(v.clone())
        return torch.stack([0.5 - v.sum(1), v.sum(1) - 0.5], 1)

    hop_skip_jump(model, x, y, queries=60, starts=1, restarts=1, images=images)
    assert torch.equal(seen[1], images.expand(5, 4))
    assert (torch.stack([v[0] for v in seen[2:5]])[:, 1:] == 0).all()  # bisected on the segment


def test_the_generator_decides_and_walks_differ(device):
    net, (x, y) = network(device).eval(), pictures(4, device=device)
    run = lambda seed: hop_skip_jump(net, x, y, queries=200, generator=runtime.generator(seed))  # noqa: E731
    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


@pytest.mark.parametrize(
    ("images", "kind", "message"),
    [
        (torch.zeros(0, 1, 8, 8), ValueError, "images must hold at least one picture"),
        (torch.full((2, 1, 8, 8), 3.0), ValueError, r"images must hold.*\[0, 1\]"),
        (torch.zeros(2, 64), ValueError, r"images must be shaped like x.*1, 8, 8.*\(2, 64\)"),
        ([1, 2], TypeError, "images must be a tensor"),
    ],
)
def test_a_pool_that_cannot_be_started_from_is_refused(images, kind, message):
    with pytest.raises(kind, match=message):
        hop_skip_jump(network(), *pictures(), images=images)


def test_it_is_no_longer_than_foolbox_with_as_many_queries(boxed):
    foolbox = pytest.importorskip("foolbox")
    model, u, y, distance = boxed
    u, y, distance = u[:8], y[:8], distance[:8]

    class Net(nn.Module):
        def forward(self, v):
            return model(v)

    count = 0

    def counted(*_):
        nonlocal count
        count += len(u)

    net = Net().eval()
    net.register_forward_hook(counted)
    attack = foolbox.attacks.HopSkipJumpAttack(steps=6, max_gradient_eval_steps=250)
    starting = torch.where((model(pool(u.device)[:200]).argmax(1)[None] != y[:, None])[..., None], 1, 0).argmax(1)
    _, theirs, _ = attack(
        foolbox.PyTorchModel(net, bounds=(0, 1), device=u.device),
        u,
        y,
        epsilons=None,
        starting_points=pool(u.device)[starting.flatten()],
    )
    ours = hop_skip_jump(model, u, y, queries=count // len(u), images=pool(u.device))
    assert moved(ours, u).median() <= moved(theirs, u).median()
