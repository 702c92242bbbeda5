"""Federated learning on simulated clients: averaging, secure aggregation, noise on updates."""

from modelsec_course.federated.averaging import Round, deal, fedavg, local_updates, private_mean, weighted_mean
from modelsec_course.federated.masks import MODULUS, agreed_mask, decode, encode, expand, key_pair, pairwise_masks
from modelsec_course.federated.secure import SecureSum, secure_sum
from modelsec_course.federated.sharing import recover, share

__all__ = [
    "MODULUS", "Round", "SecureSum", "agreed_mask", "deal", "decode", "encode", "expand", "fedavg", "key_pair",
    "local_updates", "pairwise_masks", "private_mean", "recover", "secure_sum", "share", "weighted_mean",
]  # fmt: skip
