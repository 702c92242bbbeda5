"""Lab 14's widget says what the accountant and the trained runs say; its table marks what is above a claim."""

import matplotlib.pyplot as plt
import pytest
import torch

from modelsec_course import models, privacy, runtime
from modelsec_course.labs.lab_14_private_training import scene as private


@pytest.fixture
def draw():
    x = torch.rand(200, 4, generator=runtime.generator(0))
    y = (x[:, 0] > x[:, 1]).long()
    data = x[:150], y[:150], x[150:], y[150:]
    return private.plan_a_run(lambda: models.linear(4, 2), *data, delta=1e-4, lr=4.0, budget=2.0)


@pytest.mark.parametrize("plan", [(0.2, 2.0, 20), (0.5, 3.5, 57), (1.0, 0.5, 200)])
def test_the_words_say_what_is_spent_and_reached(draw, plan):
    figure, words = draw(*plan)
    assert f"**ε = {privacy.rdp_epsilon(*plan, 1e-4):.2f}** at δ = 0.0001" in words
    spent, reached = figure.axes
    assert len(spent.lines[0].get_xdata()) == plan[2]
    assert len(reached.lines) == private.SEEDS + 1
    for line in reached.lines:
        assert len(line.get_xdata()) == private.CHECKS
        assert line.get_xdata()[-1] == plan[2]
    assert f"**{100 * reached.lines[-1].get_ydata()[-1]:.1f} %**" in words
    plt.close(figure)


def test_the_budget_is_drawn_and_told(draw):
    for plan, word in (((0.2, 12.0, 20), "within"), ((0.5, 0.5, 100), "over")):
        figure, words = draw(*plan)
        assert f"{word} the budget of 2." in words
        assert list(figure.axes[0].lines[1].get_ydata()) == [2.0, 2.0]
        plt.close(figure)


def test_the_learning_rate_grows_with_the_batch(draw, monkeypatch):
    taken, run = [], privacy.dp_sgd

    def watched(*args, lr, **options):
        taken.append(lr)
        return run(*args, lr=lr, **options)

    monkeypatch.setattr(private.privacy, "dp_sgd", watched)
    for rate in (0.25, 0.5):
        draw(rate, 3.0, 20)
    assert set(taken) == {1.0, 2.0}
    plt.close("all")


def test_more_noise_spends_less_and_reaches_less(draw):
    little, much = draw(0.2, 1.0, 60)[0], draw(0.2, 12.0, 60)[0]
    last = [[figure.axes[i].lines[-i].get_ydata()[-1] for figure in (little, much)] for i in range(2)]
    assert last[0][0] > last[0][1]
    assert last[1][0] > last[1][1] + 0.05
    plt.close("all")


def test_the_table_marks_what_is_above_the_claim(monkeypatch):
    shown = []
    monkeypatch.setattr(private, "show", lambda figure, caption, alt: shown.append((figure, alt)))
    private.audit_table({"right": {"one": 0.4}, "wrong": {"one": 2.0}, "at it": {"one": 1.5}}, {"one": 1.5}, "A table.")
    figure, alt = shown[0]
    assert "right: one 0.40; wrong: one 2.00 (caught); at it: one 1.50." in alt
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "ε ≥ 2.00, caught" in texts
    assert {"ε ≥ 0.40", "ε ≥ 1.50", "one\nclaims ε ≤ 1.50"} <= set(texts)
    plt.close(figure)
