"""Attribute inference: guess what a record hides from a model's answers, and what anybody could guess without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from modelsec_course import validation
from modelsec_course.models import frozen

__all__ = ["ask_each_value", "impute", "infer_attribute"]


@torch.no_grad()
def ask_each_value(model: Callable[[Tensor], Tensor], x: Tensor, *, column: int, values: Sequence[float]) -> Tensor:
    """What a regressor predicts for each record, if its hidden column held each of `values`: (n, values).

    model: returns a number for each record, (n,) or (n, 1).  x: (n, columns); what `column` holds is never looked at.
    """
    validation.function("model", model)
    _column(x, column)
    if not len(values):
        raise ValueError("values must hold what the hidden column can be, but it is empty")
    answers = []
    with frozen(model):
        for value in values:
            asked = x.clone()
            asked[:, column] = value
            answers.append(model(asked))
            if answers[-1].shape not in ((len(x),), (len(x), 1)):
                got = tuple(answers[-1].shape)
                raise ValueError(f"model must return a number for each of {len(x)} records, but it returned {got}")
    return torch.stack([answer.reshape(len(x)) for answer in answers], 1)


def infer_attribute(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    column: int,
    values: Sequence[float],
    prior: Tensor,
    sigma: float,
) -> Tensor:
    """The probability of each value of a hidden column, given the record's outcome and the model: (n, values).

    Bayes' rule with Gaussian errors: prior × exp(−(y − model's answer)² / 2σ²), divided by its sum.
    model, x, column, values: as in `ask_each_value`.  y: (n,) the records' true outcomes.  prior: probabilities of the
    values, (values,) or for each record (n, values), all above 0; `impute` makes the latter.  sigma: the model's
    typical error on its training data, in the units of y.
    Source: Fredrikson et al., 2014, "Privacy in Pharmacogenetics: An End-to-End Case Study of Personalized Warfarin
    Dosing". Compare with `impute`: Jayaraman & Evans, 2022, "Are Attribute Inference Attacks Just Imputation?".
    """
    validation.positive("sigma", sigma)
    validation.tensor("prior", prior)
    if prior.shape not in ((len(values),), (len(x), len(values))) or not (prior > 0).all():
        raise ValueError(
            f"prior must hold a probability above 0 for each of the {len(values)} values, but it is {prior}"
        )
    answers = ask_each_value(model, x, column=column, values=values)
    validation.targets(y, x)
    first, y = answers[:, :1], y[:, None]
    gain = (answers - first) * (2 * y - answers - first)  # (y − first)² − (y − answer)², rounded only once
    return (prior.log() + gain / (2 * sigma**2)).softmax(1)


def impute(x: Tensor, attribute: Tensor, queries: Tensor) -> Tensor:
    """The probability of each value of an attribute from the other columns, without any model: (queries, values).

    The baseline of every attribute inference. What it reaches is a fact about the population: it holds for people whom
    the model has never seen. Logistic regression on standardised columns.
    x: (n, columns) of people whose attribute is known.  attribute: (n,) int64, the index of its value.
    queries: (m, columns) of others. The columns may include the outcome.
    """
    validation.tensor("x", x)
    validation.labels(attribute, x, "attribute")
    validation.tensor("queries", queries)
    if x.dim() != 2 or queries.dim() != 2 or x.shape[1] != queries.shape[1]:
        raise ValueError(
            f"x and queries must be (records, columns) with the same columns, but are {tuple(x.shape)} and "
            f"{tuple(queries.shape)}"
        )
    known = attribute.unique().tolist()
    if known != list(range(len(known))) or len(known) < 2:
        raise ValueError(f"attribute must hold every value from 0 on, at least two of them, but it holds {known}")
    guess = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    guess.fit(_numpy(x), _numpy(attribute))
    return torch.as_tensor(guess.predict_proba(_numpy(queries)), dtype=queries.dtype, device=queries.device)


def _column(x: Tensor, column: int) -> None:
    validation.tensor("x", x)
    validation.count("column", column, low=0)
    if x.dim() != 2 or column >= x.shape[1]:
        raise ValueError(f"x must be (n, columns) with more than column = {column} of them, but is {tuple(x.shape)}")


def _numpy(values: Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
