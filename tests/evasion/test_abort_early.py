"""Carlini & Wagner with abort_early: less work, the same successes, changes hardly longer."""

import torch

from modelsec_course import data, zoo
from modelsec_course.evasion import carlini_wagner


def test_aborting_early_asks_less_and_loses_no_success():
    digits, model = data.load("digits"), zoo.load("digits-cnn", device="cpu")
    x, y = digits.x_test[:48], digits.y_test[:48]
    asked, lengths = {}, {}
    for abort_early in (False, True):
        count = 0

        def counted(v):
            nonlocal count
            count += len(v)
            return model(v)

        x_adv = carlini_wagner(counted, x, y, steps=50, searches=3, abort_early=abort_early)
        assert (model(x_adv).argmax(1) != y).all()
        asked[abort_early], lengths[abort_early] = count, (x_adv - x).flatten(1).norm(dim=1)
    assert asked[True] < 0.95 * asked[False]
    assert lengths[True].median() < 1.05 * lengths[False].median()
    assert torch.isfinite(lengths[True]).all()
