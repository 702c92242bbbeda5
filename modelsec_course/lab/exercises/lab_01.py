"""Lab 01: white-box evasion. FGSM, PGD, DeepFool, and Carlini & Wagner's attack."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import evasion
from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close
from modelsec_course.lab.exercises.common import (
    class_distances,
    curved_model,
    digits_model,
    expect_inside,
    l2_length,
    linear_model,
    shaped_like_x,
    still_right,
)  # fmt: skip

LAB = Lab(
    number="01",
    title="White-box evasion",
    question="How little must a picture change before the model is wrong?",
    minutes=75,
    difficulty=3,
    prerequisites=("Lab 00", "PyTorch tensors and gradients"),
    outcomes=(
        "write four attacks: two that stay in a ball, two that look for the smallest change",
        "tell an adversarial change from noise by a control",
        "test an attack against a closed form before trusting it",
        "attack a defence through the defence",
    ),
    seconds=40,
)


def _ball(attack):
    """Never leaves the ball of radius ε, nor [0, 1]"""
    model, x, y = curved_model()
    for eps in (0.03, 0.3):
        expect_inside(attack(model, x, y, eps), x, eps)


def _in_the_box(attack):
    """Pixels stay in [0, 1]"""
    model, x, y = digits_model(24)
    x_adv = attack(model, x, y)
    expect(x_adv.min() >= 0 and x_adv.max() <= 1, f"got pixels from {x_adv.min():.3g} to {x_adv.max():.3g}")


# ------------------------------------------------------------------------------------------------------------ 01.fgsm


def _corner(attack):
    """On a linear model: every pixel moves by exactly ε, the way that hurts"""
    model, x, y = linear_model(classes=2)
    weight = model[1].weight.detach()
    uphill = (weight[1 - y] - weight[y]).sign().view_as(x)
    expect_close(attack(model, x, y, 0.05), x + 0.05 * uphill, 1e-6, "x_adv")


def _exact_accuracy(attack):
    """On a linear model: leaves exactly the closed-form robust accuracy"""
    model, x, y = linear_model(classes=2, seed=1, n=200)
    weight, logits = model[1].weight.detach(), model(x).detach()
    score = (logits.gather(1, y[:, None]) - logits.gather(1, 1 - y[:, None])).squeeze(1)
    for eps in (0.01, 0.02, 0.04):
        exact = (score > eps * (weight[0] - weight[1]).abs().sum()).float().mean()
        got = still_right(model, attack(model, x, y, eps), y).float().mean()
        expect_close(got, exact, 1e-6, f"the accuracy left at eps = {eps}")


def _nothing(attack):
    """ε = 0 changes nothing"""
    model, x, y = curved_model()
    expect_close(attack(model, x, y, 0.0), x, 1e-7, "x_adv")


def fgsm(model, x, y, eps):
    return evasion.fgsm(model, x, y, eps=eps)


def _gradient(model, x, y, of=F.cross_entropy) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(of(model(x), y), x)[0]


def _fgsm_backward(model, x, y, eps):
    x_adv = x.clone().requires_grad_()
    F.nll_loss(model(x_adv).log_softmax(dim=1), y, reduction="sum").backward()
    up = x_adv.grad > 0
    down = x_adv.grad < 0
    with torch.no_grad():
        return torch.clip(x + eps * up.float() - eps * down.float(), 0.0, 1.0)


def _fgsm_own_label(model, x, y, eps):
    return fgsm(model, x, model(x).argmax(1), eps)


exercise(
    "01.fgsm",
    title="The fast gradient sign method",
    reference=fgsm,
    properties=[_corner, _ball, _exact_accuracy, _nothing],
    hints=[
        "You need the gradient of the loss with respect to the **input**, so the input must ask for one: "
        "`at = x.clone().requires_grad_()`.",
        "```python\nloss = F.cross_entropy(model(at), y)\n(gradient,) = torch.autograd.grad(loss, at)\n```",
        "Every pixel moves by `eps` in the direction of `gradient.sign()`, and then `.clamp(0, 1)` keeps it a picture.",
    ],
    returns=shaped_like_x,
    second=_fgsm_backward,
    mutants={
        "steps down the loss": lambda model, x, y, eps: (x - eps * _gradient(model, x, y).sign()).clamp(0, 1),
        "forgets the sign": lambda model, x, y, eps: (x + eps * _gradient(model, x, y)).clamp(0, 1),
        "forgets that pixels end at 0 and 1": lambda model, x, y, eps: x + eps * _gradient(model, x, y).sign(),
        "climbs from the model's own answer": _fgsm_own_label,
        "random signs": lambda model, x, y, eps: (x + eps * torch.randn_like(x).sign()).clamp(0, 1),
    },
)

# ------------------------------------------------------------------------------------------------------------- 01.pgd


def _pgd_ball(attack):
    """Never leaves the ball of radius ε, nor [0, 1], however many steps"""
    model, x, y = curved_model()
    for eps, steps, step_size in ((0.03, 5, 0.03), (0.1, 12, 0.04), (0.3, 4, 0.2)):
        expect_inside(attack(model, x, y, eps, steps, step_size), x, eps)


def _one_step_is_fgsm(attack):
    """One step of length ε is FGSM"""
    model, x, y = linear_model(classes=3)
    right = still_right(model, x, y)  # those already wrong may be left alone
    want = fgsm(model, x, y, 0.04)[right]
    expect_close(attack(model, x, y, 0.04, 1, 0.04)[right], want, 1e-6, "x_adv after one step (start at x itself)")


def _stays_on_the_way(attack):
    """Steps back into the ball after each step, not only at the end"""
    model, x, y = curved_model()
    farthest = 0.0

    class Watched(nn.Module):
        def forward(self, at):
            nonlocal farthest
            if at.shape == x.shape:
                farthest = max(farthest, (at - x).abs().max().item())
            return model(at)

    attack(Watched(), x, y, 0.1, 12, 0.05)
    expect(
        farthest <= 0.1 + 1e-6, f"with eps = 0.1, the model was asked about a point that is {farthest:.3g} away from x"
    )


def _pgd_exact(attack):
    """On a linear model: many small steps leave exactly the closed-form robust accuracy"""
    _exact_accuracy(lambda model, x, y, eps: attack(model, x, y, eps, 10, eps / 4))


def _looks_again(attack):
    """On the digits: takes a fresh gradient at each step, and so beats FGSM"""
    model, x, y = digits_model()
    one = still_right(model, fgsm(model, x, y, 0.15), y).sum().item()
    left = still_right(model, attack(model, x, y, 0.15, 15, 0.025), y).sum().item()
    expect(left < one, f"{left} of {len(y)} digits stand after PGD, {one} after FGSM: expected fewer")


def pgd(model, x, y, eps, steps=20, step_size=None):
    return evasion.pgd(model, x, y, eps=eps, steps=steps, step_size=step_size, random_start=False)


def _pgd_by_bounds(model, x, y, eps, steps=20, step_size=None):
    low, high = (x - eps).clamp(min=0), (x + eps).clamp(max=1)
    x_adv = x.clone()
    for _ in range(steps):
        up = _gradient(model, x_adv, y, lambda logits, y: F.cross_entropy(logits, y, reduction="sum")).sign()
        x_adv = torch.minimum(torch.maximum(x_adv + (step_size or eps / 4) * up, low), high)
    return x_adv


def _pgd_wrong(model, x, y, eps, steps=20, step_size=None, *, project="x", fresh=True, clamp=True, sign=1):
    x_adv, stale = x.clone(), _gradient(model, x, y)
    for _ in range(steps):
        up = _gradient(model, x_adv, y) if fresh else stale
        step = sign * (step_size or eps / 4) * up.sign()
        if project == "x":
            step = (x_adv + step - x).clamp(-eps, eps) - (x_adv - x)
        x_adv = x_adv + step
        x_adv = x_adv.clamp(0, 1) if clamp else x_adv
    return x_adv


exercise(
    "01.pgd",
    title="Projected gradient descent",
    reference=pgd,
    properties=[_one_step_is_fgsm, _pgd_ball, _stays_on_the_way, _pgd_exact, _looks_again],
    hints=[
        "FGSM in a loop, with a smaller step, and a step back into the ball after each.",
        "The ball is around **x**, not around the last point: `delta = (x_adv - x).clamp(-eps, eps)`.",
        "```python\nfor _ in range(steps):\n    gradient = …  # at x_adv\n"
        "    x_adv = x_adv + step_size * gradient.sign()\n"
        "    x_adv = (x + (x_adv - x).clamp(-eps, eps)).clamp(0, 1)\n```",
    ],
    returns=shaped_like_x,
    second=_pgd_by_bounds,
    mutants={
        "never steps back into the ball": functools.partial(_pgd_wrong, project="no"),
        "steps back only at the end": lambda model, x, y, eps, steps=20, step_size=None: (
            x + (_pgd_wrong(model, x, y, eps, steps, step_size, project="no") - x).clamp(-eps, eps)
        ),
        "keeps the first gradient": functools.partial(_pgd_wrong, fresh=False),
        "forgets that pixels end at 0 and 1": functools.partial(_pgd_wrong, clamp=False),
        "steps down the loss": functools.partial(_pgd_wrong, sign=-1),
        "takes one step only": lambda model, x, y, eps, steps=20, step_size=None: _pgd_wrong(
            model, x, y, eps, 1, step_size
        ),
    },
)

# -------------------------------------------------------------------------------------------------------- 01.deepfool


def _closed_form(classes: int):
    def verify(attack):
        model, x, y = linear_model(classes)
        exact = class_distances(model, x, y).amin(1)
        right = still_right(model, x, y)
        x_adv = attack(model, x, y)
        ratio = l2_length(x_adv, x)[right] / exact[right]
        say = f"the shortest and longest are {ratio.min():.3f} and {ratio.max():.3f} times the closed form"
        expect(ratio.min() > 0.999, f"{say}: some do not reach the boundary")
        expect(ratio.max() < 1.025, f"{say}: some go too far")

    words = "two classes: the distance is |f| / ‖w‖" if classes == 2 else "five classes: the nearest boundary counts"
    verify.__doc__ = f"On a linear model, {words}"
    return verify


def _crosses(attack):
    """Crosses the boundary: the results fool the model (two stragglers are forgiven)"""
    for model, x, y in (linear_model(classes=5, seed=2), digits_model(40)):
        standing = still_right(model, attack(model, x, y), y).sum().item()
        expect(standing <= 2, f"{standing} of {len(y)} results are still classified correctly")


def _leaves_the_fallen(attack):
    """Inputs that are wrong already come back as they are"""
    model, x, y = linear_model(classes=3)
    wrong = ~still_right(model, x, y)
    expect_close(attack(model, x, y)[wrong], x[wrong], 1e-6, "x_adv where the model was wrong already")


def _near_on_digits(attack):
    """On the digits: half of the changes are shorter than 0.6"""
    model, x, y = digits_model(40)
    median = l2_length(attack(model, x, y), x).median().item()
    expect(median < 0.6, f"the median length is {median:.3f}")


def deepfool(model, x, y, steps=20):
    return evasion.deepfool(model, x, y, steps=steps)


def _differences(model, x, y) -> tuple[Tensor, Tensor]:
    """z_k − z_y (n, classes) and its gradients (n, classes, features)."""
    x = x.clone().requires_grad_()
    logits = model(x)
    each = [torch.autograd.grad(logits[:, k].sum(), x, retain_graph=True)[0] for k in range(logits.shape[1])]
    jacobian, rows = torch.stack(each, 1).flatten(2), torch.arange(len(x))
    return (logits - logits[rows, y][:, None]).detach(), jacobian - jacobian[rows, y][:, None]


def _deepfool_each(model, x, y, steps=20):
    """One input after the other, as in the paper's algorithm."""
    done = []
    for one, label in zip(x.split(1), y.split(1), strict=True):
        total = torch.zeros_like(one)
        for _ in range(steps):
            at = (one + 1.01 * total).clamp(0, 1)
            if not still_right(model, at, label).item():
                break
            gap, normal = _differences(model, at, label)
            length = gap.abs() / normal.norm(dim=2)
            length[0, label] = torch.inf
            k = length[0].argmin()
            total = total + ((gap[0, k].abs() + 1e-4) / normal[0, k].norm() ** 2 * normal[0, k]).view_as(one)
        done.append((one + 1.01 * total).clamp(0, 1))
    return torch.cat(done)


def _deepfool_wrong(model, x, y, steps=20, *, choose="nearest", overshoot=0.01, power=2):
    x_adv, rows = x.clone(), torch.arange(len(x))
    for _ in range(steps):
        standing = still_right(model, x_adv, y)
        gap, normal = _differences(model, x_adv, y)
        slope = normal.norm(dim=2).clamp_min(1e-9)
        length = gap.abs() / slope if choose == "nearest" else gap.abs()
        length[rows, y] = -torch.inf if choose == "farthest" else torch.inf
        k = length.argmax(1) if choose == "farthest" else length.argmin(1)
        step = (1 + overshoot) * gap[rows, k].abs() / slope[rows, k] ** power
        move = (step[:, None] * normal[rows, k]).view_as(x)
        x_adv = torch.where(standing.view(-1, 1, 1, 1), (x_adv + move).clamp(0, 1), x_adv)
    return x_adv


exercise(
    "01.deepfool",
    title="DeepFool",
    reference=deepfool,
    properties=[_closed_form(2), _closed_form(5), _crosses, _in_the_box, _leaves_the_fallen, _near_on_digits],
    hints=[
        "For each other class k, `gap = logits[k] - logits[y]` is negative and `normal = gradient[k] - gradient[y]`. "
        "The boundary to k is `gap.abs() / normal.norm()` away. Take the smallest.",
        "The step to that boundary is `gap.abs() / normal.norm()**2 * normal`. Go 1 % and a hair further, "
        "`1.01 * (gap.abs() + 1e-4)`: exactly *on* the boundary two logits tie, and the step becomes 0.",
        "The distance to class y itself is 0 / 0, which is NaN: set it to `torch.inf` before `argmin(1)`. The step has "
        "shape (batch, features): `.view_as(x)` makes pictures of it. Move only the inputs that the model still gets "
        "right, with `torch.where(standing[:, None, None, None], moved, x_adv)`.",
    ],
    returns=shaped_like_x,
    second=_deepfool_each,
    mutants={
        "takes the class with the closest score": functools.partial(_deepfool_wrong, choose="score"),
        "aims at the farthest class": functools.partial(_deepfool_wrong, choose="farthest"),
        "divides by ‖w‖ once, not twice": functools.partial(_deepfool_wrong, power=1),
        "stops on the boundary": functools.partial(_deepfool_wrong, overshoot=-1e-3),
        "takes one step only": lambda model, x, y, steps=20: _deepfool_wrong(model, x, y, 1),
        "moves those that have fallen": lambda model, x, y, steps=20: deepfool(model, x, y) + 1e-3,
    },
)

# -------------------------------------------------------------------------------------------------- 01.carlini_wagner


def _cw_closed_form(attack):
    """On a linear model: within 5 % of the smallest change there is"""
    model, x, y = linear_model(classes=2)
    exact, right = class_distances(model, x, y).amin(1), still_right(model, x, y)
    length = l2_length(attack(model, x, y, 0.1, 200, 0.01), x)
    ratio = length[right] / exact[right]
    say = f"lengths are {ratio.min():.3f} to {ratio.max():.3f} times the closed form"
    expect(ratio.min() > 0.999, f"{say}: some do not reach the boundary")
    expect(ratio.max() < 1.05, f"{say}: some are too far")


def _cw_fools(attack):
    """Returns what fooled the model, not where the search ended"""
    model, x, y = digits_model(24)
    for steps in (59, 60):
        standing = still_right(model, attack(model, x, y, 10.0, steps, 0.1), y).sum().item()
        expect(standing == 0, f"{standing} of {len(y)} results after {steps} steps are classified correctly")


def _cw_gives_up(attack):
    """Where c is too small to fool the model, x comes back as it is"""
    model, x, y = linear_model(classes=2)
    right = still_right(model, x, y)
    expect_close(attack(model, x, y, 1e-6, 20, 0.01)[right], x[right], 1e-6, "x_adv at c = 0.000001")


def _cw_closer(attack):
    """On the digits: half of the changes are shorter than 0.6"""
    _near_on_digits(lambda model, x, y: attack(model, x, y, 1.0, 200, 0.1))


def carlini_wagner(model, x, y, c=1.0, steps=100, lr=0.1):
    return evasion.carlini_wagner(model, x, y, start=c, searches=1, steps=steps, lr=lr)


def _cw_with_adam(model, x, y, c=1.0, steps=100, lr=0.1, *, last=False, hinge=True, near=True, tanh=True):
    start = torch.atanh((2 * x - 1) * 0.9999) if tanh else x.clone()
    w = start.requires_grad_()
    optimiser = torch.optim.Adam([w], lr)
    best, shortest = x.clone(), torch.full((len(x),), torch.inf)
    shortest[~still_right(model, x, y)] = 0
    for _ in range(steps):
        x_adv = (w.tanh() + 1) / 2 if tanh else w
        logits = model(x_adv)
        gap = logits.gather(1, y[:, None]).squeeze(1) - logits.scatter(1, y[:, None], -torch.inf).amax(1)
        squared = (x_adv - x).flatten(1).pow(2).sum(1)
        closer = (gap < 0) & (squared.sqrt() < shortest)
        best[closer], shortest[closer] = x_adv.detach()[closer], squared.detach().sqrt()[closer]
        loss = c * (gap.clamp(min=0) if hinge else gap) + (squared if near else 0)
        optimiser.zero_grad()
        w.grad = torch.autograd.grad(loss.sum(), w)[0]
        optimiser.step()
    return x_adv.detach() if last else best


exercise(
    "01.carlini_wagner",
    title="Carlini and Wagner's attack",
    reference=carlini_wagner,
    properties=[_cw_closed_form, _cw_fools, _in_the_box, _cw_gives_up, _cw_closer],
    hints=[
        "Let Adam change `w`, and compute `x_adv = (w.tanh() + 1) / 2`: whatever w is, the pixels stay in [0, 1]. "
        "Start at `torch.atanh((2 * x - 1) * 0.9999)`.",
        "`gap = logits[y] - best other logit` is positive while the model is right. Minimise "
        "`((x_adv - x)**2).sum() + c * gap.clamp(min=0)`, summed over the batch.",
        "Keep the best so far: where `gap < 0` and the length is shorter than before, copy `x_adv` into `best`. "
        "Start with `best = x.clone()` and infinite lengths (0 where the model is wrong already).",
    ],
    timeout=40.0,
    returns=shaped_like_x,
    second=_cw_with_adam,
    mutants={
        "returns the last iterate": functools.partial(_cw_with_adam, last=True),
        "never stops pushing: no max(·, 0)": functools.partial(_cw_with_adam, hinge=False),
        "forgets the distance": functools.partial(_cw_with_adam, near=False),
        "optimises the pixels themselves, unbounded": functools.partial(_cw_with_adam, tanh=False),
    },
)

QUIZ = (
    Question(
        "Random changes of ±0.15 leave more than 94 % accuracy, FGSM's change of the same size less than a third. Why?",
        (
            "FGSM changes more pixels",
            "FGSM's small changes all push the loss the same way",
            "random changes leave the ball",
        ),
        1,
        (
            "Both move every pixel by ε, as far as black and white allow.",
            "With 64 pixels, 64 aligned pushes add up. Random ones mostly cancel.",
            "Neither leaves the ball: both are ±0.15, then clamped.",
        ),
    ),
    Question(
        "PGD with one step of length ε, started at x, is",
        ("FGSM", "weaker than FGSM", "DeepFool"),
        0,
        (
            "One step along the gradient's signs, and the projection has nothing to do.",
            "It is the same point, so it is exactly as strong.",
            "DeepFool chooses its own length: there is no ε.",
        ),
    ),
    Question(
        "A colleague reports an attack at ε = 0.1, but the changed pictures hold pixels of 1.08. What is wrong?",
        (
            "nothing: |δ| ≤ 0.1 holds",
            "no camera can take such a picture: the attack left the set of inputs",
            "ε should have been 8/255",
        ),
        1,
        (
            "The ball is one constraint, the range of inputs another.",
            "The success counts inputs that cannot exist. Clamp, and measure again.",
            "ε is a choice. The range [0, 1] is not.",
        ),
    ),
    Question(
        "Why does Carlini & Wagner's attack keep the best iterate instead of the last?",
        (
            "because Adam has not converged before its last step",
            "because Adam swings around the boundary and may end on the wrong side of it",
            "because the last iterate is outside [0, 1]",
        ),
        1,
        (
            "More steps do not help: with a constant step it never settles on the right side.",
            "Near the optimum each step crosses the boundary or not. What counts is the closest point that fooled it.",
            "With the tanh it never is.",
        ),
    ),
    Question(
        "A filter in front of the model saves half of the pictures that fooled it. What do you do first?",
        (
            "measure again with more pictures, for a narrower interval",
            "attack again, with gradients taken through the filter",
            "use a stronger filter",
        ),
        1,
        (
            "The number is not imprecise, it answers the wrong question: that attacker did not know of the filter.",
            "A defence is only as good as the attack that knows it. Here none stands that attack.",
            "That may help or hurt, and you would not know: measure against an attacker who knows the defence.",
        ),
    ),
)
