"""What the lab's exercises are about: incidents, and what is known of an attacker."""

from __future__ import annotations

from dataclasses import dataclass

GOALS = {"a wrong answer": "integrity", "a secret": "confidentiality", "an outage": "availability"}
KNOWLEDGE = {"weights": "white-box", "answers": "black-box"}
CAPABILITIES = {"inputs": "testing data control", "training data": "training data control", "nothing": "query access"}


@dataclass(frozen=True)
class Incident:
    """What happened: a story, and the facts that decide. Only the facts count."""

    story: str
    learned: tuple[str, ...] = ()  # what an outsider learned that they should not know
    wrong_answers: bool = False  # somebody made the model answer wrongly
    answered: float = 1.0  # share of requests that were answered in time
    decisions: str = "sound"  # "sound", "unexplained", "unfair" or "steered": what people decided with the answers


@dataclass(frozen=True)
class Scenario:
    """What is known about an attacker.

    wants: "a wrong answer", "a secret" or "an outage".  sees: "weights" or "answers".
    touches: "inputs", "training data" or "nothing".
    """

    wants: str
    sees: str
    touches: str

    def __post_init__(self):
        for fact, words in (("wants", GOALS), ("sees", KNOWLEDGE), ("touches", CAPABILITIES)):
            if getattr(self, fact) not in words:
                raise ValueError(f"{fact} must be one of {', '.join(map(repr, words))}, not {getattr(self, fact)!r}")
