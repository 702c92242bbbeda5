"""The clinic of lab 07: how its records are dealt out, and the models that it trains on them."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from modelsec_course import data, evasion, models, robustness, training

MALIGNANT, BENIGN = 0, 1
SPAN = 60.0  # attacks ask for inputs in [0, 1]: a record is shown to them as ½ + z / 60, which none leaves


@dataclass(frozen=True)
class Records:
    """Standardised records z (n, 30) with labels y (n,), dealt out for three purposes.

    fit: to train models.  choose: to choose thresholds; no training saw them.  test: to measure.
    """

    z_fit: Tensor
    y_fit: Tensor
    z_choose: Tensor
    y_choose: Tensor
    z_test: Tensor
    y_test: Tensor


def records(generator: torch.Generator) -> Records:
    """284 to fit, 142 to choose; the 143 to test are the data set's own. The generator deals the first two."""
    tumours = data.load("tumours")
    fit, choose = _dealt(tumours.y_train, 1 / 3, generator)
    return _standardised(tumours.x_train, tumours.y_train, fit, choose, tumours.x_test, tumours.y_test)


def dealt_anew(generator: torch.Generator) -> Records:
    """All 569 records, dealt again: another 143 to test."""
    tumours = data.load("tumours")
    x, y = torch.cat([tumours.x_train, tumours.x_test]), torch.cat([tumours.y_train, tumours.y_test])
    rest, test = _dealt(y, 143 / 569, generator)
    fit, choose = _dealt(y[rest], 1 / 3, generator)
    return _standardised(x[rest], y[rest], fit, choose, x[test], y[test])


def logistic(at: Records, strength: float = 1.0) -> nn.Sequential:
    """Logistic regression on z: the logits are −score/2 and score/2, positive scores mean benign.

    strength: scikit-learn's C; the smaller, the smaller the weights.
    """
    fitted = LogisticRegression(C=strength, max_iter=10_000).fit(at.z_fit.double().numpy(), at.y_fit.numpy())
    w, b = torch.as_tensor(fitted.coef_[0]).float(), torch.as_tensor(fitted.intercept_[0]).float()
    net = nn.Sequential(nn.Linear(len(w), 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.stack([-w / 2, w / 2]))
        net[0].bias.copy_(torch.stack([-b / 2, b / 2]))
    return net.eval()


def cut_moved(net: nn.Sequential, at: Records, like: nn.Module) -> nn.Sequential:
    """The linear `net` with another intercept: of the tumours set aside it finds as many as `like` does."""
    ill = at.z_choose[at.y_choose == MALIGNANT]
    with torch.no_grad():
        found = int((like(ill).argmax(1) == MALIGNANT).sum())
        scores = (net(ill) @ torch.tensor([-1.0, 1.0])).sort().values
        cut = scores[max(found - 1, 0)] + 1e-4
        moved = copy.deepcopy(net)
        moved[0].bias += torch.stack([cut / 2, -cut / 2])
    return moved


def network(at: Records, eps: float, generator: torch.Generator, epochs: int = 60) -> nn.Sequential:
    """A network of one hidden layer on z; with eps > 0 trained so that interval bounds prove L∞ eps."""
    width = at.z_fit.shape[1]
    net = models.initialise(nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 2)), generator)
    batches = epochs * math.ceil(len(at.z_fit) / 64)
    loss = robustness.CertifiedLoss(eps, batches, box=None)
    training.fit(net, at.z_fit, at.y_fit, loss=loss, epochs=epochs, generator=generator, progress=False)
    return net


def attack(net: nn.Module, z: Tensor, y: Tensor, eps: float) -> Tensor:
    """The records z (n, 30) moved by up to eps against their labels y by PGD on the margin, all the way."""
    middle, scale = torch.full((z.shape[1],), 0.5), torch.full((z.shape[1],), 1 / SPAN)
    on_chart = nn.Sequential(models.Normalize(middle, scale).to(z.device), net)
    chart = evasion.pgd(on_chart, 0.5 + z / SPAN, y, eps=eps / SPAN, steps=20, loss="margin", stop_early=False)
    return SPAN * (chart - 0.5)


def refusals_of_all(generator: torch.Generator, coverage: float = 0.8, folds: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Each of the 569 records tested once, by a model and a threshold that never saw it.

    Returns refused (569,) bool, y (569,), and the mean radius (569,) of each record's nuclei.
    """
    tumours = data.load("tumours")
    x, y = torch.cat([tumours.x_train, tumours.x_test]), torch.cat([tumours.y_train, tumours.y_test])
    fold, refused = torch.empty_like(y), torch.zeros(len(y), dtype=torch.bool)
    for k in (MALIGNANT, BENIGN):
        members = (y == k).nonzero().flatten()
        fold[members[torch.randperm(len(members), generator=generator)]] = torch.arange(len(members)) % folds
    for tested in range(folds):
        rest, test = (fold != tested).nonzero().flatten(), (fold == tested).nonzero().flatten()
        fit, choose = _dealt(y[rest], 1 / 3, generator)
        at = _standardised(x[rest], y[rest], fit, choose, x[test], y[test])
        with torch.no_grad():
            net = logistic(at)
            threshold = robustness.threshold_for(net(at.z_choose), coverage)
            refused[test] = robustness.selective_predict(net(at.z_test), threshold) == robustness.ABSTAIN
    return refused, y, x[:, 0].contiguous()


def _dealt(y: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positions of the two parts, the second of them this share of each class."""
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    for k in (MALIGNANT, BENIGN):
        members = (y == k).nonzero().flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        cut = round(share * len(members))
        parts[0].append(members[cut:])
        parts[1].append(members[:cut])
    return torch.cat(parts[0]), torch.cat(parts[1])


def _standardised(x: Tensor, y: Tensor, fit: Tensor, choose: Tensor, x_test: Tensor, y_test: Tensor) -> Records:
    mean, std = x[fit].double().mean(0), x[fit].double().std(0, correction=0)
    z, z_test = (((part.double() - mean) / std).float() for part in (x, x_test))
    return Records(z[fit], y[fit], z[choose], y[choose], z_test, y_test)
