import copy

import pytest
import torch
from poison_cases import TRIGGERS, digits, is_poison, victim
from sklearn.decomposition import PCA
from torch import nn

from modelsec_course import models, runtime, training
from modelsec_course.poisoning import (
    activation_clusters,
    activations,
    anomaly_index,
    attack_success,
    fine_prune,
    invert_triggers,
    spectral_scores,
)


def of_target(kind):
    """Activations of the rows labelled 0, and which of them are poison."""
    model, planted = victim(kind)
    mine = planted.y == 0
    return activations(model, planted.x[mine]), is_poison(planted)[mine]


def two_clouds(few, many, gap=8.0, seed=0):
    rows = torch.randn(few + many, 20, generator=runtime.generator(seed))
    rows[:few, 3] += gap
    order = torch.randperm(few + many, generator=runtime.generator(seed + 1))
    return rows[order] + 5, (torch.arange(few + many) < few)[order]


# ------------------------------------------------------------------------------------------------------ activations


def test_activations_are_what_the_last_layer_sees():
    model, planted = victim("clean")
    seen = activations(model, planted.x[:9])
    torch.testing.assert_close(model[-1](seen), model(planted.x[:9]))
    assert not seen.requires_grad


def test_spectral_scores_are_squared_principal_components():
    features, _ = of_target("patch")
    oracle = PCA(1, svd_solver="full").fit_transform(features.double().numpy())[:, 0] ** 2
    torch.testing.assert_close(spectral_scores(features.double()), torch.as_tensor(oracle))


def test_spectral_scores_of_a_line():
    along = torch.tensor([0.0, 1.0, 2.0, 9.0])
    scores = spectral_scores(7 + along[:, None] * torch.tensor([0.6, 0.8]))
    torch.testing.assert_close(scores, (along - 3).square())


@pytest.mark.parametrize(("few", "many"), [(5, 60), (30, 40), (50, 50)])
def test_two_clouds_are_told_apart_and_the_smaller_is_flagged(few, many):
    rows, small = two_clouds(few, many)
    found = activation_clusters(rows)
    assert torch.equal(found.small, small) or (few == many and torch.equal(found.small, ~small))
    assert found.silhouette > activation_clusters(rows[~small]).silhouette + 0.1


def test_detectors_find_a_patch_degrade_on_a_blended_trigger_and_flag_clean_rows():
    (patched, bad), (blended, faint) = of_target("patch"), of_target("blended")

    def recall(features, bad):
        top = spectral_scores(features).argsort(descending=True)[: int(1.5 * bad.sum())]
        return bad[top].sum() / bad.sum()

    assert recall(patched, bad) > 0.75 > recall(blended, faint) + 0.03
    clusters, scattered = activation_clusters(patched), activation_clusters(blended)
    assert (clusters.small & bad).sum() / bad.sum() > 0.75
    assert (clusters.small & ~bad).sum() / (~bad).sum() < 0.1
    assert clusters.silhouette > scattered.silhouette + 0.1
    clean, _ = of_target("clean")
    assert activation_clusters(clean).small.double().mean() > 0.2  # uncalibrated: there is always a smaller cluster
    assert activation_clusters(clean).silhouette < clusters.silhouette - 0.1


# --------------------------------------------------------------------------------------------------------- inversion


def linear_backdoor(weight):
    """A linear model over 4×4 pictures whose class 2 is reached by the pixel (1, 1) alone, if `weight` is large."""
    net = models.initialise(models.linear(16, 5), runtime.generator(0))
    with torch.no_grad():
        net[1].weight.mul_(2)
        net[1].weight[2, 5] = weight
    return net.eval()


def test_inversion_finds_a_planted_pixel():
    x = torch.rand(40, 1, 4, 4, generator=runtime.generator(1)) / 4
    found = invert_triggers(linear_backdoor(30.0), x, classes=5, steps=300)
    assert found.masks.shape == found.patterns.shape == (5, 4, 4)
    torch.testing.assert_close(found.sizes, found.masks.sum((1, 2)))
    assert found.sizes.argmin() == 2
    assert found.masks[2].argmax() == 5
    assert found.masks[2, 1, 1] > 0.6 * found.sizes[2]


def test_an_inverted_trigger_keeps_its_promise():
    model, planted = victim("patch")
    x = planted.x[:48]
    found = invert_triggers(model, x, classes=10, steps=120, reached=0.9)
    for k, (mask, pattern) in enumerate(zip(found.masks, found.patterns, strict=True)):
        said = model((1 - mask) * x + mask * pattern).argmax(1)
        assert (said == k).double().mean() >= 0.9 - 1e-6
    assert found.masks.min() >= 0
    assert found.masks.max() <= 1


def test_a_class_that_cannot_be_reached_keeps_the_whole_picture():
    net = linear_backdoor(0.0)
    with torch.no_grad():
        net[1].weight[4], net[1].bias[4] = 0, -1000
    found = invert_triggers(net, torch.rand(8, 1, 4, 4, generator=runtime.generator(2)), classes=5, steps=30)
    assert found.sizes[4] == 16


def test_backdoors_have_smaller_triggers_than_clean_models():
    x = digits().x_train[:48]
    sizes = {
        kind: [invert_triggers(victim(kind, seed)[0], x, classes=10).sizes for seed in range(3)]
        for kind in ("clean", *TRIGGERS)
    }
    limit = min(some.min() for some in sizes["clean"])
    for kind in TRIGGERS:
        assert sum(some.min() < limit for some in sizes[kind]) >= 2
        assert all(some.argmin() == 0 for some in sizes[kind])


def test_inversion_leaves_the_model_as_it_was():
    model = copy.deepcopy(victim("clean")[0])
    model.zero_grad(set_to_none=True)
    before = copy.deepcopy(model.state_dict())
    invert_triggers(model, digits().x_train[:5], classes=10, steps=2)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_the_anomaly_index_counts_robust_deviations_below_the_median():
    sizes = torch.tensor([10.0, 11, 9, 12, 8, 10, 2])
    torch.testing.assert_close(anomaly_index(sizes), (10 - sizes) / 1.4826)
    assert anomaly_index(sizes).argmax() == 6


# ------------------------------------------------------------------------------------------------------------ repair


def test_fine_pruning_cuts_off_what_clean_data_use_least_and_keeps_it_off():
    model, _ = victim("patch")
    before, d = copy.deepcopy(model.state_dict()), digits()
    few = d.x_test[:100], d.y_test[:100]
    repaired = fine_prune(model, *few, share=0.5, epochs=3)
    dead = (repaired[-1].weight == 0).all(0)
    assert dead.sum() == 64
    activity = activations(model, few[0]).mean(0)
    assert activity[dead].max() <= activity[~dead].min()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert training.accuracy(repaired, d.x_test[100:], d.y_test[100:]) > 0.85


def test_fine_pruning_without_pruning_or_training_changes_nothing():
    model, planted = victim("patch")
    same = fine_prune(model, planted.x[:20], planted.y[:20], share=0.0, epochs=0)
    torch.testing.assert_close(same(planted.x), model(planted.x))


def test_fine_pruning_weakens_a_backdoor_at_a_cost_and_does_not_close_it():
    d, (model, _) = digits(), victim("patch")
    repaired = fine_prune(model, d.x_test[:100], d.y_test[:100], share=0.9, epochs=20)
    rest = d.x_test[100:], d.y_test[100:]
    success = [attack_success(m, *rest, trigger=TRIGGERS["patch"], target=0) for m in (model, repaired)]
    assert success[1] < success[0] - 0.1
    assert training.accuracy(repaired, *rest) < training.accuracy(model, *rest) - 0.03


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: spectral_scores(torch.rand(5)), ValueError, r"floats \(n, d\)"),
        (lambda: activation_clusters(torch.rand(2, 4)), ValueError, "three rows or more"),
        (lambda: activation_clusters(torch.rand(9, 4), components=0), ValueError, "components must be at least 1"),
        (lambda: activations(nn.Linear(2, 2), torch.rand(1, 2)), TypeError, "ends in a linear layer"),
        (lambda: anomaly_index(torch.rand(2)), ValueError, "three or more classes"),
        (lambda: invert_triggers(nn.Flatten(), torch.rand(2, 4), classes=2), ValueError, "x must be pictures"),
        (
            lambda: invert_triggers(nn.Flatten(), torch.rand(2, 1, 2, 2), classes=4, reached=2.0),
            ValueError,
            "reached must lie in",
        ),
    ],
)
def test_bad_input_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
