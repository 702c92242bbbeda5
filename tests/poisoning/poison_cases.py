"""A small network on the digits, with and without a backdoor, for the tests of this room."""

import functools

import torch
from torch import nn

from modelsec_course import data, models, runtime, training
from modelsec_course.poisoning import backdoor, blended, patch

TRIGGERS = {"patch": patch(), "blended": blended(0.2, generator=runtime.generator(7))}


@functools.cache
def digits():
    return data.load("digits").to("cpu")


def trained(x, y, seed=0):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    models.initialise(net, runtime.generator(seed))
    options = {"lr": 3e-3, "batch_size": 128, "progress": False}
    training.fit(net, x, y, epochs=15, generator=runtime.generator(100 + seed), **options)
    return net


@functools.cache
def victim(kind, seed=0):
    """(network, its training set as Poisoned) with 43 rows of a kind of poison, or none ("clean")."""
    d = digits()
    count, trigger = (0, TRIGGERS["patch"]) if kind == "clean" else (43, TRIGGERS[kind])
    planted = backdoor(d.x_train, d.y_train, count, trigger=trigger, target=0, generator=runtime.generator(seed))
    return trained(planted.x, planted.y, seed), planted


def is_poison(planted):
    return torch.zeros_like(planted.y).bool().index_fill(0, planted.indices, True)
