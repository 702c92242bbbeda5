"""How often a sticker works on photographs that no attack has seen."""

from __future__ import annotations

import torch
from torch import Tensor

from modelsec_course.lab.exercise import Exercise, expect, expect_close
from modelsec_course.statistics import clopper_pearson


class Camera:
    """Numbers its photographs: number k is of brightness k / 1000, whatever the sign. Notes what it was asked for."""

    def __init__(self):
        self.taken, self.signs = 0, []

    def __call__(self, sign: Tensor, n: int) -> Tensor:
        self.signs.append(sign)
        numbers = torch.arange(self.taken, self.taken + n, device="cpu") / 1000
        self.taken += n
        return numbers.view(-1, 1, 1, 1).expand(-1, 3, 4, 4).clone()


class Reader(torch.nn.Module):
    """Says 1 on a photograph below `few` thousandths, 2 below twice that, else 0; is hardly ever sure of it."""

    def __init__(self, few: int):
        super().__init__()
        self.few = few

    def forward(self, x: Tensor) -> Tensor:
        number = (1000 * x.mean((1, 2, 3))).round()
        said = torch.where(number < self.few, 1, torch.where(number < 2 * self.few, 2, 0))
        sure = torch.where(said == 0, 0.1, 5.0)  # sure when it errs: a mean probability is no share
        return torch.nn.functional.one_hot(said, 4) * sure[:, None]


def _sign() -> Tensor:
    return torch.full((4, 8, 8), 0.5, device="cpu")


def _untargeted(physical_success):
    """Hiding a sign: any other answer is a success"""
    for few in (10, 37):
        got = physical_success(Reader(few), _sign(), 0, Camera(), 200, False)
        expect_close(got[0], 2 * few / 200, 1e-6, "the share that is not read as the sign")


def _targeted(physical_success):
    """Making it another: only the wanted answer is a success"""
    for few in (10, 37):
        got = physical_success(Reader(few), _sign(), 1, Camera(), 200, True)
        expect_close(got[0], few / 200, 1e-6, "the share that is read as the wanted class")


def _interval(physical_success):
    """The interval is Clopper and Pearson's, also where every photograph agrees"""
    for few, n in ((37, 150), (0, 60), (60, 60)):
        got = physical_success(Reader(few), _sign(), 1, Camera(), n, True)
        low, high = clopper_pearson(few, n)
        what = f"with {few} successes in {n}, the interval's"
        expect_close(got[1], low, 1e-6, f"{what} lower end")
        expect_close(got[2], high, 1e-6, f"{what} upper end")


def _asks_the_camera(physical_success):
    """Takes n photographs of this sign, each in a street of its own"""
    camera, sign = Camera(), _sign()
    physical_success(Reader(5), sign, 0, camera, 80, False)
    expect(camera.taken == 80, f"the camera took {camera.taken} photographs, not 80")
    expect(all(torch.equal(one, sign) for one in camera.signs), "the camera was shown another sign")


def physical_success(model, sign, y, camera, n=400, targeted=False):
    with torch.no_grad():
        said = model(camera(sign, n)).argmax(1)
    hits = int((said == y).sum() if targeted else (said != y).sum())
    return hits / n, *clopper_pearson(hits, n)


def _three_numbers(result, args: tuple, kwargs: dict) -> None:
    expect(isinstance(result, tuple | list) and len(result) == 3, "return three numbers: share, low, high")
    expect(all(isinstance(v, int | float) for v in result), "share, low and high must be plain numbers: use .item()")


def _success_wrong(model, sign, y, camera, n=400, targeted=False, one=False, sure=False, normal=False, level=0.95):
    with torch.no_grad():
        logits = model(camera(sign, 1).repeat(n, 1, 1, 1) if one else camera(sign, n))
    hits = (logits.argmax(1) == y) if targeted else (logits.argmax(1) != y)
    share = hits.float().mean().item()
    if sure:
        share = logits.softmax(1)[:, y].mean().item() if targeted else 1 - logits.softmax(1)[:, y].mean().item()
    if normal:
        half = 1.96 * (share * (1 - share) / n) ** 0.5
        return share, share - half, share + half
    return share, *clopper_pearson(round(share * n), n, confidence=level)


def _success_one_by_one(model, sign, y, camera, n=400, targeted=False):
    """Another form: photograph after photograph."""
    hits = 0
    for _ in range(n):
        answer = model(camera(sign, 1)).argmax().item()
        hits += answer == y if targeted else answer != y
    low, high = clopper_pearson(hits, n)
    return hits / n, low, high


def _always_untargeted(model, sign, y, camera, n=400, targeted=False):
    return physical_success(model, sign, y, camera, n, False)


def _always_targeted(model, sign, y, camera, n=400, targeted=False):
    return physical_success(model, sign, y, camera, n, True)


EXERCISE = Exercise(
    "05.physical_success",
    title="Success on unseen photographs",
    reference=physical_success,
    properties=[_untargeted, _targeted, _interval, _asks_the_camera],
    hints=[
        "`camera(sign, n)` takes all photographs at once; `model(...).argmax(1)` says what each is read as.",
        "`hits` is how many answers equal `y`, if targeted, and else how many differ from it: an int.",
        "`low, high = clopper_pearson(hits, n)`; the share is `hits / n`.",
    ],
    returns=_three_numbers,
    second=_success_one_by_one,
    mutants={
        "takes one photograph n times": lambda *given: _success_wrong(*given, one=True),
        "means probabilities instead of counting answers": lambda *given: _success_wrong(*given, sure=True),
        "draws the interval of a normal curve": lambda *given: _success_wrong(*given, normal=True),
        "gives a 90 % interval": lambda *given: _success_wrong(*given, level=0.9),
        "counts every misreading when one class is wanted": _always_untargeted,
        "counts what is still read correctly": _always_targeted,
    },
)
