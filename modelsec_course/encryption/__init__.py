"""Encryption that can be computed on: what a server may do with numbers that it cannot read."""

from modelsec_course.encryption import ckks, paillier, recovery
from modelsec_course.encryption.ckks import Client, Model, Server, available
from modelsec_course.encryption.fixed_point import FixedPoint
from modelsec_course.encryption.planning import LIMITS, SEAL_LIMITS, Plan, chain_of, flooding_bits, plan
from modelsec_course.encryption.process import ServerProcess
from modelsec_course.encryption.recovery import recover_key

__all__ = [
    "LIMITS", "SEAL_LIMITS", "Client", "FixedPoint", "Model", "Plan", "Server", "ServerProcess", "available",
    "chain_of", "ckks", "flooding_bits", "paillier", "plan", "recover_key", "recovery",
]  # fmt: skip
