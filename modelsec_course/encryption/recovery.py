"""The secret key from two answers that were published to the last bit.

A CKKS decryption is not the message but the message plus the encryption's own noise. Whoever holds the ciphertext
(c₀, c₁) and learns m = c₀ + c₁ s exactly has a linear equation for the key s. A client publishes the real parts of m's
slots, which is m plus its mirror image: so one answer gives, coefficient by coefficient, one equation for two unknowns,
and two answers give the key.

Source: Li & Micciancio, 2021, "On the Security of Homomorphic Encryption on Approximate Numbers".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["decrypt_with", "equations", "key_of", "recover_from_many", "recover_key"]

Equation = tuple[int, int, int]  # (a, b, e), for a s + b t = e
Numbers = NDArray[np.object_]  # Python's own integers: products of two of 60 bits


def recover_key(public: bytes, answers: Sequence[bytes], published: Sequence[NDArray]) -> Numbers | None:
    """The secret key modulo the first prime, in the number-theoretic transform (n,), as a server can compute it.

    public: the context that the client sent.  answers: two encrypted answers, the server's own work.  published: what
    the client made known of them, one number for each of the n/2 slots.  If these are rounded, what comes out may not
    be the key.  Returns None where the two equations are not independent.
    """
    nights, q = _nights(public, answers, published)
    if len(nights) != 2:
        raise ValueError(f"two answers and two published vectors are needed, but {len(nights)} came: recover_from_many")
    return _solved(*nights, q)


def recover_from_many(
    public: bytes, answers: Sequence[bytes], published: Sequence[NDArray]
) -> tuple[Numbers, tuple[int, int]] | None:
    """The key from more than two answers, although they are rounded: (the key, the two answers that gave it), or None.

    Rounding spoils most answers, and one coefficient that is off spoils the whole key. But the server may try pair
    after pair, since it can tell a key: its coefficients are −1, 0 and 1, and the first of them is easily computed.
    """
    nights, q = _nights(public, answers, published)
    for i, j in itertools.combinations(range(len(nights)), 2):
        key = _solved(nights[i], nights[j], q)
        if key is not None and int(key.sum()) * pow(len(key), -1, q) % q in (0, 1, q - 1):
            return key, (i, j)
    return None


def equations(
    public: bytes, answers: Sequence[bytes], published: Sequence[NDArray]
) -> tuple[list[list[Equation]], int]:
    """For each answer n equations in an entry s of the key and its mirror image t, and the prime of all."""
    nights, q = _nights(public, answers, published)
    return [list(zip(c1, c1[::-1], right, strict=True)) for c1, right in nights], q


def _nights(
    public: bytes, answers: Sequence[bytes], published: Sequence[NDArray]
) -> tuple[list[tuple[Numbers, Numbers]], int]:
    """Of each answer c₁, and what c₁ s and its mirror image add up to; and the prime."""
    import tenseal
    import tenseal.sealapi as seal

    if len(answers) < 2 or len(answers) != len(published):
        raise ValueError(f"two answers or more are needed, and as many published: {len(answers)} and {len(published)}")
    context = tenseal.context_from(public)
    inner = context.seal_context().data
    encoder, nights, q = seal.CKKSEncoder(inner), [], 0
    for answer, scores in zip(answers, published, strict=True):
        ciphertext = tenseal.ckks_vector_from(context, answer).ciphertext()[0]
        q, (c0, c1) = _first_prime(context, ciphertext), _polynomials(ciphertext)
        twice = seal.Plaintext()  # m and its mirror image together: their slots are twice the real parts
        encoder.encode((2 * np.asarray(scores, dtype=float)).tolist(), ciphertext.parms_id(), ciphertext.scale, twice)
        m = np.array([int(twice[i]) for i in range(len(c0))], dtype=object)
        nights.append((c1, (m - c0 - c0[::-1]) % q))
    return nights, q


def _solved(first: tuple[Numbers, Numbers], second: tuple[Numbers, Numbers], q: int) -> Numbers | None:
    (a, e), (c, f) = first, second
    determinant = (a * c[::-1] - a[::-1] * c) % q
    if not determinant.all():
        return None
    inverse = np.array([pow(int(value), -1, q) for value in determinant], dtype=object)
    return (e * c[::-1] - a[::-1] * f) * inverse % q


def decrypt_with(key: Numbers, public: bytes, ciphertext: bytes) -> NDArray:
    """The numbers in a ciphertext's slots (n/2,), by a key as `recover_key` returns it: all in Python, with no secret.

    One prime is enough, as long as the numbers fit below half of it: they do in every plan with room before the point.
    """
    import tenseal

    context = tenseal.context_from(public)
    inner = tenseal.ckks_vector_from(context, ciphertext).ciphertext()[0]
    q, (c0, c1) = _first_prime(context, inner), _polynomials(inner)
    coefficients = _coefficients((c0 + c1 * key) % q, q)
    signed = np.where(coefficients > q // 2, coefficients - q, coefficients).astype(float) / inner.scale
    n = len(signed)
    turned = np.exp(1j * np.pi * np.arange(n) / n) * signed
    at = n * np.fft.ifft(turned)  # the polynomial at the t-th odd power of a 2n-th root of unity
    power, slots = 1, []
    for _ in range(n // 2):  # slot j lies at the power 3^j
        slots.append(at[(power - 1) // 2].real)
        power = 3 * power % (2 * n)
    return np.array(slots)


def _coefficients(values: Numbers, q: int) -> Numbers:
    """A polynomial's coefficients modulo q from its values as SEAL keeps them: at odd powers, in bit-reversed order."""
    n = len(values)
    bits = n.bit_length() - 1
    order = [int(f"{t:0{bits}b}"[::-1], 2) for t in range(n)]
    root = _least_root(2 * n, q)
    back = pow(root, -1, q)
    turned = _fourier(values[order], back * back % q, q)
    powers = np.empty(n, dtype=object)
    powers[:] = list(_powers(back, n, q))
    return turned * powers % q * pow(n, -1, q) % q


def _fourier(values: Numbers, root: int, q: int) -> Numbers:
    """Σ_t values[t] · root^(k t) modulo q, for each k."""
    n = len(values)
    if n == 1:
        return values
    even, odd = _fourier(values[::2], root * root % q, q), _fourier(values[1::2], root * root % q, q)
    powers = np.empty(n // 2, dtype=object)
    powers[:] = list(_powers(root, n // 2, q))
    turned = odd * powers % q
    return np.concatenate([(even + turned) % q, (even - turned) % q])


def _powers(base: int, count: int, q: int) -> Iterator[int]:
    power = 1
    for _ in range(count):
        yield power
        power = power * base % q


def _least_root(order: int, q: int) -> int:
    """The least primitive root of unity of an order that is a power of two, modulo the prime q: the one SEAL takes."""
    root = next(r for x in range(2, q) if pow(r := pow(x, (q - 1) // order, q), order // 2, q) == q - 1)
    square = root * root % q
    return min(root * power % q for power in _powers(square, order // 2, q))


def key_of(context) -> Numbers:
    """The true key of a TenSEAL context that holds it, in the same form: what a recovered one is compared with."""
    inner = context.secret_key().data.data()
    n = context.seal_context().data.key_context_data().parms().poly_modulus_degree()
    return np.array([int(inner[i]) for i in range(n)], dtype=object)


def _first_prime(context, ciphertext) -> int:
    import tenseal.sealapi  # noqa: F401 (it makes SEAL's types known to Python)

    data = context.seal_context().data.get_context_data(ciphertext.parms_id())
    return int(data.parms().coeff_modulus()[0].value())


def _polynomials(ciphertext) -> tuple[Numbers, Numbers]:
    """c₀ and c₁ modulo the first prime."""
    primes, n = ciphertext.coeff_modulus_size(), ciphertext.poly_modulus_degree()
    if ciphertext.size() != 2:
        raise ValueError(f"the ciphertext has {ciphertext.size()} polynomials, and the attack is on two")
    return tuple(np.array([int(ciphertext[part * primes * n + i]) for i in range(n)], dtype=object) for part in (0, 1))
