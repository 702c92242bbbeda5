"""Lab 00: what are we protecting? Incidents, threat models, and the distance to a boundary."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from modelsec_course.lab.exercise import Lab, Question, exercise, expect, expect_close
from modelsec_course.lab.threat import NAMES, lookup

LAB = Lab(
    number="00",
    title="Start here: what are we protecting?",
    question="What can be taken from a machine-learning model, and how far is a diagnosis from flipping?",
    minutes=40,
    difficulty=1,
    outcomes=(
        "say which of integrity, confidentiality, availability and sound decisions an incident violates",
        "write a threat model whose every id can be looked up",
        "compute how far an input is from a linear decision boundary, and so how robust a model is, exactly",
        "see what a defence moves from one property to another",
    ),
    seconds=5,
    part="Integrity at test time",
    stage="user",
)

# ------------------------------------------------------------------------------------------------ 00.classify_incident


@dataclass(frozen=True)
class Incident:
    """What happened: a story, and the facts that decide. Only the facts count."""

    story: str
    learned: tuple[str, ...] = ()  # what an outsider learned that they should not know
    wrong_answers: bool = False  # somebody made the model answer wrongly
    answered: float = 1.0  # share of requests that were answered in time
    decisions: str = "sound"  # "sound", "unexplained", "unfair" or "steered": what people decided with the answers


def _incident(story: str, *violated: str, **facts) -> tuple[Incident, set[str]]:
    return Incident(story, **facts), set(violated)


SINGLE = (
    _incident("Tape on a stop sign; the car reads a speed limit.", "integrity", wrong_answers=True),
    _incident("A rival copies the model through its own queries.", "confidentiality", learned=("model",)),
    _incident("A score betrays that a man was in the HIV study.", "confidentiality", learned=("membership",)),
    _incident("Crafted inputs keep the server busy.", "availability", answered=0.42),
    _incident("One request in fifty times out under the flood.", "availability", answered=0.98),
    _incident("Loans are refused to one district more often than records warrant.", "decisions", decisions="unfair"),
    _incident("No one can tell a patient why she was refused.", "decisions", decisions="unexplained"),
    _incident("The seller tunes the explanation that auditors see.", "decisions", decisions="steered"),
)
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
        expect(isinstance(got, set), f"expected a set such as {{'integrity'}}, got {got!r}")
        facts = ", ".join(f"{name}={value!r}" for name, value in asdict(incident).items() if name != "story")
        expect(got == violated, f"“{incident.story}” ({facts}): expected {_said(violated)}, got {_said(got)}")


def _said(names: set) -> str:
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


exercise(
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
        "counts one in a hundred": lambda i: classify_incident(i) | ({"availability"} if i.answered <= 0.99 else set()),
    },
)  # fmt: skip

# ----------------------------------------------------------------------------------------------------- 00.threat_model


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


GOALS = {"a wrong answer": "integrity", "a secret": "confidentiality", "an outage": "availability"}
KNOWLEDGE = {"weights": "white-box", "answers": "black-box"}
CAPABILITIES = {"inputs": "testing data control", "training data": "training data control", "nothing": "query access"}


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


def _field(name: str, words: dict[str, str], fact: str):
    def verify(threat_model):
        for scenario in SCENARIOS:
            model, want = _dictionary(threat_model(scenario)), words[getattr(scenario, fact)]
            expect(name in model, f"the threat model has no {name!r}")
            expect(model[name] == want, f"{scenario}: expected {name} {want!r}, got {model[name]!r}")

    verify.__doc__ = f"The attacker's {name}, in NIST's words"
    return verify


def _dictionary(model) -> dict:
    expect(isinstance(model, dict), f"expected a dictionary, got {model!r}")
    return model


def _schema(threat_model):
    """Has the four fields, and no other"""
    fields = {"goal", "knowledge", "capability", "ids"}
    for scenario in SCENARIOS:
        got = set(_dictionary(threat_model(scenario)))
        expect(got == fields, f"expected the fields {_said(fields)}, got {_said(got)}")


def _ids_resolve(threat_model):
    """Every id can be looked up, and belongs to the goal"""
    for scenario in SCENARIOS:
        ids = _dictionary(threat_model(scenario)).get("ids")
        expect(
            isinstance(ids, list) and ids, f'ids must be a list with at least one id, like ["NISTAML.02"], got {ids!r}'
        )
        for id in ids:
            try:
                lookup(id)
            except ValueError as error:
                raise AssertionError(str(error)) from None
        goal = GOALS[scenario.wants]
        expect(set(ids) <= IDS_OF[goal], f"{scenario}: the goal is {goal}, but the ids are {ids}")


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


exercise(
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
        "Three small tables, each from a scenario's word to NIST's word: "
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
        "no capability": lambda s: {k: v for k, v in threat_model(s).items() if k != "capability"},
    },
)  # fmt: skip

# -------------------------------------------------------------------------------------------------- 00.margin_distance


def _boundary(seed: int, rows: int = 40, columns: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, columns, generator=draw, dtype=torch.float64)
    w = torch.randn(columns, generator=draw, dtype=torch.float64)
    return x, w, torch.tensor(0.7, dtype=torch.float64)


def _by_hand(margin_distance):
    """A case you can do by hand: w = (3, 4), b = −5, x = (3, 4)"""
    x, w, b = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([3.0, 4.0]), torch.tensor(-5.0)
    expect_close(margin_distance(x, w, b, "l2"), torch.tensor([4.0, 1.0]), 1e-6, "L2 distances of (3, 4) and (0, 0)")
    expect_close(margin_distance(x, w, b, "linf"), torch.tensor([20 / 7, 5 / 7]), 1e-6, "L∞ distances of the same")


def _reaches(norm: str):
    def verify(margin_distance):
        x, w, b = _boundary(1)
        score = x @ w + b
        step = w.sign() if norm == "linf" else w / w.norm()
        distance = margin_distance(x, w, b, norm)
        expect(
            distance.shape == score.shape,
            f"expected one distance a row, {tuple(score.shape)}, got {tuple(distance.shape)}",
        )
        arrived = (x - (score.sign() * distance)[:, None] * step) @ w + b
        expect_close(arrived, torch.zeros_like(score), 1e-9, "the score after moving each record by its distance")

    shown = "every column by that much" if norm == "linf" else "straight by that much"
    verify.__doc__ = f"{'L∞' if norm == 'linf' else 'L2'}: moving {shown} lands exactly on the boundary"
    return verify


def _never_negative(margin_distance):
    """A distance is never negative, on either side"""
    x, w, b = _boundary(2)
    for norm in ("l2", "linf"):
        distance = margin_distance(x, w, b, norm)
        expect((distance >= 0).all(), f"{norm}: the smallest distance is {distance.min().item():.4g}")


def margin_distance(x, w, b, norm):
    slope = w.abs().sum() if norm == "linf" else w.norm()  # how fast the score can change
    return (x @ w + b).abs() / slope


def _by_vector_norm(x, w, b, norm):
    order = {"l2": 2, "linf": 1}[norm]
    score = (x * w).sum(dim=1) + b
    return torch.maximum(score, -score) / torch.linalg.vector_norm(w, ord=order)


exercise(
    "00.margin_distance",
    title="How far is the boundary?",
    reference=margin_distance,
    properties=[_by_hand, _reaches("l2"), _reaches("linf"), _never_negative],
    hints=[
        "The score changes fastest along w. In L2, a step of length 1 along w / ‖w‖₂ changes it by ‖w‖₂.",
        "In L∞, every column may move by 1 at once, each in the direction of its weight's sign: the score changes by "
        "Σ|wᵢ|. So you divide by the L1 norm, `w.abs().sum()`.",
        "`(x @ w + b).abs()` divided by `w.norm()` or by `w.abs().sum()`.",
    ],
    second=_by_vector_norm,
    mutants={
        "divides by the largest weight in L∞": lambda x, w, b, norm: (
            (x @ w + b).abs() / (w.abs().max() if norm == "linf" else w.norm())
        ),
        "forgets the intercept": lambda x, w, b, norm: margin_distance(x, w, 0 * b, norm),
        "keeps the sign": lambda x, w, b, norm: (x @ w + b) / (w.abs().sum() if norm == "linf" else w.norm()),
        "forgets to divide": lambda x, w, b, norm: (x @ w + b).abs(),
        "uses L2 for both": lambda x, w, b, norm: (x @ w + b).abs() / w.norm(),
    },
)

QUIZ = (
    Question(
        "A thief copies your model through its public interface and changes nothing. Which property is violated?",
        ("integrity", "confidentiality", "availability", "none: nothing was changed"),
        1,
        (
            "Integrity asks whether answers are right, and they still are.",
            "The model itself is a secret: it cost data and money, and a copy makes every later attack easier.",
            "The service still answers everybody.",
            "Nothing was changed, but something was learned that should have stayed secret.",
        ),
    ),
    Question(
        "Random changes of ±0.3 cost the model almost nothing. What does that say about an attacker limited to 0.3?",
        ("such an attacker is weak too", "hardly anything", "the attacker needs more than 0.3"),
        1,
        (
            "The exact computation says otherwise: at 0.3 about a third of the records can be flipped.",
            "Noise does not look for the worst direction. An attacker does.",
            "The exact computation needs no more than 0.3 for about a third of the records.",
        ),
    ),
    Question(
        "Why is the L∞ distance divided by Σ|wᵢ|, not by the largest |wᵢ|?",
        (
            "because every measurement may change at once",
            "because it makes the numbers smaller",
            "because the weights sum to 1",
        ),
        0,
        (
            "An L∞ budget is a budget for each column, so the attacker spends it in all of them.",
            "It does, but for a reason: the attacker is stronger than one that changes a single column.",
            "They need not: in this model Σ|wᵢ| is about 17.",
        ),
    ),
    Question(
        "The clinic refuses to answer within 0.2 of the boundary. What has the attacker lost?",
        (
            "everything: near the boundary there is no answer to flip",
            "0.2 of reach towards a wrong answer, and gained a way to cause refusals",
            "nothing at all",
        ),
        1,
        (
            "The attacker crosses the band instead: that costs exactly 0.2 more.",
            "Wrong answers need 0.2 more. But a small push into the band now denies the answer: "
            "integrity was bought with availability.",
            "At the same budget fewer records can be turned into wrong answers.",
        ),
    ),
)
