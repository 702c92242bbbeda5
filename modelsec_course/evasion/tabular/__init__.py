"""Evasion in a table, where not every row can exist and not every change is free. An Lp ball means nothing here.

`feasible` and `broken_rules` check, `penalty` measures, `project_feasible` mends; `feasible_evasion` attacks any model
of rows; `attacker_profit` and `bank_loss` count in money.
"""

from modelsec_course.evasion.tabular.checking import broken_rules, feasible, penalty
from modelsec_course.evasion.tabular.exact import nearest
from modelsec_course.evasion.tabular.money import Prices, attacker_profit, bank_loss
from modelsec_course.evasion.tabular.projection import entered, project_feasible
from modelsec_course.evasion.tabular.scoring import scorer
from modelsec_course.evasion.tabular.search import RULES, Evasion, feasible_evasion
from modelsec_course.evasion.tabular.variation import random_moves

__all__ = [
    "RULES", "Evasion", "Prices", "attacker_profit", "bank_loss", "broken_rules", "entered", "feasible",
    "feasible_evasion", "nearest", "penalty", "project_feasible", "random_moves", "scorer",
]  # fmt: skip
