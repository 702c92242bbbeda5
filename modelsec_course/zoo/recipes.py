"""How each victim was made: its architecture and its training, so that `modelsec build zoo` can make it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from modelsec_course import data, models, runtime, training
from modelsec_course.zoo import faces, robust, signs

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """data: the set it is trained on.  architecture() -> untrained net.  train(net) fills in its weights.

    classifies: whether it names classes of the set, so that its accuracy can be stated.
    """

    summary: str
    data: str
    architecture: Callable[[], nn.Module]
    train: Callable[[nn.Module], None]
    classifies: bool = True


def _digits_cnn(net: nn.Module) -> None:
    digits = data.load("digits")
    models.initialise(net, runtime.generator(0))
    training.fit(net, digits.x_train, digits.y_train, epochs=30, generator=runtime.generator(1))


def _digits_linear(net: nn.Module) -> None:
    digits = data.load("digits")
    fitted = LogisticRegression(C=1.0, max_iter=5000, tol=1e-10)
    fitted.fit(digits.x_train.flatten(1).double().numpy(), digits.y_train.numpy())
    _copy(fitted.coef_, fitted.intercept_, net[-1])


def _tumours_logistic(net: nn.Module) -> None:
    tumours = data.load("tumours")
    x = tumours.x_train.double()
    mean, std = x.mean(0), x.std(0, correction=0)
    fitted = LogisticRegression(C=1.0, max_iter=10_000, tol=1e-10)
    fitted.fit(((x - mean) / std).numpy(), tumours.y_train.numpy())
    net[0].mean.copy_(mean)
    net[0].std.copy_(std)
    zeros = torch.zeros(1, x.shape[1]), torch.zeros(1)  # the logit of class 0 is 0, that of class 1 is w·x + b
    _copy(torch.vstack([zeros[0], torch.as_tensor(fitted.coef_)]), [0.0, fitted.intercept_.item()], net[-1])


def _copy(weight, bias, layer: nn.Linear) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight))
        layer.bias.copy_(torch.as_tensor(bias))


RECIPES = {
    "digits-cnn": Recipe("A small convolutional network on the digits", "digits", models.cnn, _digits_cnn),
    "digits-cnn-pgd": Recipe(
        "The same network, adversarially trained with PGD at L∞ ε = 0.15", "digits", models.cnn, robust.against_pgd
    ),
    "digits-cnn-trades": Recipe(
        "The same network, trained with TRADES at L∞ ε = 0.15", "digits", models.cnn, robust.by_trades
    ),
    "digits-cnn-smoothed": Recipe(
        "The same network, trained on noise of σ = 0.25 to be smoothed", "digits", models.cnn, robust.against_noise
    ),
    "digits-cnn-ibp": Recipe(
        "A smaller network, trained so that interval bounds prove L∞ ε = 0.15",
        "digits",
        models.strided_cnn,
        robust.by_bounds,
    ),
    "digits-linear": Recipe(
        "Softmax regression on the digits, for which closed forms hold",
        "digits",
        lambda: models.linear(64, 10),
        _digits_linear,
    ),
    "faces-cnn": Recipe("A convolutional recogniser of the 100 private people", "faces", faces.cnn, faces.fit_cnn),
    "faces-generator": Recipe(
        "A generator of faces, one half of an autoencoder of the public's",
        "faces",
        faces.generator,
        faces.fit_generator,
        classifies=False,
    ),
    "faces-judge": Recipe(
        "A recogniser of the private people among 360 strangers, trained on other pictures",
        "faces",
        faces.judge,
        faces.fit_judge,
    ),
    "faces-linear": Recipe("Softmax regression on the private people", "faces", faces.linear, faces.fit_linear),
    "faces-mlp": Recipe("A dense recogniser of the private people", "faces", faces.mlp, faces.fit_mlp),
    "signs-cnn": Recipe("A plain convolutional network on the road signs", "signs", models.deep_cnn, signs.plain),
    "signs-cnn-pgd": Recipe(
        "The same network, adversarially trained with PGD at L∞ ε = 8/255", "signs", models.deep_cnn, signs.against_pgd
    ),
    "signs-cnn-stickers": Recipe(
        "The same network, adversarially trained with stickers on the signs",
        "signs",
        models.deep_cnn,
        signs.against_stickers,
    ),
    "signs-poolnet": Recipe(
        "A network with batch norm and pooling on the road signs", "signs", models.poolnet, signs.pooled
    ),
    "signs-poolnet-cutout": Recipe(
        "The network with pooling, trained with random cut-outs for double masking",
        "signs",
        models.poolnet,
        signs.behind_masks,
    ),
    "tumours-logistic": Recipe(
        "Logistic regression on standardised tumour records",
        "tumours",
        lambda: nn.Sequential(models.Normalize(torch.zeros(30), torch.ones(30)), nn.Linear(30, 2)),
        _tumours_logistic,
    ),
}
