"""Scoring data that the server cannot read: CKKS, by TenSEAL, for linear and one-hidden-layer models.

Two layouts. *Rows*: one ciphertext holds one row's features; sums over features need rotations, and keys for them.
*Columns*: one ciphertext holds one feature of up to n/2 rows; nothing is rotated, and the price is shared.

Source: Cheon, Kim, Kim & Song, 2017, "Homomorphic Encryption for Arithmetic of Approximate Numbers"; Benaissa, Retiat,
Cebere & Belfedhal, 2021, "TenSEAL: A Library for Encrypted Tensor Operations Using Homomorphic Encryption".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelsec_course import validation
from modelsec_course.encryption.planning import Plan

__all__ = ["Client", "Model", "Server", "available", "gaps"]

LAYOUTS = ("columns", "rows")
DIGITS = 3  # of a score that is given out


def available() -> bool:
    """Is TenSEAL installed? It has no wheel for some machines, Macs with Intel processors among them."""
    try:
        import tenseal  # noqa: F401
    except ImportError:
        return False
    return True


@dataclass(frozen=True)
class Model:
    """x · w + b, or with a hidden layer of squares: Σ_k v_k (x · W_k + b_k)² + c. In the clear: the server's own.

    weights: (features,), or (hidden, features).  bias: a number, or (hidden,).  last: None, or (v (hidden,), c).
    """

    weights: NDArray
    bias: NDArray
    last: tuple[NDArray, float] | None = None

    @classmethod
    def linear(cls, weights: ArrayLike, bias: float) -> Model:
        """Of one layer."""
        made = cls(np.asarray(weights, dtype=float), np.asarray(float(bias)))
        if made.weights.ndim != 1 or not len(made.weights):
            raise ValueError(f"weights must be (features,), but their shape is {made.weights.shape}")
        return made._finite()

    @classmethod
    def squares(cls, weights: ArrayLike, bias: ArrayLike, last: ArrayLike, constant: float) -> Model:
        """Of one hidden layer, whose activation is the square."""
        weights, bias, last = (np.asarray(part, dtype=float) for part in (weights, bias, last))
        if weights.ndim != 2 or not weights.size or not bias.shape == last.shape == weights.shape[:1]:
            shapes = f"{weights.shape}, {bias.shape} and {last.shape}"
            raise ValueError(f"the shapes must be (hidden, features), (hidden,) and (hidden,), but they are {shapes}")
        return cls(weights, bias, (last, float(constant)))._finite()

    def _finite(self) -> Model:
        parts = [self.weights, self.bias, *(self.last or ())]
        if not all(np.isfinite(part).all() for part in parts):
            raise ValueError("a weight is NaN or infinite")
        return self

    @property
    def features(self) -> int:
        """Numbers in a row."""
        return self.weights.shape[-1]

    @property
    def depth(self) -> int:
        """Multiplications in a row: by the weights, the square, by the last weights."""
        return 1 if self.last is None else 3

    def plain(self, x: ArrayLike) -> NDArray:
        """The scores of rows (n, features) in the clear: what the encrypted ones are measured against."""
        hidden = np.asarray(x, dtype=float) @ self.weights.T + self.bias
        return hidden if self.last is None else hidden**2 @ self.last[0] + self.last[1]


def gaps(context: Any, plan: Plan) -> NDArray:
    """For each multiplication, in order, the prime that is divided out after it over 2^scale: nearly 1.

    TenSEAL goes on as if it were 1, so a product is off by a factor that everybody knows. A weight that is multiplied
    by the gap before puts it right: what is left then is the encryption's own noise.
    """
    import tenseal.sealapi  # noqa: F401 (it makes SEAL's types known to Python)

    chain = context.seal_context().data.first_context_data().parms().coeff_modulus()
    return np.array([int(prime.value()) / 2**plan.scale for prime in chain[:0:-1]])


class Client:
    """Who owns the rows and the only secret key."""

    def __init__(self, plan: Plan, *, layout: str = "columns") -> None:
        import tenseal

        validation.one_of("layout", layout, LAYOUTS)
        self.plan, self.layout = plan, layout
        scheme = tenseal.SCHEME_TYPE.CKKS
        self._context = tenseal.context(scheme, plan.n, coeff_mod_bit_sizes=list(plan.chain))
        self._context.global_scale = 2.0**plan.scale
        if layout == "rows":
            self._context.generate_galois_keys()

    def public(self) -> bytes:
        """All that the server needs, and nothing that decrypts."""
        rows = self.layout == "rows"
        return self._context.serialize(
            save_public_key=True, save_secret_key=False, save_galois_keys=rows, save_relin_keys=True
        )

    def encrypt(self, x: ArrayLike) -> list[bytes]:
        """Rows (n, features): one ciphertext for each feature, of at most n/2 rows, or one for each row."""
        import tenseal

        x = np.asarray(x, dtype=float)
        if x.ndim != 2 or not x.size or not np.isfinite(x).all():
            raise ValueError(f"x must be rows (n, features) of finite numbers, but its shape is {x.shape}")
        parts = x.T if self.layout == "columns" else x
        if parts.shape[1] > self.plan.slots:
            raise ValueError(
                f"a ciphertext holds {self.plan.slots} numbers, but {parts.shape[1]} were given: send parts"
            )
        return [tenseal.ckks_vector(self._context, part.tolist()).serialize() for part in parts]

    def labels(self, answers: Sequence[bytes], rows: int) -> NDArray:
        """Whether each score is above 0, bool (rows,): the least that an answer can say."""
        return self._decrypted(answers, rows) > 0

    def scores(self, answers: Sequence[bytes], rows: int, *, digits: int | None = DIGITS) -> NDArray:
        """Scores (rows,), rounded. digits=None gives every bit of the decryption: publish that, and the server can work
        out the secret key (see `recovery`). Rounding stops that attack on two vectors, and proves nothing.
        """
        scores = self._decrypted(answers, rows)
        return scores if digits is None else scores.round(digits)

    def _decrypted(self, answers: Sequence[bytes], rows: int) -> NDArray:
        import tenseal

        read = [tenseal.ckks_vector_from(self._context, answer).decrypt() for answer in answers]
        numbers = np.array(read[0] if self.layout == "columns" else [values[0] for values in read])
        if len(numbers) != rows:
            raise ValueError(f"{rows} scores were asked for, but the answer holds {len(numbers)}")
        return numbers


class Server:
    """Who owns the model, and can compute on what it cannot read."""

    def __init__(self, model: Model, public: bytes, plan: Plan, *, layout: str = "columns") -> None:
        import tenseal

        validation.one_of("layout", layout, LAYOUTS)
        plan.refuse_depth(model.depth)
        self.model, self.layout = model, layout
        self._context = tenseal.context_from(public)
        if self._context.has_secret_key():
            raise ValueError("the context holds the secret key: whoever sent it can hide nothing. Send Client.public()")
        if layout == "rows":
            plan.refuse_width(model.features, len(model.weights) if model.last else 1)
        self._steps = gaps(self._context, plan)

    def answer(self, ciphertexts: Sequence[bytes]) -> list[bytes]:
        """One encrypted vector of scores, or, by rows, one encrypted score for each.

        Each has a fresh encryption of 0 added: otherwise whoever made the ciphertexts could test guesses of the
        weights on it, bit by bit.
        """
        import tenseal

        vectors = [tenseal.ckks_vector_from(self._context, ciphertext) for ciphertext in ciphertexts]
        if self.layout == "rows":
            return [self._fresh(self._row(vector)).serialize() for vector in vectors]
        if len(vectors) != self.model.features:
            raise ValueError(f"the model has {self.model.features} features, but {len(vectors)} ciphertexts came")
        return [self._fresh(self._columns(vectors)).serialize()]

    def _columns(self, vectors: list) -> Any:
        if self.model.last is None:
            return self._sum(vectors, self._steps[0] * self.model.weights, float(self.model.bias))
        hidden = [
            self._sum(vectors, self._steps[0] * weights, float(bias))
            for weights, bias in zip(self.model.weights, self.model.bias, strict=True)
        ]
        for unit in hidden:
            unit.square_()
        last, constant = self.model.last
        return self._sum(hidden, self._steps[1] * self._steps[2] * last, constant)

    def _sum(self, vectors: list, weights: NDArray, constant: float) -> Any:
        """Σ weight · vector + constant. A weight of 0 adds nothing, and times 0 a ciphertext would hide nothing."""
        parts = [vector * float(weight) for vector, weight in zip(vectors, weights, strict=True) if weight]
        if not parts:
            return self._constant(constant, vectors[0].size())
        total = parts[0]
        for part in parts[1:]:
            total += part
        return total + constant

    def _row(self, vector: Any) -> Any:
        model = self.model
        if model.last is None:
            if not model.weights.any():
                return self._constant(float(model.bias), 1)
            return vector.dot((self._steps[0] * model.weights).tolist()) + float(model.bias)
        hidden = vector.mm((self._steps[0] * model.weights).T.tolist()) + model.bias.tolist()
        hidden.square_()
        last, constant = model.last
        if not last.any():
            return self._constant(constant, 1)
        return hidden.dot((self._steps[1] * self._steps[2] * last).tolist()) + constant

    def _fresh(self, answer: Any) -> Any:
        return answer + self._constant(0.0, answer.size())

    def _constant(self, value: float, size: int) -> Any:
        import tenseal

        return tenseal.ckks_vector(self._context, [value] * size)
