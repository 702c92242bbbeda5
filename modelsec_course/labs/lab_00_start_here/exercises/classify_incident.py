"""Which security properties does an incident violate: one, several or none?"""

from __future__ import annotations

from dataclasses import asdict

from modelsec_course.lab.exercise import Exercise, expect
from modelsec_course.labs.lab_00_start_here.records import Incident


def _incident(story: str, *violated: str, **facts) -> tuple[Incident, set[str]]:
    return Incident(story, **facts), set(violated)


SINGLE = (
    _incident("Tape on a stop sign; the car reads a speed limit.", "integrity", wrong_answers=True),
    _incident("A rival copies the model through its own queries.", "confidentiality", learned=("model",)),
    _incident("A score betrays that a man was in the HIV study.", "confidentiality", learned=("membership",)),
    _incident("Crafted inputs keep the server busy.", "availability", answered=0.42),
    _incident("One request in fifty times out under the flood.", "availability", answered=0.98),
    _incident("Eleven requests in a thousand time out.", "availability", answered=0.989),
    _incident("Two things leak: the model, and who was in the study.", "confidentiality",
              learned=("model", "membership")),
    _incident("Loans are refused to one district more often than records warrant.", "decisions", decisions="unfair"),
    _incident("No one can tell a patient why she was refused.", "decisions", decisions="unexplained"),
    _incident("The seller tunes the explanation that auditors see.", "decisions", decisions="steered"),
)  # fmt: skip

SEVERAL = (
    _incident("Poisoned rows make spam pass, and the filter stalls.", "integrity", "availability",
              wrong_answers=True, answered=0.9),
    _incident("A thief steals the weights, then crafts records that pass as benign.", "confidentiality", "integrity",
              learned=("model",), wrong_answers=True),
    _incident("A backdoor lowers the scores of one group.", "integrity", "decisions",
              wrong_answers=True, decisions="unfair"),
    _incident("Extortion: patients' faces rebuilt, answers bent, service down, doctors misled.",
              "confidentiality", "integrity", "availability", "decisions",
              learned=("faces",), wrong_answers=True, answered=0.0, decisions="steered"),
)  # fmt: skip

QUIET = (
    _incident("A normal Tuesday."),
    _incident("A model errs on a blurred picture; nobody made it err."),
    _incident("One request in two hundred is slow.", answered=0.995),
    _incident("One request in a hundred is slow.", answered=0.99),
)


def _judge(classify, cases) -> None:
    for incident, violated in cases:
        got = classify(incident)
        expect(isinstance(got, set | frozenset), f"expected a set such as {{'integrity'}}, got {got!r}")
        facts = ", ".join(f"{name}={value!r}" for name, value in asdict(incident).items() if name != "story")
        expect(got == violated, f"“{incident.story}” ({facts}): expected {said(violated)}, got {said(got)}")


def said(names: set | frozenset) -> str:
    return "{" + ", ".join(sorted(map(repr, names))) + "}" if names else "the empty set"


def _one_property(classify):
    """Incidents that violate one property"""
    _judge(classify, SINGLE)


def _several_properties(classify):
    """Incidents that violate several at once"""
    _judge(classify, SEVERAL)


def _none(classify):
    """Days on which nothing is violated (errors and slow requests happen)"""
    _judge(classify, QUIET)


def classify_incident(incident):
    facts = {
        "integrity": incident.wrong_answers,
        "confidentiality": len(incident.learned) > 0,
        "availability": incident.answered < 0.99,
        "decisions": incident.decisions != "sound",
    }
    return {name for name, violated in facts.items() if violated}


def _by_subtraction(incident):
    kept = {"integrity", "confidentiality", "availability", "decisions"}
    well = {
        *(["integrity"] if not incident.wrong_answers else []),
        *([] if incident.learned else ["confidentiality"]),
        *(["availability"] if incident.answered >= 0.99 else []),
        *([] if incident.decisions in ("unexplained", "unfair", "steered") else ["decisions"]),
    }
    return kept - well


def _only_the_first(incident):
    return set(sorted(classify_incident(incident), reverse=True)[:1])


def _breaches_only(incident):
    return {"confidentiality"} if incident.learned else set()


def _only_unfairness(incident):
    return classify_incident(incident) - ({"decisions"} if incident.decisions != "unfair" else set())


def _only_total_outage(incident):
    return classify_incident(incident) - ({"availability"} if incident.answered > 0 else set())


def _every_slow_request(incident):
    return classify_incident(incident) | ({"availability"} if incident.answered < 1 else set())


EXERCISE = Exercise(
    "00.classify_incident",
    title="Which property was violated?",
    reference=classify_incident,
    properties=[_one_property, _several_properties, _none],
    hints=[
        "Four independent questions, so four `if`s. An incident can violate several properties, or none.",
        "Start with `violated = set()`, and add a name for each fact that is not as it should be. "
        "Availability is violated when `incident.answered < 0.99`.",
        "`if incident.decisions != \"sound\": violated.add(\"decisions\")` is the last of the four.",
    ],
    second=_by_subtraction,
    mutants={
        "stops at the first property that is violated": _only_the_first,
        "security is no data breach": _breaches_only,
        "only unfair decisions count": _only_unfairness,
        "only a total outage counts": _only_total_outage,
        "every slow request counts": _every_slow_request,
        "lets 1.5 % be late": lambda i: (
            classify_incident(i) - ({"availability"} if i.answered >= 0.985 else set())
        ),
        "learned exactly one thing": lambda i: (
            classify_incident(i) - ({"confidentiality"} if len(i.learned) > 1 else set())
        ),
        "counts one in a hundred": lambda i: classify_incident(i) | ({"availability"} if i.answered <= 0.99 else set()),
    },
)  # fmt: skip
