"""Victims of another seed, kept for `test_claims.py`: those whose training takes longer than ten seconds.

`python tests/victims.py` trains them anew, in about twelve minutes; to be called when their recipes have changed.
MODELSEC_SEEDS=5 does not use them: it trains each seed's own.
"""

from pathlib import Path

from modelsec_course import runtime, zoo

SEED = 1
FOLDER = Path(__file__).with_name("victims")
SLOW = (
    *("digits-cnn-pgd", "digits-cnn-trades", "digits-cnn-ibp", "faces-generator", "faces-judge"),
    *("signs-cnn", "signs-cnn-pgd", "signs-cnn-stickers", "signs-poolnet", "signs-poolnet-cutout"),
)


def shifted(original, seed):
    """`runtime.generator`, whose every seed is moved by 1,000 for each of `seed`."""
    return lambda number, on="cpu": original(number + 1000 * seed, on)


if __name__ == "__main__":
    runtime.generator = shifted(runtime.generator, SEED)
    zoo.build(SLOW, folder=FOLDER)
