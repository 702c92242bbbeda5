"""Training learns, repeats itself, keeps the best weights, and says what went wrong."""

import math

import pytest
import torch
from torch import nn

from modelsec_course import data, models, runtime, training


def blobs(n=200):
    """Two clouds of points that a line separates: (n, 2) inputs, (n,) labels."""
    generator = runtime.generator(0)
    y = torch.arange(n) % 2
    return torch.randn(n, 2, generator=generator) * 0.3 + (2 * y[:, None] - 1), y


def fresh(seed=0):
    return models.initialise(models.linear(2, 2), runtime.generator(seed))


def fit(net, x, y, **options):
    return training.fit(net, x, y, **{"epochs": 5, "progress": False} | options)


def test_fit_learns_and_says_how():
    net, (x, y) = fresh(), blobs()
    history = fit(net, x, y, lr=0.05, epochs=8)
    assert training.accuracy(net, x, y) > 0.99
    assert len(history.losses) == 8
    assert history.losses[-1] < history.losses[0] / 2
    assert not net.training


def test_five_epochs_read_the_digits():
    digits = data.load("digits")
    net = models.initialise(models.cnn(), runtime.generator(0))
    fit(net, digits.x_train, digits.y_train, epochs=5)
    assert training.accuracy(net, digits.x_test, digits.y_test) > 0.9


def test_the_generator_decides_and_the_global_state_does_not():
    (x, y), results = blobs(), []
    nets, default = [fresh() for _ in range(4)], fresh()
    before = torch.get_rng_state()
    for net, seed in zip(nets, (1, 1, 2, None), strict=True):
        fit(net, x, y, generator=None if seed is None else runtime.generator(seed))
        results.append(net[-1].weight.detach().clone())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    fit(default, x, y, generator=runtime.generator(0))
    assert torch.equal(default[-1].weight, results[3])


def test_the_mean_loss_weighs_every_input_the_same():
    x, y = blobs(101)  # the last batch holds one input
    net = fresh()
    expected = nn.functional.cross_entropy(net(x), y).item()
    history = fit(net, x, y, epochs=1, batch_size=20, lr=1e-12)
    assert history.losses[0] == pytest.approx(expected, rel=1e-5)


def test_patience_stops_and_brings_the_best_weights_back():
    x, y = blobs()
    net, seen = fresh(), []

    def worse_and_worse(model, some, labels):
        """Honest for two epochs, then class 0 is talked down."""
        seen.append(len(some))
        if sum(seen) <= 2 * len(x):
            return nn.functional.cross_entropy(model(some), labels)
        return model(some)[:, 0].mean()

    history = fit(net, x, y, lr=0.5, epochs=40, loss=worse_and_worse, validate=(x, y), patience=3, batch_size=10)
    assert len(history.losses) < 40
    assert len(history.validation) == len(history.losses) == history.best_epoch + 4
    assert training.accuracy(net, x, y) == max(history.validation) == history.validation[history.best_epoch]
    assert history.validation[-1] < max(history.validation)


def test_validation_without_patience_only_watches():
    x, y = blobs()
    history = fit(fresh(), x, y, epochs=3, validate=(x, y))
    assert len(history.validation) == 3
    assert history.validation[history.best_epoch] == max(history.validation)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_remedy(value):
    with pytest.raises(FloatingPointError, match=r"the loss became (nan|inf) in epoch 1: use an lr below 0\.002"):
        fit(fresh(), *blobs(), loss=lambda model, x, y: model(x).sum() * 0 + value)


def test_the_progress_bar_can_be_off_and_goes_to_the_error_stream(capsys):
    fit(fresh(), *blobs(), epochs=2)
    assert capsys.readouterr() == ("", "")
    training.fit(fresh(), *blobs(), epochs=2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "training" in shown.err


def test_accuracy_counts_in_eval_mode_and_puts_the_mode_back():
    net = nn.Sequential(nn.Dropout(0.99), models.linear(2, 2)).train()
    net[1].eval()
    x, y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 1, 1])
    with torch.no_grad():
        net[1][-1].weight.copy_(torch.eye(2))
        net[1][-1].bias.zero_()
    assert training.accuracy(net, x, y) == pytest.approx(2 / 3)
    assert net.training
    assert not net[1].training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


def test_a_regressor_finds_the_line_that_least_squares_finds():
    x = torch.randn(40, 2, generator=runtime.generator(0))
    y = x @ torch.tensor([1.0, -2.0]) + 0.5
    net = models.initialise(torch.nn.Linear(2, 1), runtime.generator(1))
    history = fit(net, x, y, epochs=200, lr=0.05, loss=training.squared_error)
    torch.testing.assert_close(net.weight.detach(), torch.tensor([[1.0, -2.0]]), atol=1e-3, rtol=0)
    assert history.losses[-1] < 1e-6


@pytest.mark.parametrize(
    ("outputs", "y", "message"),
    [
        (1, torch.zeros(4, dtype=torch.int64), r"y must hold floating-point numbers.*int64.*float\(\)"),
        (1, torch.zeros(4, 1), r"y must have shape \(4,\), one number for each input.*\(4, 1\)"),
        (1, torch.full((4,), torch.nan), r"y must be finite"),
        (2, torch.zeros(4), r"model must return one number.*returned 2"),
        (1, torch.zeros(4, device="meta"), r"y is on meta, but x is on cpu"),
    ],
)
def test_a_regressor_needs_one_output_and_one_number_for_each_input(outputs, y, message):
    with pytest.raises(ValueError, match=message):
        fit(torch.nn.Linear(2, outputs), torch.zeros(4, 2), y, loss=training.squared_error)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 1000])
def test_accuracy_does_not_depend_on_the_batch_size(batch_size):
    x, y = blobs(20)
    assert training.accuracy(fresh(3), x, y, batch_size) == training.accuracy(fresh(3), x, y)


def test_accuracy_takes_any_callable():
    x, y = blobs(20)
    assert training.accuracy(lambda v: torch.stack([-v[:, 0], v[:, 0]], 1), x, y) > 0.95


X, Y = blobs(6)
BAD_DATA = {
    "x no tensor": (X.numpy(), Y, TypeError, r"x must be a tensor.*ndarray"),
    "x empty": (X[:0], Y[:0], ValueError, r"x must hold at least one input.*\(0, 2\)"),
    "x a number": (X[0, 0], Y, ValueError, r"x must hold at least one input.*\(\)"),
    "x in float64": (X.double(), Y, ValueError, r"x holds torch\.float64.*torch\.float32.*convert"),
    "x elsewhere": (X.to("meta"), Y.to("meta"), ValueError, r"x is on meta.*model is on cpu"),
    "y short": (X, Y[:2], ValueError, r"y must have shape \(6,\).*\(2,\)"),
    "y of floats": (X, Y.float(), ValueError, r"y must hold int64"),
    "y negative": (X, Y - 1, ValueError, r"y holds the label -1"),
    "y too large": (X, Y + 7, ValueError, r"y holds the label 8.*only 0 to 1"),
}


@pytest.mark.parametrize("bad", BAD_DATA)
@pytest.mark.parametrize("function", [fit, training.accuracy])
def test_bad_data_is_refused_with_the_remedy(function, bad):
    x, y, kind, message = BAD_DATA[bad]
    with pytest.raises(kind, match=message):
        function(fresh(), x, y)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"epochs": 0}, ValueError, r"epochs must be at least 1.*0"),
        ({"epochs": 1.5}, TypeError, r"epochs must be a whole number.*1\.5"),
        ({"lr": 0}, ValueError, r"lr must be above 0.*0"),
        ({"lr": "fast"}, TypeError, r"lr must be a number.*'fast'"),
        ({"batch_size": 0}, ValueError, r"batch_size must be at least 1.*0"),
        ({"loss": "ce"}, TypeError, r"loss must be callable.*'ce'.*loss\(model, x, y\)"),
        ({"validate": X}, TypeError, r"validate must be a pair \(x, y\).*Tensor"),
        ({"validate": (X, Y[:1])}, ValueError, r"y must have shape"),
        ({"patience": 0, "validate": (X, Y)}, ValueError, r"patience must be at least 1.*0"),
        ({"patience": 2}, ValueError, r"patience=2 needs validate=\(x, y\)"),
        ({"generator": 3}, TypeError, r"generator must be a torch\.Generator.*3"),
        ({"progress": 1}, TypeError, r"progress must be True or False.*1"),
    ],
)
def test_bad_options_are_refused_before_training(options, kind, message):
    net = fresh()
    before = net[-1].weight.clone()
    with pytest.raises(kind, match=message):
        fit(net, X, Y, **options)
    assert torch.equal(net[-1].weight, before)


def test_bad_models_are_refused():
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module.*function"):
        fit(lambda x: x, X, Y)
    with pytest.raises(TypeError, match=r"model must be callable.*None"):
        training.accuracy(None, X, Y)
    with pytest.raises(ValueError, match=r"model must return logits \(batch, classes\).*\(1,\)"):
        training.accuracy(lambda x: x.sum(1), X, Y)
