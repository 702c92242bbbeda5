"""Paillier's cryptosystem: known answers, the homomorphic laws, another library, and what is refused."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsec_course.encryption import FixedPoint, paillier

SMALL = paillier.key_from_primes(293, 433)  # n = 126869
KEY = paillier.keygen(256, insecure=True)
N = KEY.public.n
messages, factors = st.integers(0, N - 1), st.integers(-(2**64), 2**64)


# ------------------------------------------------------------------------------------------------------ known answers


def test_the_worked_examples():
    assert SMALL.public.n == 126869
    assert paillier.encrypt(SMALL.public, 10100, r=74384) == 935906717
    assert paillier.encrypt(SMALL.public, 1, r=1) == 126870
    assert paillier.decrypt(SMALL, 935906717) == 10100
    by_g = paillier.key_from_primes(7, 11, g=5652)
    assert paillier.encrypt(by_g.public, 42, r=23) == 4624
    assert paillier.decrypt(by_g, 4624) == 42


def test_every_message_and_every_r_of_a_tiny_key():
    key = paillier.key_from_primes(5, 7)
    units = [r for r in range(1, 35) if math.gcd(r, 35) == 1]
    ciphertexts = {(m, r): paillier.encrypt(key.public, m, r=r) for m in range(35) for r in units}
    assert len(set(ciphertexts.values())) == 35 * 24  # one to one, and onto: that many numbers below 35² are units
    for (m, r), ciphertext in ciphertexts.items():
        assert paillier.encrypt(key, m, r=r) == ciphertext  # the secret key's way round
        assert paillier.decrypt(key, ciphertext) == m


def by_definition(key, ciphertext):
    """λ and μ instead of the two primes: m = L(c^λ mod n²) · μ mod n."""
    n, lam = key.public.n, math.lcm(key.p - 1, key.q - 1)
    quotient = lambda u: (u - 1) // n  # noqa: E731
    mu = pow(quotient(pow(key.public.g, lam, n * n)), -1, n)
    return quotient(pow(ciphertext, lam, n * n)) * mu % n


@given(message=messages)
def test_the_chinese_remainder_theorem_gives_what_the_definition_gives(message):
    ciphertext = paillier.encrypt(KEY.public, message)
    assert paillier.decrypt(KEY, ciphertext) == by_definition(KEY, ciphertext) == message


# --------------------------------------------------------------------------------------------------------------- laws


@given(a=messages, b=messages, k=factors)
def test_the_laws(a, b, k):
    left, right = paillier.encrypt(KEY, a), paillier.encrypt(KEY.public, b)
    assert paillier.decrypt(KEY, paillier.add(KEY.public, left, right)) == (a + b) % N
    assert paillier.decrypt(KEY, paillier.multiply(KEY.public, left, k)) == a * k % N
    fresh = paillier.rerandomise(KEY.public, left)
    assert fresh != left
    assert paillier.decrypt(KEY, fresh) == a


@given(st.lists(st.tuples(messages, factors), min_size=1, max_size=6), st.integers(-(2**64), 2**64))
def test_a_weighted_sum(terms, constant):
    inside = [paillier.encrypt(KEY, m) for m, _ in terms]
    total = paillier.weighted_sum(KEY.public, inside, [k for _, k in terms], constant)
    assert paillier.decrypt(KEY, total) == (sum(m * k for m, k in terms) + constant) % N


def test_a_score_says_nothing_of_its_weights_but_the_score():
    """Whoever encrypted a row knows its r, and could test guesses of the weights on the answer."""
    r, weight = 12345, 77
    inside = paillier.encrypt(KEY.public, 5, r=r)
    bare = paillier.multiply(KEY.public, inside, weight)
    tested = [k for k in range(200) if paillier.encrypt(KEY.public, 5 * k % N, r=pow(r, k, N)) == bare]
    assert tested == [weight]
    hidden = paillier.weighted_sum(KEY.public, [inside], [weight])
    assert not [k for k in range(200) if paillier.encrypt(KEY.public, 5 * k % N, r=pow(r, k, N)) == hidden]


def test_python_s_random_numbers_have_no_say():
    made = []
    for _ in range(2):
        random.seed(0)
        made.append((paillier.encrypt(KEY.public, 1), paillier.keygen(64, insecure=True).public.n))
    assert made[0][0] != made[1][0]
    assert made[0][1] != made[1][1]


# -------------------------------------------------------------------------------------------------------------- oracle


@settings(max_examples=20)
@given(a=st.integers(0, 2**60), b=st.integers(0, 2**60), k=st.integers(1, 2**30))
def test_phe_reads_what_we_write_and_we_read_what_it_writes(a, b, k):
    phe = pytest.importorskip("phe")
    theirs = phe.PaillierPublicKey(N)
    secret = phe.PaillierPrivateKey(theirs, KEY.p, KEY.q)
    assert secret.raw_decrypt(paillier.encrypt(KEY, a)) == a
    assert paillier.decrypt(KEY, theirs.raw_encrypt(b)) == b
    assert paillier.encrypt(KEY.public, a, r=91) == theirs.raw_encrypt(a, r_value=91)
    mixed = paillier.add(KEY.public, paillier.encrypt(KEY, a), theirs.raw_encrypt(b))
    assert secret.raw_decrypt(paillier.multiply(KEY.public, mixed, k)) == (a + b) * k % N


# ----------------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("bits", [16, 32, 64, 128, 256, 512])
def test_a_key_has_the_bits_that_were_asked_for(bits):
    key = paillier.keygen(bits, insecure=True)
    assert key.public.n.bit_length() == bits
    assert key.p.bit_length() == key.q.bit_length() == bits // 2
    assert math.gcd(key.public.n, (key.p - 1) * (key.q - 1)) == 1


def test_the_default_is_a_safe_size_and_less_is_refused_unless_asked_for():
    with pytest.raises(ValueError, match="bits must be at least 2048 to be safe, but it is 1024"):
        paillier.keygen(1024)
    assert paillier.BITS >= 3072
    with pytest.raises(ValueError, match="even"):
        paillier.keygen(65, insecure=True)
    with pytest.raises(ValueError, match="bits"):
        paillier.keygen(8, insecure=True)


def test_the_primes_are_in_no_print():
    for shown in (repr(KEY), str(KEY), f"{KEY}"):
        assert str(KEY.p) not in shown
        assert str(KEY.q) not in shown


@pytest.mark.parametrize(("p", "q", "words"), [(4, 7, "p must be prime"), (7, 7, "must differ"), (3, 7, "divide")])
def test_primes_that_make_no_key_are_refused(p, q, words):
    with pytest.raises(ValueError, match=words):
        paillier.key_from_primes(p, q)


def test_a_g_of_the_wrong_order_is_refused():
    with pytest.raises(ValueError, match="g must have an order that n divides"):
        paillier.key_from_primes(7, 11, g=1)


@pytest.mark.parametrize("message", [-1, N, 2 * N], ids=["negative", "n", "2n"])  # each process has its own key
def test_a_message_outside_is_refused(message):
    with pytest.raises(ValueError, match="message must be at least 0 and below n"):
        paillier.encrypt(KEY.public, message)


@pytest.mark.parametrize("message", [1.0, "1", True, None])
def test_a_message_that_is_no_whole_number_is_refused(message):
    with pytest.raises(TypeError, match="message must be a whole number"):
        paillier.encrypt(KEY.public, message)


@pytest.mark.parametrize("ciphertext", [0, KEY.public.square, KEY.p, -5], ids=["0", "n²", "p", "negative"])
def test_what_is_no_ciphertext_is_refused(ciphertext):
    for use in (lambda c: paillier.decrypt(KEY, c), lambda c: paillier.add(KEY.public, c)):
        with pytest.raises(ValueError, match="no ciphertext of this key"):
            use(ciphertext)


def test_a_factor_that_is_no_whole_number_and_a_public_key_that_should_be_secret_are_refused():
    with pytest.raises(TypeError, match="factor must be a whole number"):
        paillier.multiply(KEY.public, 5, 0.5)
    with pytest.raises(TypeError, match="key must be the secret key"):
        paillier.decrypt(KEY.public, 5)
    with pytest.raises(ValueError, match="one factor for each ciphertext"):
        paillier.weighted_sum(KEY.public, [5], [1, 2])


# ---------------------------------------------------------------------------------------------------------- fixed point

reals = st.floats(-1e6, 1e6)


@given(x=reals, power=st.integers(1, 3))
def test_a_number_comes_back_to_half_a_unit(x, power):
    code = FixedPoint(N, bits=20)
    back = code.decode(code.encode(x, power=power), power=power)
    assert abs(back - x) <= 2.0 ** -(20 * power + 1) + 1e-10


@given(x=st.lists(st.floats(-100, 100), min_size=1, max_size=8), data=st.data())
def test_an_encrypted_score_is_the_score(x, data):
    weights = data.draw(st.lists(st.floats(-10, 10), min_size=len(x), max_size=len(x)))
    code = FixedPoint(N, bits=32)
    assert code.fits(100, len(x) + 1)
    inside = [paillier.encrypt(KEY, code.encode(v)) for v in x]
    total = paillier.weighted_sum(KEY.public, inside, [code.signed(w) for w in weights], code.signed(0.25, power=2))
    want = sum(v * w for v, w in zip(x, weights, strict=True)) + 0.25
    assert abs(code.decode(paillier.decrypt(KEY, total), power=2) - want) < 1e-6


def test_an_overflow_is_told_and_not_returned():
    code = FixedPoint(126869, bits=4)
    with pytest.raises(OverflowError, match="is more than a third of n"):
        code.encode(3000.0)
    assert code.decode(code.encode(-2000.0)) == -2000.0
    sum_of_two = paillier.add(SMALL.public, *(paillier.encrypt(SMALL, code.encode(2000.0)) for _ in range(2)))
    with pytest.raises(OverflowError, match="its sign is lost"):
        code.decode(paillier.decrypt(SMALL, sum_of_two))
    assert not code.fits(2000.0, 2, power=1)
    assert code.fits(1000.0, 2, power=1)


@pytest.mark.parametrize("x", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_refused(x):
    with pytest.raises(ValueError, match="finite"):
        FixedPoint(N).encode(x)
    with pytest.raises(ValueError, match="another key"):
        FixedPoint(N).decode(N)


@given(largest=st.floats(0.1, 1e3), terms=st.integers(1, 50), bits=st.integers(1, 12))
def test_what_is_sure_to_fit_comes_back_whatever_its_sign(largest, terms, bits):
    code = FixedPoint(10_007 * 10_009, bits=bits)
    total = terms * code.signed(largest) ** 2
    if code.fits(largest, terms):
        for whole in (total, -total):
            assert code.decode(whole % code.n, power=2) == whole / 4**bits
    assert code.fits(largest, terms) or terms * (largest * 2**bits + 2) ** 2 > code.largest  # nor refused without need
