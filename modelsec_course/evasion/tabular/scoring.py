"""One way to ask any model: a score for each row, the higher the more suspicious."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from modelsec_course import validation

__all__ = ["scorer"]


def scorer(model: Any) -> Callable[[Tensor], Tensor]:
    """A function of rows (n, d) that returns a score (n,), from a scikit-learn classifier, a network or a function.

    A classifier of two classes scores by the probability of the second; a network by its logit, or by the second
    logit less the first. What is neither is called as it is, and must return (n,).
    """
    if hasattr(model, "predict_proba"):
        if len(classes := model.classes_) != 2:
            raise ValueError(f"the model must tell two classes apart, honest and fraud, but it knows {len(classes)}")
        return lambda x: torch.as_tensor(model.predict_proba(x.detach().cpu().numpy())[:, 1]).to(x)
    validation.function("model", model, hint="a scikit-learn classifier, a network, or a function rows -> scores")

    def score(x: Tensor) -> Tensor:
        answer = model(x)
        if answer.shape == (len(x), 2):
            answer = answer[:, 1] - answer[:, 0]
        if answer.shape not in ((len(x),), (len(x), 1)):
            raise ValueError(f"a row needs one score or two logits, but the model returns {tuple(answer.shape)}")
        return answer.reshape(len(x))

    if isinstance(model, nn.Module) and model.training:
        raise ValueError("model is in train mode, so its answers depend on the batch: call model.eval() first")
    return score
