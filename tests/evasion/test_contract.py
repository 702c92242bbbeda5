"""What every attack promises around its algorithm: clear errors, and a model that is as it was."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from evasion_cases import BLACK_BOX, DETERMINISTIC, NAMES, call, network, pictures
from torch import nn

from modelsec_course import models, runtime
from modelsec_course.evasion import attack as attack_decorator
from modelsec_course.evasion import carlini_wagner, deepfool, fgsm, fooled, pgd

BAD_INPUTS = {
    "x of bytes": (lambda x, y: ((x * 255).byte(), y), ValueError, r"x must be a float tensor.*uint8.*/ 255"),
    "x above 1": (lambda x, y: (x * 2.64, y), ValueError, r"x must lie in \[0, 1\].*maximum is 2\.\d+.*Normalize"),
    "x below 0": (lambda x, y: (x - 0.5, y), ValueError, r"x must lie in \[0, 1\].*minimum is -0\.\d+.*Normalize"),
    "x with NaN": (lambda x, y: (x.clone().fill_(torch.nan), y), ValueError, r"x holds NaN.*find out"),
    "x infinite": (lambda x, y: (x.clone().fill_(torch.inf), y), ValueError, r"x must lie in \[0, 1\].*inf"),
    "x an array": (lambda x, y: (x.cpu().numpy(), y), TypeError, r"x must be a tensor.*ndarray.*as_tensor"),
    "x None": (lambda x, y: (None, y), TypeError, r"x must be a tensor.*NoneType"),
    "x a scalar": (lambda x, y: (x.mean(), y), ValueError, r"x must have shape \(batch.*\(\).*x\[None\]"),
    "x without batch": (lambda x, y: (x.flatten(), y), ValueError, r"x must have shape \(batch.*\(768,\).*x\[None\]"),
    "x without numbers": (
        lambda x, y: (x[:, :, :0], y),
        ValueError,
        r"x must hold at least one number.*\(12, 1, 0, 8\)",
    ),
    "x in float64": (lambda x, y: (x.double(), y), ValueError, r"x holds torch.float64.*torch.float32.*convert"),
    "y short": (lambda x, y: (x, y[:-1]), ValueError, r"y must have shape \(12,\).*\(11,\)"),
    "y one-hot": (lambda x, y: (x, nn.functional.one_hot(y, 10)), ValueError, r"y must have shape.*\(12, 10\).*argmax"),
    "y of floats": (lambda x, y: (x, y.float()), ValueError, r"y must hold int64.*float32.*y\.long\(\)"),
    "y of int32": (lambda x, y: (x, y.int()), ValueError, r"y must hold int64.*int32.*y\.long\(\)"),
    "y negative": (lambda x, y: (x, y - 11), ValueError, r"y holds the label -\d+.*start at 0"),
    "y too large": (lambda x, y: (x, y + 10), ValueError, r"y holds the label 1\d.*only 0 to 9"),
    "y a list": (lambda x, y: (x, y.tolist()), TypeError, r"y must be a tensor.*list"),
    "y elsewhere": (lambda x, y: (x, y.to("meta")), ValueError, r"y is on meta.*x is on.*\.to\(device\)"),
}
BAD_MODELS = {
    "not callable": ("digits-cnn", TypeError, r"model must be callable.*str"),
    "no tensor": (lambda v: [v], ValueError, r"model must return logits.*list"),
    "one number an input": (lambda v: v.flatten(1).sum(1), ValueError, r"model must return logits.*\(\d+,\)"),
    "one logit": (lambda v: v.flatten(1)[:, :1], ValueError, r"model returned one logit.*torch\.cat"),
    "another batch": (lambda v: v.flatten(1)[:1], ValueError, r"logits of shape \(\d+, classes\).*\(1, 64\)"),
    "labels": (lambda v: (v.flatten(1) > 0.5).long(), ValueError, r"model must return float logits.*int64.*one_hot"),
    "hidden gradient": (lambda v: v.flatten(1).detach(), ValueError, r"model hides its gradient.*detach"),
}
BAD_OPTIONS = [
    (fgsm, {"eps": -0.1}, ValueError, r"eps must lie in \[0.*-0\.1.*radius"),
    (fgsm, {"eps": "0.1"}, TypeError, r"eps must be a number.*'0\.1'"),
    (fgsm, {"eps": None}, TypeError, r"eps must be a number.*None"),
    (fgsm, {"eps": True}, TypeError, r"eps must be a number.*True"),
    (fgsm, {"eps": float("nan")}, ValueError, r"eps must.*nan"),
    (fgsm, {"eps": float("inf")}, ValueError, r"eps must.*inf"),
    (fgsm, {"eps": 8}, ValueError, r"eps=8 is wider.*8/255"),
    (fgsm, {}, TypeError, r"eps"),
    (fgsm, {"eps": 0.1, "norm": "l7"}, ValueError, r"norm must be one of 'linf', 'l2'.*'l7'"),
    (fgsm, {"eps": 0.1, "norm": 2}, ValueError, r"norm must be one of.*2"),
    (fgsm, {"eps": 0.1, "norm": ["l2"]}, ValueError, r"norm must be one of.*\['l2'\]"),
    (fgsm, {"eps": 0.1, "loss": "hinge"}, ValueError, r"loss must be one of 'ce', 'margin'.*'hinge'"),
    (fgsm, {"eps": 0.1, "targeted": 1}, TypeError, r"targeted must be True or False.*1"),
    (fgsm, {"eps": 0.1, "speed": 1}, TypeError, r"speed"),
    (pgd, {"eps": 0.1, "steps": 0}, ValueError, r"steps must be at least 1.*0"),
    (pgd, {"eps": 0.1, "steps": 2.5}, TypeError, r"steps must be a whole number.*2\.5"),
    (pgd, {"eps": 0.1, "step_size": 0}, ValueError, r"step_size must be above 0.*0"),
    (pgd, {"eps": 0.1, "step_size": "big"}, TypeError, r"step_size must be a number.*'big'"),
    (pgd, {"eps": 0.1, "restarts": 0}, ValueError, r"restarts must be at least 1.*0"),
    (pgd, {"eps": 0.1, "restarts": 2, "random_start": False}, ValueError, r"restarts=2 needs random_start"),
    (
        pgd,
        {"eps": 0.1, "restarts": 2, "stop_early": False},
        ValueError,
        r"restarts=2 needs random_start and stop_early",
    ),
    (pgd, {"eps": 0.1, "random_start": None}, TypeError, r"random_start must be True or False.*None"),
    (pgd, {"eps": 0.1, "stop_early": "no"}, TypeError, r"stop_early must be True or False.*'no'"),
    (pgd, {"eps": 0.1, "generator": 7}, TypeError, r"generator must be a torch\.Generator.*7.*runtime\.generator"),
    (deepfool, {"steps": -1}, ValueError, r"steps must be at least 1.*-1"),
    (deepfool, {"overshoot": -1}, ValueError, r"overshoot must lie in.*-1"),
    (deepfool, {"candidates": 0}, ValueError, r"candidates must be at least 1.*0"),
    (deepfool, {"eps": 0.1}, TypeError, r"eps"),
    (carlini_wagner, {"lr": 0}, ValueError, r"lr must be above 0.*0"),
    (carlini_wagner, {"start": -1}, ValueError, r"start must be above 0.*-1"),
    (carlini_wagner, {"confidence": float("nan")}, ValueError, r"confidence must lie in.*nan"),
    (carlini_wagner, {"searches": 0}, ValueError, r"searches must be at least 1.*0"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", BAD_INPUTS)
def test_bad_inputs_are_refused_with_the_remedy(name, bad, device):
    spoil, kind, message = BAD_INPUTS[bad]
    with pytest.raises(kind, match=message):
        call(name)(network(device), *spoil(*pictures(device=device)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", BAD_MODELS)
def test_bad_models_are_refused_with_the_remedy(name, bad, device):
    model, kind, message = BAD_MODELS[bad]
    x, _ = pictures(device=device)
    if bad == "hidden gradient" and name in BLACK_BOX:
        assert call(name)(model, x, x.flatten(1).argmax(1) % 10).isfinite().all()  # they need none
        return
    with pytest.raises(kind, match=message):
        call(name)(model, x, x.flatten(1).argmax(1))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BLACK_BOX])
def test_a_model_that_detaches_is_refused_even_when_its_parameters_have_gradients(name, device):
    x, y = pictures(device=device)
    net = network(device)
    with pytest.raises(ValueError, match=r"model hides its gradient"):
        call(name)(lambda v: net.eval()(v.detach()), x, y)


@pytest.mark.parametrize(("attack", "options", "kind", "message"), BAD_OPTIONS)
def test_bad_options_are_refused_before_the_model_is_asked(attack, options, kind, message, device):
    def model(x):
        raise AssertionError("the model was asked")

    with pytest.raises(kind, match=message):
        attack(model, *pictures(device=device), **options)


def test_an_attack_with_an_option_that_nothing_checks_is_refused():
    with pytest.raises(TypeError, match=r"rule in RULES.*luck"):

        @attack_decorator
        def unchecked(model, x, y, *, eps, luck=1):
            return x


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_batch_gives_an_empty_result(name, device):
    x, y = pictures(device=device)
    result = call(name)(network(device), x[:0], y[:0])
    assert result.shape == (0, 1, 8, 8)
    assert result.dtype == x.dtype
    assert result.device == x.device


def state_of(model):
    modes = [module.training for module in model.modules()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    grads = [None if parameter.grad is None else parameter.grad.clone() for parameter in model.parameters()]
    return modes, flags, grads, copy.deepcopy(model.state_dict())


def assert_unchanged(model, before):
    modes, flags, grads, values = before
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    for parameter, grad in zip(model.parameters(), grads, strict=True):
        assert (parameter.grad is None) == (grad is None)
        assert grad is None or torch.equal(parameter.grad, grad)
    after = model.state_dict()
    assert after.keys() == values.keys()
    assert all(torch.equal(after[key], values[key]) for key in values)


def half_trained(device):
    """In train mode but for its batch norm, one parameter frozen, one with a gradient, as in fine-tuning."""
    net = network(device).train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    net[5].weight.grad = torch.ones_like(net[5].weight)
    return net


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_as_it_was_after_an_attack(name, device):
    net = half_trained(device)
    before = state_of(net)
    call(name)(net, *pictures(device=device))
    assert_unchanged(net, before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fails_at", [1, 2])
def test_the_model_is_as_it_was_after_an_exception(name, fails_at, device):
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.calls = half_trained(device), 0

        def forward(self, x):
            self.calls += 1
            if self.calls >= fails_at:
                raise ArithmeticError("broken on purpose")
            return self.net(x)

    net = Fragile()
    before = state_of(net)
    if name.startswith("fgsm") and fails_at == 2:
        call(name)(net, *pictures(device=device))  # it asks once
    else:
        with pytest.raises(ArithmeticError):
            call(name)(net, *pictures(device=device))
    assert_unchanged(net, before)


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_asked_in_eval_mode(name, device):
    x, y = pictures(device=device)
    trained = network(device).train()
    torch.testing.assert_close(call(name)(trained, x, y), call(name)(network(device).eval(), x, y))


@pytest.mark.parametrize("name", NAMES)
def test_x_is_never_written_to_and_the_result_shares_nothing_with_it(name, cnn, digits):
    x, y = digits[0][:16].clone(), digits[1][:16].clone()
    before = x.clone(), y.clone()
    result = call(name)(cnn, x, y)
    result.fill_(0.5)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
    assert not result.requires_grad


def equal_results(name, model, x, y, variant, expected=None):
    expected = call(name)(model, x, y) if expected is None else expected
    torch.testing.assert_close(variant, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_that_are_strided_or_want_gradients_change_nothing(name, device):
    net = network(device)
    x, y = pictures(device=device)
    strided = x.transpose(2, 3).contiguous().transpose(2, 3)
    assert not strided.is_contiguous()
    equal_results(name, net, x, y, call(name)(net, strided, y))
    wide = torch.stack([x, x], -1)[..., 0]
    equal_results(name, net, x, y, call(name)(net, wide, y))
    equal_results(name, net, x, y, call(name)(net, x.clone().requires_grad_(), y))
    equal_results(
        name, net, x, y, call(name)(net, x[:1].expand(12, -1, -1, -1), y), call(name)(net, x[:1].repeat(12, 1, 1, 1), y)
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_grad_and_inference_mode_around_an_attack_change_nothing(name, device):
    net = network(device)
    x, y = pictures(device=device)
    with torch.no_grad():
        equal_results(name, net, x, y, call(name)(net, x, y))
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        inside = call(name)(net, x.clone(), y.clone())  # inference tensors themselves
        assert torch.is_inference_mode_enabled()
    equal_results(name, net, x, y, inside)


@pytest.mark.parametrize("name", NAMES)
def test_any_callable_is_a_model(name, device):
    net = network(device).eval()
    x, y = pictures(device=device)
    equal_results(name, net, x, y, call(name)(lambda v: net(v), x, y))
    equal_results(name, net, x, y, call(name)(partial(nn.Sequential.forward, net), x, y))
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_models_in_double_precision_are_attacked_in_double_precision(name, device):
    x, y = pictures(device=device, dtype=torch.float64)
    result = call(name)(network(device, torch.float64), x, y)
    assert result.dtype == torch.float64


# squares need rows; and HopSkipJump walks elsewhere after the first decision that rounding turns
@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith(("square", "hop"))])
def test_records_are_attacked_like_pictures(name, device):
    net = network(device)
    x, y = pictures(device=device)
    flat = call(name)(lambda v: net.eval()(v.view(-1, 1, 8, 8)), x.flatten(1), y)
    equal_results(name, net, x.flatten(1), y, flat, call(name)(net, x, y).flatten(1))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_whose_gradient_is_one_number_for_all_pixels_is_attacked(name, device):
    x, y = torch.full((4, 6), 0.4, device=device), torch.tensor([0, 1, 0, 1], device=device)
    result = call(name)(lambda v: torch.stack([v.sum(1), 5 - v.sum(1), 0 * v[:, 0], v[:, 0] - 9], 1), x, y)
    assert result.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_the_global_random_state_is_neither_read_nor_written(name, device):
    net = network(device)
    x, y = pictures(device=device)
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = call(name)(net, x, y)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    torch.manual_seed(2)
    assert torch.equal(call(name)(net, x, y), first)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_generator_decides_the_random_start(norm, device):
    net = network(device)
    x, y = pictures(device=device)
    run = lambda seed: pgd(net, x, y, eps=0.01, norm=norm, steps=2, generator=runtime.generator(seed))  # noqa: E731
    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))
    own = runtime.generator(3)
    first, second = (pgd(net, x, y, eps=0.01, norm=norm, steps=2, generator=own) for _ in range(2))
    assert torch.equal(first, run(3))
    assert not torch.equal(first, second)  # a generator moves on


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_the_result_does_not_depend_on_how_the_batch_is_split(name, device):
    net = network(device, torch.float64)
    x, y = pictures(11, device=device, dtype=torch.float64)
    attack = DETERMINISTIC[name]
    whole = attack(net, x, y)
    for size in (1, 3, 10):
        parts = [attack(net, some, labels) for some, labels in zip(x.split(size), y.split(size), strict=True)]
        torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-7)
    backwards = attack(net, x.flip(0), y.flip(0)).flip(0)
    torch.testing.assert_close(backwards, whole, rtol=0, atol=1e-7)


@pytest.mark.parametrize("targeted", [False, True])
def test_fooled_says_who_has_fallen(targeted):
    logits = torch.tensor([[1.0, 2.0], [2.0, 1.0]])
    assert fooled(logits, torch.tensor([0, 0]), targeted).tolist() == [not targeted, targeted]


def test_the_layers_of_a_model_are_each_restored(device):
    net = half_trained(device)
    before = state_of(net)
    with models.frozen(net):
        assert not any(module.training for module in net.modules())
        assert not any(parameter.requires_grad for parameter in net.parameters())
    assert_unchanged(net, before)
