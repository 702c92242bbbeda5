"""Lab 07's clinic: nobody is dealt twice, attacks stay within ε, and the scene says what the closed form gives."""

import re

import matplotlib.pyplot as plt
import pytest
import torch

from modelsec_course import data, runtime
from modelsec_course.labs.lab_07_diagnosis import clinic, scene


@pytest.mark.parametrize("deal", [clinic.records, clinic.dealt_anew])
def test_every_record_is_dealt_once_and_the_shares_of_the_ill_are_kept(deal):
    at = deal(runtime.generator(5))
    parts = (at.z_fit, at.z_choose, at.z_test)
    assert [len(part) for part in parts] == [284, 142, 143]
    assert len(torch.cat(parts).unique(dim=0)) == len(torch.cat(parts)) == 569
    for y in (at.y_fit, at.y_choose, at.y_test):
        assert (y == clinic.MALIGNANT).float().mean().item() == pytest.approx(212 / 569, abs=0.01)
    torch.testing.assert_close(at.z_fit.mean(0), torch.zeros(30), atol=1e-4, rtol=0)


def test_the_test_records_are_the_data_sets_own():
    one, other = (clinic.records(runtime.generator(seed)) for seed in (1, 2))
    assert torch.equal(one.y_test, data.load("tumours").y_test)
    assert not torch.equal(one.y_fit, other.y_fit) or not torch.equal(one.z_fit, other.z_fit)


def test_on_the_linear_model_the_attack_reaches_the_closed_form():
    at = clinic.records(runtime.generator(0))
    net = clinic.logistic(at)
    w = (net[0].weight[1] - net[0].weight[0]).detach()
    moved = clinic.attack(net, at.z_test, at.y_test, 0.3) - at.z_test
    assert moved.abs().max() <= 0.3 + 1e-4
    reached = (moved @ w) * (1 - 2 * at.y_test)  # against the truth
    torch.testing.assert_close(reached, (0.3 * w.abs().sum()).expand(143), atol=0.02, rtol=0)


def test_each_of_all_patients_is_tested_once_and_about_a_fifth_refused():
    refused, y, radius = clinic.refusals_of_all(runtime.generator(0))
    assert refused.shape == y.shape == radius.shape == (569,)
    assert 0.12 < refused.float().mean() < 0.32


def counts(words):
    """tumours found, seen by a doctor, sent home; healthy people refused."""
    plt.close("all")
    ill = re.search(r"(\d+) of \d+ tumours found, (\d+) seen by a doctor, \*\*(\d+) sent home", words)
    return (*map(int, ill.groups()), int(re.search(r"healthy people (\d+) are refused", words)[1]))


def test_the_scene_counts_what_each_attacker_reaches():
    y = torch.tensor([0, 0, 0, 1, 1])
    draw = scene.choose_a_threshold(torch.tensor([-5.0, -1.0, 3.0, 4.0, 0.5]), y, slope=10.0)
    assert counts(draw(0.0, 0.0, "hide")[1]) == (2, 0, 1, 0)
    assert counts(draw(2.0, 0.0, "hide")[1]) == (1, 1, 1, 1)
    assert counts(draw(2.0, 0.4, "hide")[1]) == (0, 1, 2, 1)  # scores −1, 3, 7
    assert counts(draw(2.0, 0.4, "fill")[1]) == (1, 1, 1, 2)
    assert counts(draw(8.0, 0.0, "fill")[1]) == (0, 3, 0, 2)
    assert counts(draw(2.0, 0.4, "both")[1]) == (0, 1, 2, 2)
