"""Lab 11: a face from a recogniser. Climbing pixels, climbing inside a prior, an independent judge, the look-alike."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modelsec_course import inversion, models, runtime
from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close
from modelsec_course.models import frozen

LAB = Lab(
    number="11",
    title="Model inversion",
    question="What does a face recogniser give away?",
    minutes=80,
    difficulty=3,
    prerequisites=("Lab 01, for climbing a model's score", "Lab 02, for estimated gradients"),
    outcomes=(
        "make a picture of a person from a model that was trained on them",
        "say why confidence is no measure of a reconstruction, and use an independent open-set judge",
        "use a prior, and count what it finds beyond the best search",
        "attack a service that rounds its answers",
    ),
    seconds=35,
    part="Confidentiality",
    stage="model",
)

# ----------------------------------------------------------------------------------------------------- 11.invert_class


def _line(classes: int = 3, seed: int = 0) -> nn.Sequential:
    """Softmax regression on 4×4 pictures."""
    return models.initialise(models.linear(16, classes), runtime.generator(seed)).eval()


def _starts(n: int = 5, seed: int = 1) -> tuple[Tensor, Tensor]:
    draw = runtime.generator(seed)
    return 0.3 + 0.4 * torch.rand(n, 1, 4, 4, generator=draw), torch.arange(n) % 3


def _log_p(model, x: Tensor, y: Tensor) -> Tensor:
    return F.log_softmax(model(x), 1)[torch.arange(len(y)), y]


def _class_exact(invert):
    """On softmax regression: each step adds lr · (w of the class − the mean w, weighed by the probabilities)"""
    model, (x, y) = _line(), _starts()
    weight, want = model[1].weight.detach(), x.clone()
    for steps in (1, 2):
        p = model(want).softmax(1).detach()
        want = (want + 0.2 * (weight[y] - p @ weight).view_as(x)).clamp(0, 1)
        expect_close(invert(model, y, x, steps=steps, lr=0.2), want, 1e-5, f"the pictures after {steps} step(s)")


def _class_box(invert):
    """Stays in [0, 1] at every step, not only at the end"""
    model, (x, y) = _line(), _starts()
    with torch.no_grad():
        model[1].weight.mul_(30)
        model[1].bias.sub_(model[1].weight.sum(1) / 2)  # the middle grey is nobody
    asked = []

    def watched(pictures):
        asked.append(pictures.detach())
        return model(pictures)

    got = torch.as_tensor(invert(watched, y, x, steps=4, lr=1.0))
    for pictures in (*asked, got):
        low, high = float(pictures.detach().min()), float(pictures.detach().max())
        expect(low >= 0 and high <= 1, f"a picture has grey values from {low:.2f} to {high:.2f}: clamp after each step")


def _class_alone(invert):
    """A picture's result does not depend on the others in the batch"""
    model, (x, y) = _line(), _starts()
    together = invert(model, y, x, steps=5, lr=0.3)
    alone = torch.cat([torch.as_tensor(invert(model, y[i : i + 1], x[i : i + 1], steps=5, lr=0.3)) for i in range(5)])
    expect_close(alone, together, 1e-5, "the picture made alone, beside the one made in a batch")


def _class_goal(invert):
    """Reaches the class, on a network too, and for each class of one start"""
    net = nn.Sequential(models.Normalize([0.5], [0.1]), nn.Flatten(), nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 3))
    models.initialise(net, runtime.generator(2))
    with torch.no_grad():
        net[-1].weight.mul_(10)
    y = torch.arange(3)
    got = _log_p(net, invert(net, y, torch.full((3, 1, 4, 4), 0.5), steps=40, lr=0.05), y).detach().exp()
    expect(got > 0.8, f"after 40 steps a network gives the class only {float(got.min()):.0%}, expected over 80 %")


def _class_tidy(invert):
    """Leaves the start and the model as they were; returns no gradient"""
    model, (x, y) = _line(), _starts()
    before = x.clone()
    got = invert(model, y, x, steps=3, lr=0.3)
    expect(torch.equal(x, before), "the caller's start was changed: work on start.clone()")
    expect(not got.requires_grad, "the result still has a gradient attached: use .detach()")
    left = "; ".join(getattr(invert, "left", []))
    expect(not left, f"the model is not as it was: {left}. `torch.autograd.grad` leaves nothing behind")


def invert_class(model, y, start, steps=100, lr=0.1):
    x = start.clone()
    for _ in range(steps):
        x.requires_grad_()
        score = F.log_softmax(model(x), 1).gather(1, y[:, None]).sum()
        (slope,) = torch.autograd.grad(score, x)
        x = (x.detach() + lr * slope).clamp(0, 1)
    return x


def _class_by_hand(
    model, y, start, steps=100, lr=0.1,
    *, sign=1, clip="each", score="log", reduce="sum", at="own", copy=True, normal=False,
):  # fmt: skip
    """By cross-entropy, which falls as log p rises."""
    x = start.clone() if copy else start
    for _ in range(steps):
        leaf = x.detach().requires_grad_()
        logits = model(leaf)
        label = y if at == "own" else logits.argmax(1)
        losses = F.cross_entropy(logits, label, reduction="none")
        losses = losses if score == "log" else -logits[torch.arange(len(y)), y]
        (gradient,) = torch.autograd.grad(getattr(losses, reduce)(), leaf)
        if normal:
            gradient = gradient.sign()
        moved = leaf.detach() - sign * lr * gradient
        moved = moved.clamp(0, 1) if clip == "each" else moved
        x = x.copy_(moved) if not copy else moved
    return x.clamp(0, 1) if clip == "end" else x


exercise(
    "11.invert_class",
    title="Climb the model's score",
    reference=invert_class,
    properties=[_class_exact, _class_alone, _class_box, _class_goal, _class_tidy],
    hints=[
        "`x = start.clone()`; in each step `x.requires_grad_()`, then the log-probability of each picture's own class: "
        "`F.log_softmax(model(x), 1).gather(1, y[:, None]).sum()`.",
        "`(slope,) = torch.autograd.grad(score, x)` is each picture's own gradient, since the others' scores do not "
        "depend on it. A *mean* over the batch would divide it by the number of pictures.",
        "`x = (x.detach() + lr * slope).clamp(0, 1)`: upwards, and back into [0, 1] after each step.",
    ],
    second=_class_by_hand,
    mutants={
        "walks downhill": functools.partial(_class_by_hand, sign=-1),
        "the batch's mean instead of its sum": functools.partial(_class_by_hand, reduce="mean"),
        "climbs the logit": functools.partial(_class_by_hand, score="logit"),
        "climbs whatever the model says": functools.partial(_class_by_hand, at="said"),
        "steps of the gradient's sign": functools.partial(_class_by_hand, normal=True),
        "clips at the end only": functools.partial(_class_by_hand, clip="end"),
        "never clips": functools.partial(_class_by_hand, clip="no"),
        "writes into the start": functools.partial(_class_by_hand, copy=False),
    },
)

# ---------------------------------------------------------------------------------------------------- 11.identity_rate


class _Numbered(nn.Module):
    """A model of numbered pictures: picture i gets row i of `logits`, wherever it stands in a batch."""

    def __init__(self, logits: Tensor):
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor) -> Tensor:
        return self.logits[x.detach().flatten(1)[:, 0].long()]


def _numbered(n: int) -> Tensor:
    return torch.arange(n).float().view(n, 1, 1, 1).expand(n, 1, 4, 4).clone()


def _rate_counts(rate):
    """Counts the pictures in which the right person is seen"""
    y = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])
    for wrong in range(8):
        answers = torch.where(torch.arange(8) < wrong, (y + 1) % 5, y)
        judge = _Numbered(F.one_hot(answers, 9).float())
        expect_close(rate(judge, _numbered(8), y), 1 - wrong / 8, 1e-6, f"with {wrong} of 8 wrong")


def _rate_strangers(rate):
    """A stranger is a wrong answer, even if the right person comes second"""
    y = torch.arange(4)
    for favour, want in ((0.0, 1.0), (2.0, 0.5)):
        logits = torch.eye(9)[y]
        logits[:2, 7], logits[2:, 7] = -1.0, favour  # label 7: a stranger; two of four pictures show one
        got = rate(_Numbered(logits), _numbered(4), y)
        expect_close(got, want, 1e-6, f"a stranger gets the logit {favour:g} in two")


def _rate_chance(rate):
    """A judge who guesses among 460 is right once in 460"""
    draw = runtime.generator(3)
    logits, y = torch.randn(20_000, 460, generator=draw), torch.randint(100, (20_000,), generator=draw)
    got = float(rate(_Numbered(logits), _numbered(20_000), y))
    few = ": does it choose among the 100 private people only? Strangers are answers too" if got > 0.005 else ""
    expect(0.0005 < got < 0.005, f"guessing among 460 people scores {got:.4f}, expected about {1 / 460:.4f}{few}")


def _rate_plain(rate):
    """Is a plain number, and asks only for what the judge says of these pictures"""
    judge, x = _line(), torch.rand(6, 1, 4, 4)
    y = judge(x).argmax(1)
    got = rate(judge, x, y)
    expect(isinstance(got, float), f"expected a float, got {type(got).__name__}: use .item()")
    expect_close(got, 1.0, 1e-6, "on the judge's own answers")
    expect_close(rate(judge, x.flip(0), y.flip(0)), 1.0, 1e-6, "in another order")


def identity_rate(judge, x, y):
    return inversion.recognised(judge, x, y).float().mean().item()


def _rate_by_hand(judge, x, y, *, known=None, top=1, how="share", compare="label"):
    logits = judge(x)[:, :known].detach()
    best = logits.topk(top, 1).indices
    hit = (best == y[:, None]).any(1)
    if how == "confidence":
        return logits.softmax(1)[torch.arange(len(y)), y].mean().item()
    if how == "known":  # strangers are left out of the count
        kept = best[:, 0] < 5
        return (hit & kept).sum().item() / max(int(kept.sum()), 1)
    return sum(hit.tolist()) if how == "count" else sum(hit.tolist()) / len(y)


exercise(
    "11.identity_rate",
    title="Who is to say?",
    reference=identity_rate,
    properties=[_rate_counts, _rate_strangers, _rate_chance, _rate_plain],
    hints=[
        "`judge(x)` has one column for each person it knows, strangers too. Whom does it see? `.argmax(1)`.",
        "Compare with y, and take the mean of the bools as a number: `(… == y).float().mean().item()`.",
    ],
    second=_rate_by_hand,
    mutants={
        "looks at the first five people only": functools.partial(_rate_by_hand, known=5),
        "among the first two": functools.partial(_rate_by_hand, top=2),
        "counts instead of a share": functools.partial(_rate_by_hand, how="count"),
        "the judge's mean confidence": functools.partial(_rate_by_hand, how="confidence"),
        "leaves strangers out of the count": functools.partial(_rate_by_hand, how="known"),
    },
)

# ------------------------------------------------------------------------------------------------ 11.invert_with_prior


def _mixer(size: int = 6, seed: int = 4) -> Tensor:
    return torch.randn(size, 16, generator=runtime.generator(seed)) / 4


def _decode(basis: Tensor):
    return lambda z: (z @ basis).view(-1, 1, 4, 4) + 0.5


def _objective(model, basis: Tensor, y: Tensor, z: Tensor, weight: float) -> Tensor:
    return _log_p(model, _decode(basis)(z), y) - weight * z.square().sum(1)


def _optimum(model, basis: Tensor, y: Tensor, weight: float) -> Tensor:
    """The best codes, by Newton-like L-BFGS: the objective is concave for softmax regression."""
    z = torch.zeros(len(y), len(basis), requires_grad=True)
    solver = torch.optim.LBFGS([z], max_iter=300, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure():
        loss = -_objective(model, basis, y, z, weight).sum()
        (z.grad,) = torch.autograd.grad(loss, z)
        return loss

    solver.step(closure)
    return z.detach()


def _codes(x: Tensor, basis: Tensor) -> Tensor:
    return (torch.as_tensor(x).detach() - 0.5).flatten(1) @ torch.linalg.pinv(basis)


def _prior_optimum(invert):
    """On softmax regression, where there is one best code, finds it"""
    model, basis, y = _line(), _mixer(), torch.arange(3)
    with frozen(model):
        for weight in (0.02, 0.2):
            best = _optimum(model, basis, y, weight)
            got = _codes(invert(model, y, _decode(basis), 6, steps=250, lr=0.1, weight=weight), basis)
            lost = _objective(model, basis, y, best, weight) - _objective(model, basis, y, got, weight)
            expect(
                lost < 0.01,
                f"with weight {weight}, J is {float(lost.max()):.3f} below the best: is the price weight times the sum "
                "of z², of a person's whole code? Or are the steps too slow? Adam gets there",
            )


def _prior_inside(invert):
    """Every picture is one that the prior can make"""
    net, basis = models.initialise(models.cnn(4, 1, 3), runtime.generator(5)).eval(), _mixer(3)
    got = torch.as_tensor(invert(net, torch.arange(3), _decode(basis), 3, steps=40)).detach()
    made = _decode(basis)(_codes(got, basis))
    expect_close(got, made, 1e-4, "the pictures, beside the nearest ones that decode(z) gives")


def _prior_weight(invert):
    """A heavier price keeps codes shorter; no price lets them run"""
    model, basis, y = _line(), _mixer(), torch.arange(3)
    lengths = [
        float(_codes(invert(model, y, _decode(basis), 6, steps=100, weight=w), basis).norm(dim=1).mean())
        for w in (0.0, 0.02, 5.0)
    ]
    told = ", ".join(f"{length:.1f}" for length in lengths)
    expect(
        lengths[0] > lengths[1] > lengths[2],
        f"for weights 0, 0.02 and 5 codes have lengths {told}: is the price missing, or its sign wrong?",
    )
    expect(lengths[2] < 0.2, f"with weight 5 the codes still have length {lengths[2]:.2f}, expected nearly 0")


def _prior_alone(invert):
    """A person's picture does not depend on who else is asked about"""
    model, basis, y = _line(), _mixer(), torch.tensor([2, 0, 1, 1])
    with frozen(model):
        together = _codes(invert(model, y, _decode(basis), 6, steps=150, weight=0.1), basis)
        each = [invert(model, y[i : i + 1], _decode(basis), 6, steps=150, weight=0.1) for i in range(4)]
        alone = torch.cat([_codes(picture, basis) for picture in each])
        both = [_objective(model, basis, y, z, 0.1) for z in (together, alone)]
    expect_close(both[0], both[1], 0.01, "J for four people at once, beside one at a time")


def _prior_start(invert):
    """Starts at z = 0, and takes the steps it is told to take"""
    model, basis, y, asked = _line(), _mixer(), torch.arange(3), []

    def watched(z):
        asked.append(z.detach().clone())
        return _decode(basis)(z)

    few = _codes(invert(model, y, watched, 6, steps=1, lr=0.01), basis).norm(dim=1)
    expect(bool((asked[0] == 0).all()), "the first codes that were decoded are not 0: start at torch.zeros")
    many = _codes(invert(model, y, _decode(basis), 6, steps=40, lr=0.01), basis).norm(dim=1)
    long = _codes(invert(model, y, _decode(basis), 6, steps=1, lr=0.1), basis).norm(dim=1)
    expect(many > 3 * few, "40 steps go hardly farther than one: use `steps`")
    expect(long > 3 * few, "a step of lr=0.1 is hardly longer than one of lr=0.01: use `lr`")


def _prior_tidy(invert):
    """Leaves no gradients behind"""
    model, basis = _line(), _mixer()
    got = invert(model, torch.arange(3), _decode(basis), 6, steps=3)
    expect(not got.requires_grad, "the result still has a gradient attached: use .detach()")
    left = "; ".join(getattr(invert, "left", []))
    expect(not left, f"the model is not as it was: {left}. `torch.autograd.grad` leaves nothing behind")


def invert_with_prior(model, y, decode, size, steps=150, lr=0.1, weight=0.003):
    prior = inversion.Prior(decode, (size,), spread=0.0, weight=weight, lr=lr)
    options = {"steps": steps, "restarts": 1, "shift": 0, "noise": 0.0, "progress": False}
    return inversion.invert_classes(model, y, prior, **options).x


def _prior_by_hand(
    model, y, decode, size, steps=150, lr=0.1, weight=0.003, *, price=1, sign=1, share=False, inside=True, tidy=True,
    spread=0.0, fixed=False,
):  # fmt: skip
    """Gradient steps with momentum."""
    steps, lr = (150, 0.1) if fixed else (steps, lr)
    z, speed = spread * torch.randn(1 if share else len(y), size, device=y.device), 0
    extra = torch.zeros(len(y), 1, 1, 1)
    for _ in range(steps):
        leaf, more = z.clone().requires_grad_(), extra.clone().requires_grad_()
        pictures = decode(leaf.expand(len(y), -1)) + (0 if inside else more)
        score = sign * _log_p(model, pictures, y).sum() - price * weight * leaf.square().sum()
        slopes = torch.autograd.grad(score, [leaf] if inside else [leaf, more])
        if not tidy:
            _log_p(model, pictures.detach(), y).sum().backward()
        rate = min(3.0 * lr, 0.4 / max(weight, 0.05))
        speed = 0.8 * speed + (0.2 if weight > 1 else 1.0) * slopes[0]
        z = z + rate * speed
        extra = extra if inside else extra + lr * slopes[1]
    return (decode(z.expand(len(y), -1)) + (0 if inside else extra)).detach()


exercise(
    "11.invert_with_prior",
    title="Climb inside a prior",
    reference=invert_with_prior,
    properties=[_prior_start, _prior_inside, _prior_weight, _prior_optimum, _prior_alone, _prior_tidy],
    hints=[
        "`z = torch.zeros(len(y), size, requires_grad=True)`, on y's device; `optimiser = torch.optim.Adam([z], lr)`.",
        "An optimiser descends, so its loss is −J, summed: `weight * z.square().sum() - log_p`, where log_p is "
        "`F.log_softmax(model(decode(z)), 1).gather(1, y[:, None]).sum()`.",
        "`(z.grad,) = torch.autograd.grad(loss, z)` leaves the model's own gradients alone; then `optimiser.step()`. "
        "At the end `decode(z).detach()`.",
    ],
    second=_prior_by_hand,
    mutants={
        "forgets the price": functools.partial(_prior_by_hand, price=0),
        "rewards unlikely codes": functools.partial(_prior_by_hand, price=-1),
        "walks downhill": functools.partial(_prior_by_hand, sign=-1),
        "one code for everybody": functools.partial(_prior_by_hand, share=True),
        "moves the pixels as well": functools.partial(_prior_by_hand, inside=False),
        "leaves gradients on the model": functools.partial(_prior_by_hand, tidy=False),
        "starts at random codes": functools.partial(_prior_by_hand, spread=1.0),
        "ignores steps and lr": functools.partial(_prior_by_hand, fixed=True),
    },
)

# ------------------------------------------------------------------------------------------------------- 11.look_alike


def _album(n: int = 40, seed: int = 6) -> tuple[nn.Module, Tensor, Tensor]:
    """A model of five classes, public pictures, and the model's probabilities (n, 5)."""
    net = _line(5, seed)
    with torch.no_grad():
        net[1].weight.mul_(8)
    x = torch.rand(n, 1, 4, 4, generator=runtime.generator(seed))
    return net, x, net(x).softmax(1).detach()


def _alike_best(find):
    """No public picture gets a name with a higher probability"""
    for seed in (6, 7, 8):
        net, x, p = _album(seed=seed)
        got = torch.as_tensor(find(net, x, torch.arange(5)))
        expect(got.shape == (5, 1, 4, 4), f"expected pictures (5, 1, 4, 4), one for each name, got {tuple(got.shape)}")
        own = net(got).softmax(1).detach().diagonal()
        expect_close(own, p.amax(0), 1e-5, "the probability of each name on its look-alike")


def _alike_public(find):
    """Every answer is a picture from the album"""
    net, x, _ = _album()
    got = torch.as_tensor(find(net, x, torch.arange(5)))
    expect((got[:, None] == x[None]).flatten(2).all(2).any(1), "a result is not one of the public pictures")


def _alike_names(find):
    """Answers for the names asked about, in their order, whatever else the model knows"""
    net, x, p = _album()
    y = torch.tensor([3, 3, 0])
    expect_close(find(net, x, y), x[p.argmax(0)[y]], 1e-6, "the look-alikes of names 3, 3 and 0")


def _alike_probability(find):
    """Goes by the probability, not by the logit: a picture that shouts every name is nobody's look-alike"""
    x = _numbered(3)
    logits = torch.tensor([[9.0, 9.0, 9.0], [5.0, 0.0, 0.0], [0.0, 4.0, 4.5]])
    got = find(_Numbered(logits), x, torch.arange(3))
    expect_close(got, x[[1, 2, 2]], 1e-6, "with one picture that gets the logit 9 for everybody, the look-alikes")


def look_alike(model, public, y):
    return public[inversion.look_alike(model, public, y)]


def _alike_by_hand(model, public, y, *, scale="log", worst=False, own=True, names=True, best=0):
    logits = model(public).detach()
    scores = {"log": logits.log_softmax(1), "logit": logits, "names": logits.softmax(0)}[scale]
    scores = -scores if worst else scores
    wanted = y.tolist() if names else range(len(y))
    picks = [int(scores[:, name].argsort(descending=True)[best]) for name in wanted]
    if not own:  # the picture that the model is surest about, whoever it shows
        picks = [int(scores.amax(1).argmax())] * len(y)
    return torch.stack([public[i] for i in picks])


exercise(
    "11.look_alike",
    title="What does a search alone show?",
    reference=look_alike,
    properties=[_alike_best, _alike_public, _alike_names, _alike_probability],
    hints=[
        "`model(public).softmax(1)` is (m, classes). Keep the columns of the names asked about: `[:, y]`.",
        "Which *picture* is best for each name? The largest in each column: `.argmax(0)`, and `public[…]` of that.",
    ],
    second=_alike_by_hand,
    mutants={
        "goes by the logit": functools.partial(_alike_by_hand, scale="logit"),
        "softmax over the pictures": functools.partial(_alike_by_hand, scale="names"),
        "the picture that is least alike": functools.partial(_alike_by_hand, worst=True),
        "the second best": functools.partial(_alike_by_hand, best=1),
        "the surest picture for everybody": functools.partial(_alike_by_hand, own=False),
        "ignores which names are asked about": functools.partial(_alike_by_hand, names=False),
    },
)

# ---------------------------------------------------------------------------------------------------------------- quiz

QUIZ = (
    Question(
        "A model is 99.9 % sure that your reconstruction is person 7. What do you know?",
        (
            "it is a good picture of person 7",
            "that you climbed the model's score, and no more",
            "person 7 was in the training data",
        ),
        1,
        (
            "The convolutional network was as sure of patterns in which the judge recognised hardly anybody.",
            "The score was the goal, so it cannot be the measure. Ask somebody who did not take part.",
            "Person 7 is one of the model's classes, which you knew before.",
        ),
    ),
    Question(
        "Why must the judge know strangers?",
        (
            "a judge who has to choose among the private people takes strangers for them more often",
            "more people make its training longer, and so better",
            "strangers are what the attack looks for",
        ),
        0,
        (
            "Look-alikes, photographs of other people, passed the closed judge in most cases.",
            "Its accuracy on photographs is the same. What changes is what it may answer.",
            "The attack looks for the private people. Strangers are the answer that says: not them.",
        ),
    ),
    Question(
        "An attack is recognised for 60 % of people, the look-alike for 35 %. What did climbing add?",
        (
            "60 points",
            "at most 25 points: a better search may find more of the same",
            "nothing, since the judge is fooled by look-alikes",
        ),
        1,
        (
            "35 of them need no reconstruction: a search among public photographs finds them.",
            "Take the difference person by person, with an interval. It is a gain over this search of this album.",
            "A judge that strict about everybody would be a judge of nothing. What beats the control is real.",
        ),
    ),
    Question(
        "Why does a prior help the attacker?",
        (
            "it knows the private people",
            "it makes the model more confident",
            "it leaves only pictures that could be faces, so that climbing cannot end in a pattern that is none",
        ),
        2,
        (
            "It was made of public pictures of other people.",
            "They were about as sure of pixels without a prior.",
            "The average face and random codes are nobody: what is private comes from the model's score.",
        ),
    ),
    Question(
        "A service rounds its probabilities to one decimal. Inversion by queries is",
        (
            "impossible, since most answers are 0.0",
            "possible only for somebody who has the weights",
            "still possible: it finds fewer people for the same queries",
        ),
        2,
        (
            "Somewhere near a start they are not, and from there it climbs.",
            "Answers at z + σu and z − σu are enough for a slope.",
            "Large steps see through small differences. And a search needs only to know which answers are not 0.0.",
        ),
    ),
)
