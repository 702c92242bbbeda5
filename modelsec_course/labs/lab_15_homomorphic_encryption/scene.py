"""Lab 15: what each side sees, and a plan of an encrypted computation beside what it does."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from modelsec_course import encryption
from modelsec_course.lab.style import ATTACK, BLUE, CONTROL, GREY, PROOF, STYLE, TRUTH, show
from modelsec_course.lab.words import number


def two_sides(row: NDArray, ciphertext: bytes, plain: NDArray, scores: NDArray, caption: str) -> None:
    """What the hospital sends, what the server sees of it, and what comes back.

    row: one patient's features.  ciphertext: the bytes that the server has.  plain, scores: of all patients, computed
    in the clear and encrypted.
    """
    side = 96
    seen = np.frombuffer(ciphertext, np.uint8)[-side * side :].reshape(side, side)
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(1, 3, figsize=(9.4, 3.1), width_ratios=(1.1, 0.9, 1.1))
        axes[0].bar(range(1, len(row) + 1), row, color=BLUE)
        axes[0].set(title="The hospital's row", xlabel="feature", ylabel="standardised value")
        axes[1].imshow(seen, interpolation="nearest")
        axes[1].grid(False)
        axes[1].set(title="The server sees", xticks=[], yticks=[], xlabel="bytes of a ciphertext")
        span = float(min(plain.min(), scores.min())), float(max(plain.max(), scores.max()))
        axes[2].plot(span, span, color=TRUTH, marker="", linestyle="--", linewidth=1)
        axes[2].scatter(plain, scores, color=PROOF, s=16)
        axes[2].set(title="The score comes back", xlabel="score in the clear", ylabel="score, decrypted")
    error = np.abs(plain - scores).max()
    words = (
        f"Bars of {len(row)} features of one patient; the bytes of a ciphertext, which look like noise; and the scores "
        f"of {len(plain)} patients, decrypted against in the clear, on the diagonal, at most {number(error, 1)} off."
    )
    show(fig, caption, words)


def plan_a_computation() -> Callable[..., tuple[Figure, str]]:
    """A scene: the primes of a plan against the limit of its ring, and the error after each multiplication.

    The computation is run when it is drawn: numbers in [−1, 1] times 0.9, as often as planned.
    """

    @functools.cache
    def measured(depth: int, scale: int, whole: int, n: int) -> tuple[list[float], float]:
        import tenseal

        made = encryption.plan(depth, scale=scale, whole=whole, n=n)
        context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, made.n, coeff_mod_bit_sizes=list(made.chain))
        context.global_scale = 2.0**scale
        want = np.linspace(-1, 1, made.slots)
        inside, errors, spent = tenseal.ckks_vector(context, want.tolist()), [], 0.0
        for gap in encryption.ckks.gaps(context, made):
            start = time.perf_counter()
            inside, want = inside * float(0.9 * gap), want * 0.9
            spent += time.perf_counter() - start
            errors.append(float(np.abs(np.array(inside.decrypt()) - want).max()))
        return errors, 1000 * spent / depth

    def draw(depth: int, scale: int, ring: str) -> tuple[Figure, str]:
        whole = min(14, 60 - scale)
        chain = encryption.chain_of(depth, scale, whole)
        try:
            made = encryption.plan(depth, scale=scale, whole=whole, n=None if ring == "smallest" else int(ring))
        except ValueError as refusal:
            n, errors = (32768 if ring == "smallest" else int(ring)), []
            words = f"Refused, before anything is computed: {refusal}."
        else:
            n, (errors, took) = made.n, measured(depth, scale, whole, made.n)
            words = (
                f"Ring of degree **{n:,}**, {sum(chain)} of {encryption.LIMITS[n]} bits, {n // 2:,} numbers in a "
                f"ciphertext. A product takes about {took:.0f} ms, so {1000 * took / (n // 2):.1f} µs for each number. "
                f"After the last one the worst error is **{number(errors[-1], 1)}**."
            )
        with plt.rc_context(STYLE):
            fig, axes = plt.subplots(1, 2, figsize=(9.0, 3.2), width_ratios=(1.3, 1))
            _chain(axes[0], chain, n)
            _errors(axes[1], errors, depth)
        return fig, words

    return draw


def _chain(axes: Axes, chain: tuple[int, ...], n: int) -> None:
    left, limit = 0, encryption.LIMITS[n]
    for i, bits in enumerate(chain):
        end = i in (0, len(chain) - 1)
        axes.barh(0, bits, left=left, color=CONTROL if end else BLUE, edgecolor="white", hatch="//" if end else "")
        if bits / max(sum(chain), limit) > 0.05:
            ground = {"facecolor": CONTROL if end else BLUE, "edgecolor": "none", "pad": 2}
            look = {"ha": "center", "va": "center", "fontsize": 10, "fontweight": "bold", "bbox": ground}
            axes.text(left + bits / 2, 0, str(bits), color="white", **look)
        left += bits
    axes.axvline(limit, color=ATTACK, linewidth=2.5)
    axes.text(limit, 0.62, f"limit {limit} ", ha="right", va="bottom", fontsize=10)
    axes.set(yticks=[], ylim=(-0.6, 0.95), xlim=(0, 1.06 * max(limit, left)), xlabel="bits of all primes")
    axes.set_title(f"The chain, at N = {n:,}")


def _errors(axes: Axes, errors: list[float], depth: int) -> None:
    axes.set(yscale="log", ylim=(1e-13, 1), xlim=(0.5, depth + 0.5), xlabel="multiplications", ylabel="worst error")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title("Measured")
    if errors:
        axes.plot(range(1, depth + 1), errors, color=ATTACK, marker="o", linestyle="-", markevery=1)
    else:
        axes.text(0.5, 0.5, "not computed", transform=axes.transAxes, ha="center", color=GREY, fontsize=11)
