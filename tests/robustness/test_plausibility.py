"""Plausible regions: quantiles by their definition; the worst case within them against closed forms and samples."""

import pytest
import torch

from modelsec_course import runtime
from modelsec_course.robustness import furthest, plausible, plausible_range


def correlated(n=400, seed=0):
    draw = runtime.generator(seed)
    size = torch.randn(n, 1, generator=draw)
    return torch.cat([size, size + 0.05 * torch.randn(n, 1, generator=draw), torch.randn(n, 1, generator=draw)], 1)


def test_ranges_are_the_quantiles_of_each_column():
    x = torch.stack([torch.arange(101.0), 1000 - 2 * torch.arange(101.0)], 1)[torch.randperm(101)]
    low, high = plausible_range(x, 0.9)
    torch.testing.assert_close(low, torch.tensor([5.0, 810.0]))
    torch.testing.assert_close(high, torch.tensor([95.0, 990.0]))
    assert torch.equal(torch.stack(plausible_range(x, 1.0)), torch.stack([x.amin(0), x.amax(0)]))


def test_ranges_miss_what_relations_see():
    x = correlated()
    odd = torch.tensor([[1.0, -1.0, 0.0]])  # each value is common, the pair never occurs
    assert plausible(x).admits(odd)
    assert not plausible(x, relations=True).admits(odd)
    assert plausible(x, 1.0, relations=True).admits(x).float().mean() > 0.99  # up to rounding at the extremes


def test_more_columns_refuse_more_honest_records_than_the_share_says():
    x = torch.randn(2000, 30, generator=runtime.generator(1))
    refused = 1 - plausible(x[:1000]).admits(x[1000:]).float().mean()
    assert 0.2 < refused < 0.35  # 1 − 0.99^30 = .26


def test_without_limits_the_worst_case_is_the_closed_form():
    x, w = correlated(), torch.tensor([1.0, -2.0, 0.5])
    wide = plausible(100 * x)
    x_adv, reached = furthest(x, w, 0.3, wide)
    assert reached.all()
    torch.testing.assert_close(x_adv, x + 0.3 * w.sign())


def test_within_ranges_alone_the_worst_case_is_each_columns_own():
    x, w = correlated(), torch.tensor([1.0, -2.0, 0.5])
    region = plausible(x, 0.8)
    x_adv, reached = furthest(x, w, 0.3, region)
    least, most = torch.maximum(x - 0.3, region.low), torch.minimum(x + 0.3, region.high)
    assert torch.equal(reached, (least <= most).all(1))
    assert reached.float().mean() < 1
    torch.testing.assert_close(x_adv[reached], torch.where(w > 0, most, least)[reached])
    assert torch.equal(x_adv[~reached], x[~reached])


def test_with_relations_the_result_is_plausible_and_no_sample_does_better():
    x, w = correlated(), torch.tensor([1.0, -2.0, 0.5])
    region = plausible(x, 0.98, relations=True)
    some = x[:20]
    x_adv, reached = furthest(some, w, 0.4, region)
    assert reached.sum() > 10
    assert ((x_adv - some).abs() <= 0.4 + 1e-5).all()
    along = x_adv @ region.directions.T
    assert (along[reached] <= region.high_along + 1e-5).all()
    assert (along[reached] >= region.low_along - 1e-5).all()
    tried = some + 0.4 * (2 * torch.rand(20_000, *some.shape, generator=runtime.generator(4)) - 1)
    fits = region.admits(tried.flatten(0, 1)).view(20_000, 20)
    best = torch.where(fits, tried @ w, -torch.inf).amax(0)
    assert (best <= x_adv @ w + 1e-5)[reached].all()
    assert not fits[:, ~reached].any()
    assert (best > (some @ w))[reached].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_region_admits_what_it_returns(dtype):
    draw = runtime.generator(5)
    x = (torch.randn(300, 4, generator=draw) @ torch.randn(4, 30, generator=draw)).to(dtype)
    x = x + 0.2 * torch.randn(300, 30, generator=draw, dtype=dtype)
    region, w = plausible(x, relations=True), torch.randn(30, generator=draw, dtype=dtype)
    x_adv, reached = furthest(x[:60], w, 0.3, region)
    assert reached.sum() > 30
    assert region.admits(x_adv)[reached].all()
    assert (x_adv @ w > x[:60] @ w)[reached & region.admits(x[:60])].all()


def test_bad_arguments_are_refused():
    x = correlated()
    with pytest.raises(ValueError, match="share must lie in"):
        plausible_range(x, 99)
    with pytest.raises(ValueError, match=r"x must be floats \(n, d\)"):
        plausible_range(x[0])
    with pytest.raises(ValueError, match=r"w and the region's ranges"):
        furthest(x, torch.ones(2), 0.1, plausible(x))
    with pytest.raises(ValueError, match="eps must lie in"):
        furthest(x, torch.ones(3), -0.1, plausible(x))
