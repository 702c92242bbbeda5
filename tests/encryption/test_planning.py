"""A plan fits the published limits, SEAL accepts it, and what fits nowhere is told before anything is computed."""

import pytest

from modelsec_course.encryption import LIMITS, SEAL_LIMITS, flooding_bits, plan


def test_the_limits_are_the_published_ones():
    assert LIMITS == {4096: 106, 8192: 214, 16384: 430, 32768: 868}
    assert {4096: 109, 8192: 218, 16384: 438}.items() <= SEAL_LIMITS.items()
    assert all(SEAL_LIMITS[n] > bits for n, bits in LIMITS.items())


@pytest.mark.parametrize(
    ("depth", "scale", "n", "chain"),
    [
        (1, 24, 4096, (38, 24, 38)),
        (1, 36, 8192, (50, 36, 50)),
        (3, 36, 8192, (50, 36, 36, 36, 50)),
        (4, 40, 16384, (54, 40, 40, 40, 40, 54)),
        (15, 45, 32768, (59, *[45] * 15, 59)),
    ],
)
def test_the_smallest_ring_that_is_secure(depth, scale, n, chain):
    made = plan(depth, scale=scale)
    assert (made.n, made.chain, made.depth, made.slots) == (n, chain, depth, n // 2)
    assert made.bits == sum(chain) <= LIMITS[n]
    smaller = [ring for ring in LIMITS if ring < n]
    assert all(sum(chain) > LIMITS[ring] for ring in smaller)


@pytest.mark.parametrize(("depth", "scale", "whole"), [(1, 24, 14), (1, 36, 14), (3, 36, 14), (5, 40, 20), (2, 58, 2)])
def test_seal_accepts_every_plan_and_computes_so_deep_and_no_deeper(depth, scale, whole):
    tenseal = pytest.importorskip("tenseal")
    made = plan(depth, scale=scale, whole=whole)
    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, made.n, coeff_mod_bit_sizes=list(made.chain))
    context.global_scale = 2.0**made.scale
    number = tenseal.ckks_vector(context, [1.0, -0.5])
    for _ in range(depth):
        number = number * 1.5
    assert number.decrypt() == pytest.approx([1.5**depth, -0.5 * 1.5**depth], rel=0.02)
    with pytest.raises(ValueError, match="scale out of bounds"):
        number * 1.5


def test_a_plan_that_an_older_table_allows_is_refused_and_the_table_named():
    with pytest.raises(
        ValueError, match=r"109 bits together and at n=4096 may have 106 \(SEAL accepts it, by an older"
    ):
        plan(1, scale=29, whole=11, n=4096)


def test_what_fits_nowhere_says_what_would():
    with pytest.raises(ValueError, match="take n=16384 or scale=37"):
        plan(3, scale=40, n=8192)
    with pytest.raises(ValueError, match="less deep"):
        plan(60, scale=40)
    plan(3, scale=37, n=8192)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n": 1024}, "n must be one of 4096, 8192, 16384, 32768"),
        ({"scale": 55}, r"scale \+ whole must lie in \[20, 60\]"),
        ({"scale": 10}, r"scale must lie in \[20, 60\]"),
        ({"whole": 1}, "whole"),
    ],
)
def test_numbers_that_no_prime_has_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        plan(1, **wrong)


def test_depth_and_width_are_checked():
    made = plan(1, scale=24)
    made.refuse_depth(1)
    made.refuse_width(2000, 49)
    with pytest.raises(ValueError, match="2 multiplications need 4 primes"):
        made.refuse_depth(2)
    with pytest.raises(ValueError, match=r"2000 inputs and 50 outputs are more than n/2 \+ 1 = 2049"):
        made.refuse_width(2000, 50)


def test_what_a_proof_costs():
    assert flooding_bits() == pytest.approx(15 + 1.792, abs=1e-3)  # √12 · 2^15
    assert flooding_bits(100, security=40) == pytest.approx(20 + 5.114, abs=1e-3)
    with pytest.raises(ValueError, match="queries"):
        flooding_bits(0)
