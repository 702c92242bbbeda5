"""Turn a scenario into goal, knowledge and capability of an attacker, with ids that can be looked up."""

from __future__ import annotations

from modelsec_course.lab.exercise import Exercise, expect
from modelsec_course.lab.threat import NAMES, lookup
from modelsec_course.labs.lab_00_start_here.exercises.classify_incident import said
from modelsec_course.labs.lab_00_start_here.records import CAPABILITIES, GOALS, KNOWLEDGE, Scenario

SCENARIOS = tuple(
    Scenario(wants, sees, touches)
    for wants in ("a wrong answer", "a secret", "an outage")
    for sees in ("weights", "answers")
    for touches in ("inputs", "training data", "nothing")
)

IDS_OF = {
    "integrity": {id for id in NAMES if id.startswith("NISTAML.02")} | {"AML.T0031"},
    "confidentiality": {id for id in NAMES if id.startswith("NISTAML.03")} | {"AML.TA0010"},
    "availability": {id for id in NAMES if id.startswith("NISTAML.01")} | {"AML.T0029"},
}

TRAINING = {f"NISTAML.{n}" for n in ("011", "012", "013", "021", "023", "024", "026")}  # poisoning, backdoors
EVASION = {"NISTAML.022", "NISTAML.025", "NISTAML.014"}


def _field(name: str, words: dict[str, str], fact: str):
    def verify(threat_model):
        for scenario in SCENARIOS:
            model, want = _dictionary(threat_model(scenario)), words[getattr(scenario, fact)]
            expect(name in model, f"the threat model has no {name!r}")
            expect(model[name] == want, f"{scenario}: expected {name} {want!r}, got {model[name]!r}")

    verify.__doc__ = f"The attacker's {name}, in the words of the table"
    return verify


def _dictionary(model) -> dict:
    expect(isinstance(model, dict), f"expected a dictionary, got {model!r}")
    return model


def _schema(threat_model):
    """Has the four fields, and no other"""
    fields = {"goal", "knowledge", "capability", "ids"}
    for scenario in SCENARIOS:
        got = set(_dictionary(threat_model(scenario)))
        expect(got == fields, f"expected the fields {said(fields)}, got {said(got)}")


def _ids_resolve(threat_model):
    """Every id can be looked up, and belongs to the goal"""
    for scenario in SCENARIOS:
        ids = _dictionary(threat_model(scenario)).get("ids")
        expect(
            isinstance(ids, list | tuple) and ids,
            f'ids must be a list with at least one id, like ["NISTAML.02"], got {ids!r}',
        )
        for id in ids:
            try:
                lookup(id)
            except ValueError as error:
                raise AssertionError(str(error)) from None
        goal = GOALS[scenario.wants]
        expect(set(ids) <= IDS_OF[goal], f"{scenario}: the goal is {goal}, but the ids are {ids}")
        if scenario.touches == "training data":
            expect(not EVASION & set(ids), f"{scenario}: {ids} names an attack on inputs, but they touch none")
        else:
            expect(not TRAINING & set(ids), f"{scenario}: {ids} names an attack on training, but they touch none of it")


def threat_model(scenario):
    return {
        "goal": GOALS[scenario.wants],
        "knowledge": KNOWLEDGE[scenario.sees],
        "capability": CAPABILITIES[scenario.touches],
        "ids": {"integrity": ["NISTAML.02"], "confidentiality": ["NISTAML.03"], "availability": ["NISTAML.01"]}[
            GOALS[scenario.wants]
        ],
    }


def _by_branches(scenario):
    if scenario.wants == "a wrong answer":
        goal, ids = "integrity", ["NISTAML.02", "AML.T0031"]
    elif scenario.wants == "a secret":
        goal, ids = "confidentiality", ["NISTAML.03", "AML.TA0010"]
    else:
        goal, ids = "availability", ["AML.T0029"]
    knowledge = "white-box" if scenario.sees == "weights" else "black-box"
    if scenario.touches == "nothing":
        capability = "query access"
    else:
        capability = f"{'testing' if scenario.touches == 'inputs' else 'training'} data control"
    return {"goal": goal, "knowledge": knowledge, "capability": capability, "ids": ids}


EXERCISE = Exercise(
    "00.threat_model",
    title="Write a threat model",
    reference=threat_model,
    properties=[
        _field("goal", GOALS, "wants"),
        _field("knowledge", KNOWLEDGE, "sees"),
        _field("capability", CAPABILITIES, "touches"),
        _ids_resolve,
        _schema,
    ],
    hints=[
        "Three small tables, each from a scenario's word to the table's word: "
        '`goal = {"a wrong answer": "integrity", ...}[scenario.wants]`.',
        "Who sees the weights is **white-box**, who sees only answers **black-box**. Who touches nothing still has "
        "**query access**.",
        'NIST AI 100-2 numbers the goals: `"NISTAML.01"` availability, `"NISTAML.02"` integrity, `"NISTAML.03"` '
        "confidentiality (it says “privacy”).",
    ],
    second=_by_branches,
    mutants={
        "everything is integrity": lambda s: threat_model(s) | {"goal": "integrity", "ids": ["NISTAML.02"]},
        "everybody is white-box": lambda s: threat_model(s) | {"knowledge": "white-box"},
        "an id that does not exist": lambda s: threat_model(s) | {"ids": ["NISTAML.99"]},
        "an id of another goal": lambda s: threat_model(s) | {"ids": ["NISTAML.02"]},
        "always a backdoor": lambda s: threat_model(s) | ({"ids": ["NISTAML.023"]} if "wrong" in s.wants else {}),
        "always evasion": lambda s: threat_model(s) | ({"ids": ["NISTAML.022"]} if "wrong" in s.wants else {}),
        "no capability": lambda s: {k: v for k, v in threat_model(s).items() if k != "capability"},
    },
)  # fmt: skip
