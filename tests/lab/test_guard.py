import numpy as np
import pytest
import torch
from torch import nn

from modelsec_course.lab.exercise import Exercise
from modelsec_course.lab.guard import Guarded

PLAIN = Exercise("98.plain", title="", reference=len, properties=(len,))


def guarded(f, reference=len, **more):
    return Guarded(f, Exercise("98.plain", title="", reference=reference, properties=(len,), **more))


def test_a_tensor_changed_in_place_is_named_and_put_back():
    def fgsm(image, eps):
        image += eps
        return image

    x = torch.zeros(3)
    with pytest.raises(AssertionError, match=r"changed its input `image` in place: work on a copy \(image.clone\(\)\)"):
        guarded(fgsm)(x, eps=1)
    assert torch.equal(x, torch.zeros(3))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda f: f(batch={"x": [torch.zeros(2)]}), r"batch\['x'\]\[0\]"),
        (lambda f: f(batch=(1, np.zeros(2))), r"batch\[1\]"),
        (lambda f: f(torch.full((2,), torch.nan)), "batch"),
    ],
)
def test_inputs_inside_containers_are_watched(call, name):
    def meddle(batch):
        inner = batch["x"][0] if isinstance(batch, dict) else batch[1] if isinstance(batch, tuple) else batch
        inner[0] = 7
        return 1

    with pytest.raises(AssertionError, match=f"changed its input `{name}`"):
        call(guarded(meddle))


def test_nan_in_an_input_is_no_change():
    assert guarded(lambda x: 1)(torch.tensor([torch.nan, 1.0])) == 1


def test_a_change_of_shape_is_a_change():
    def squeeze(x):
        return x.squeeze_().sum()

    x = torch.zeros(1, 3)
    with pytest.raises(AssertionError, match="in place"):
        guarded(squeeze)(x)
    assert x.shape == (1, 3)


def test_a_change_is_undone_even_when_the_function_raises():
    def meddle(x):
        x += 1
        raise KeyError("x")

    x = torch.zeros(2)
    with pytest.raises(KeyError):
        guarded(meddle)(x)
    assert torch.equal(x, torch.zeros(2))


def test_a_gradient_left_on_an_input_is_reported_and_put_back():
    def attack(x):
        x.requires_grad_()
        (x**2).sum().backward()
        return x.grad.clone()

    x = torch.ones(2)
    with pytest.raises(AssertionError, match=r"left a gradient on its input `x`.*clone"):
        guarded(attack)(x)
    assert not x.requires_grad
    assert x.grad is None


def test_a_models_mode_and_gradients_are_put_back_silently():
    def attack(model, x):
        model.train()
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        model[0].weight.grad = torch.ones_like(model[0].weight)
        return model(x).detach()

    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).eval()
    guarded(attack)(model, torch.ones(1, 2))
    assert not model.training
    assert not model[1].training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_a_trained_model_is_reported_and_put_back():
    def train(model):
        with torch.no_grad():
            model.weight += 1
        return 1

    model = nn.Linear(2, 2)
    before = model.weight.detach().clone()
    with pytest.raises(AssertionError, match="changed `weight` of its input `model`, which it may only read"):
        guarded(train)(model)
    assert torch.equal(model.weight, before)


def test_batch_norm_in_training_mode_is_explained():
    def forward(model, x):
        return model.train()(x).detach()

    with pytest.raises(
        AssertionError, match=r"running_mean.*left the model in training mode, so call `.eval\(\)` first"
    ):
        guarded(forward)(nn.BatchNorm1d(2).eval(), torch.randn(4, 2))


def test_an_exercise_may_be_meant_to_change_its_input():
    def step(model):
        with torch.no_grad():
            model.weight += 1
        return 1

    model = nn.Linear(1, 1)
    before = model.weight.item()
    guarded(step, step, mutates=("model",))(model)
    assert model.weight.item() == pytest.approx(before + 1)


def reference(model, x, *, eps=0.1):
    """What the lab calls the parameters."""


def learners(net, image, *, budget=0.1):
    with torch.no_grad():
        net.weight += budget
    return 1


@pytest.mark.parametrize("call", [lambda f, net: f(net, None), lambda f, net: f(x=None, model=net, eps=0.1)])
def test_what_may_be_changed_does_not_depend_on_the_learners_names(call):
    call(guarded(learners, reference, mutates=("model",)), nn.Linear(1, 1))
    with pytest.raises(AssertionError, match="changed `weight` of its input `net`"):
        call(guarded(learners, reference, mutates=("x",)), nn.Linear(1, 1))


def test_a_name_of_the_learners_does_not_hide_what_may_be_only_read():
    def step(x, model):
        return learners(x, model)

    with pytest.raises(AssertionError, match="changed `weight` of its input `x`"):
        guarded(step, reference, mutates=("x",))(nn.Linear(1, 1), None)


def test_positions_beyond_the_parameters_are_numbered():
    def meddle(*args):
        args[1].add_(1)
        return 1

    with pytest.raises(AssertionError, match="its input `argument 2`"):
        guarded(meddle, reference)(None, torch.zeros(2))


def test_infinity_can_be_an_answer():
    assert guarded(lambda: float("inf"), finite=False)() == float("inf")


@pytest.mark.parametrize(
    "fine", [torch.ones(3, dtype=torch.int64), 3, "text", [1.0, None], {"a": np.ones(2)}, np.array(["a"])]
)
def test_what_is_finite_or_no_number_passes(fine):
    assert guarded(lambda: fine)() is fine


def test_it_looks_like_the_learners_function():
    def fgsm(model, x):
        """Mine."""

    assert guarded(fgsm).__name__ == "fgsm"


@pytest.mark.parametrize(
    ("meddle", "left"),
    [
        (lambda net: net.eval(), ["its training or evaluation mode was changed"]),
        (lambda net: net.requires_grad_(False), ["a parameter's requires_grad was switched"]),
        (lambda net: net.weight.sum().backward(), ["a gradient was left in a parameter's .grad"]),
        (lambda net: None, []),
    ],
)
def test_what_is_put_back_silently_can_be_asked_for(meddle, left):
    net = nn.Linear(2, 1)
    watched = guarded(lambda model: (meddle(model), 1)[1])
    watched(net)
    assert watched.left == left
    assert (net.training, net.weight.requires_grad, net.weight.grad) == (True, True, None)
