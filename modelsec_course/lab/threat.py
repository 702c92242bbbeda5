"""Threat cards: what an attacker wants, knows and can do, in the words of three public taxonomies."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from IPython.display import display

from modelsec_course.lab.markup import Card, box, esc, facts, inline, plain

NIST, ATLAS, OWASP = "NIST AI 100-2 E2025", "MITRE ATLAS 5.6.0", "OWASP ML Top 10 2023"
VERSIONS = (NIST, ATLAS, OWASP)

NAMES = {
    "NISTAML.01": "Availability Breakdown",
    "NISTAML.011": "Model Poisoning (availability)",
    "NISTAML.012": "Clean-label Poisoning",
    "NISTAML.013": "Data Poisoning",
    "NISTAML.014": "Energy-latency",
    "NISTAML.02": "Integrity Violation",
    "NISTAML.021": "Clean-label Backdoor",
    "NISTAML.022": "Evasion",
    "NISTAML.023": "Backdoor Poisoning",
    "NISTAML.024": "Targeted Poisoning",
    "NISTAML.025": "Black-box Evasion",
    "NISTAML.026": "Model Poisoning (integrity)",
    "NISTAML.03": "Privacy Compromise",
    "NISTAML.031": "Model Extraction",
    "NISTAML.032": "Reconstruction",
    "NISTAML.033": "Membership Inference",
    "NISTAML.034": "Property Inference",
    "NISTAML.05": "Supply Chain Attacks",
    "NISTAML.051": "Model Poisoning (supply chain)",
    "AML.TA0010": "Exfiltration",
    "AML.TA0011": "Impact",
    "AML.T0005.001": "Train Proxy via Replication",
    "AML.T0008.003": "Physical Countermeasures",
    "AML.T0010": "AI Supply Chain Compromise",
    "AML.T0011.000": "Unsafe AI Artifacts",
    "AML.T0015": "Evade AI Model",
    "AML.T0018": "Manipulate AI Model",
    "AML.T0020": "Poison Training Data",
    "AML.T0024": "Exfiltration via AI Inference API",
    "AML.T0024.000": "Infer Training Data Membership",
    "AML.T0024.001": "Invert AI Model",
    "AML.T0024.002": "Extract AI Model",
    "AML.T0029": "Denial of AI Service",
    "AML.T0031": "Erode AI Model Integrity",
    "AML.T0034": "Cost Harvesting",
    "AML.T0041": "Physical Environment Access",
    "AML.T0043": "Craft Adversarial Data",
    "AML.T0043.000": "White-Box Optimization",
    "AML.T0043.001": "Black-Box Optimization",
    "AML.T0043.002": "Black-Box Transfer",
    "AML.T0043.003": "Manual Modification",
    "AML.T0043.004": "Insert Backdoor Trigger",
    "AML.T0046": "Spamming AI System with Chaff Data",
    "AML.M0002": "Passive AI Output Obfuscation",
    "AML.M0003": "Model Hardening",
    "AML.M0004": "Restrict Number of AI Model Queries",
    "AML.M0012": "Encrypt Sensitive Information",
    "AML.M0013": "Code Signing",
    "AML.M0014": "Verify AI Artifacts",
    "AML.M0023": "AI Bill of Materials",
    "AML.M0024": "AI Telemetry Logging",
    "ML01:2023": "Input Manipulation Attack",
    "ML02:2023": "Data Poisoning Attack",
    "ML03:2023": "Model Inversion Attack",
    "ML04:2023": "Membership Inference Attack",
    "ML05:2023": "Model Theft",
    "ML06:2023": "AI Supply Chain Attacks",
    "ML07:2023": "Transfer Learning Attack",
    "ML08:2023": "Model Skewing",
    "ML09:2023": "Output Integrity Attack",
    "ML10:2023": "Model Poisoning",
}


@dataclass(frozen=True)
class Entry:
    id: str
    name: str
    source: str


@dataclass(frozen=True)
class Threat:
    """A lab's threat model: the attacker's goal, knowledge and capability, and the ids it is known by."""

    goal: str
    knowledge: str
    capability: str
    ids: tuple[str, ...]


CARDS = {
    "00": Threat(
        goal="any of NIST's three, **integrity** (wrong answers), **confidentiality** (leaked data or model), "
        "**availability** (no answers, or dear ones), or through them people's **decisions**",
        knowledge="from none (black-box) to the model's weights (white-box); each lab says which",
        capability="control of inputs, of training data or of code, or no more than queries; each lab says which",
        ids=("NISTAML.02", "NISTAML.03", "NISTAML.01", "AML.T0031", "AML.TA0010", "AML.T0029", "ML09:2023"),
    ),
    "01": Threat(
        goal="**integrity**: the model answers wrongly for an input that people still read correctly",
        knowledge="**white-box**: architecture, weights and defences",
        capability="**testing data control**: change each input a little, within ε; training is out of reach",
        ids=("NISTAML.022", "AML.T0015", "AML.T0043", "AML.T0043.000", "ML01:2023"),
    ),
    "02": Threat(
        goal="**integrity**: the model answers wrongly for an input that people still read correctly",
        knowledge="**black-box**: no weights, no gradients; the answers to queries, scores or only labels, or no more "
        "than public data like the model's own",
        capability="**query access**: show the model inputs, so many times; change each input a little, within ε",
        ids=("NISTAML.025", "AML.T0015", "AML.T0043.001", "AML.T0043.002", "AML.M0004", "ML01:2023"),
    ),
    "03": Threat(
        goal="**integrity**: wrong answers in spite of a defence; an evaluator is to find them before others do",
        knowledge="**white-box**: architecture, weights and the defence; beside it black-box attacks, as a cross-check",
        capability="**testing data control**: change each input within ε, knowing how the defence works",
        ids=("NISTAML.022", "NISTAML.025", "AML.T0015", "AML.T0043.000", "AML.T0043.001", "AML.M0003", "ML01:2023"),
    ),
    "04": Threat(
        goal="**integrity**: wrong answers, now from a model that was trained or wrapped to withstand them",
        knowledge="**white-box**: architecture, weights and the defence; only the noise that is drawn is unknown",
        capability="**testing data control**: change each input within ε, in L∞ or in L2; training is out of reach",
        ids=("NISTAML.022", "AML.T0015", "AML.T0043.000", "AML.M0003", "ML01:2023"),
    ),
    "08": Threat(
        goal="**integrity**: a chosen wrong answer whenever a trigger is shown; or **availability**: a model that is "
        "wrong for everybody",
        knowledge="**grey-box**: the task and the kind of data; not the weights, which do not exist yet",
        capability="**training data control**: add or change a few rows, with or without their labels; show the "
        "trigger later",
        ids=("NISTAML.013", "NISTAML.021", "NISTAML.023", "AML.T0020", "AML.T0043.004", "ML02:2023", "ML10:2023"),
    ),
    "09": Threat(
        goal="**confidentiality**: a second model that answers as the victim does, without the work behind it",
        knowledge="**black-box**: the task, perhaps the kind of model, some public data like the victim's; no weights",
        capability="**query access**: so many answers, as probabilities, rounded, or as labels",
        ids=("NISTAML.031", "AML.T0024.002", "AML.T0005.001", "AML.M0002", "AML.M0004", "ML05:2023"),
    ),
    "10": Threat(
        goal="**privacy**: learn whether a person's record was in the training set, or a value that the record hides",
        knowledge="the record itself, and data of the same kind to train models on; not the weights",
        capability="**query access**: one query for a record, and the model's scores (or, for more queries, its label)",
        ids=("NISTAML.033", "NISTAML.032", "NISTAML.034", "AML.T0024.000", "AML.M0002", "ML04:2023", "ML03:2023"),
    ),
    "11": Threat(
        goal="**privacy**: a picture of a person whose name is one of the model's classes",
        knowledge="**white-box**: the weights, the list of names, and public photographs of other people; none of "
        "the person",
        capability="**no control** of data or training: climb the model's own score, as long as you like",
        ids=("NISTAML.032", "AML.T0024.001", "AML.M0002", "ML03:2023"),
    ),
    "12": Threat(
        goal="**privacy**: the training examples behind a participant's update",
        knowledge="**white-box**: the model before the round, and each update that is sent; the server is honest but "
        "curious",
        capability="**passive**: read what the protocol sends, compute at leisure; nothing is changed",
        ids=("NISTAML.032", "AML.TA0010", "AML.M0012", "ML03:2023"),
    ),
    "13": Threat(
        goal="**privacy**: whether one person's record is in the data behind a published answer",
        knowledge="everything but that one record: the other records, the mechanism, its noise's distribution",
        capability="**query access**: as many answers as are published, combined in any way, now or later",
        ids=("NISTAML.033", "NISTAML.032", "AML.T0024.000", "ML04:2023"),
    ),
    "14": Threat(
        goal="**privacy**: whether a record was in the training set of a model that claims differential privacy",
        knowledge="**white-box**: the final weights, or each step's noisy gradient, and all other records; the lab "
        "compares the two",
        capability="**training data control** for an auditor: insert canaries, train, guess; an attacker has less",
        ids=("NISTAML.033", "NISTAML.032", "AML.T0024.000", "AML.T0024.001", "AML.M0003", "ML04:2023"),
    ),
}


class ThreatCard(Card):
    def __init__(self, threat: Threat):
        self.threat = threat
        self.entries = [lookup(id) for id in threat.ids]

    def rows(self) -> list[tuple[str, str]]:
        return [
            ("Goal", self.threat.goal),
            ("Knowledge", self.threat.knowledge),
            ("Capability", self.threat.capability),
        ]

    def text(self) -> str:
        lines = ["Threat model"] + [f"  {term}: {plain(what)}" for term, what in self.rows()]
        return "\n".join(lines + [f"  {entry.id} {entry.name} ({entry.source})" for entry in self.entries])

    def html(self) -> str:
        rows = [(term, inline(what)) for term, what in self.rows()]
        for source in VERSIONS:
            named = [f"<code>{entry.id}</code> {esc(entry.name)}" for entry in self.entries if entry.source == source]
            if named:
                rows.append((source, "<br>".join(named)))
        return box('<p class="head">Threat model</p>' + facts(rows), tone="plain", label="Threat model")


def lookup(id: str) -> Entry:
    """The entry with this full id. Raises ValueError, naming the nearest ids, if the pinned tables have none."""
    if id not in NAMES:
        near = difflib.get_close_matches(str(id), NAMES, 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"the tables are {', '.join(VERSIONS)}"
        raise ValueError(f"there is no threat id {id!r}: {hint}")
    return Entry(id, NAMES[id], OWASP if id.startswith("ML") else ATLAS if id.startswith("AML") else NIST)


def card(number: str) -> None:
    """Show the threat card of a lab. Raises ValueError if it has none."""
    if number not in CARDS:
        raise ValueError(f"lab {number!r} has no threat card: there are cards for {', '.join(CARDS)}")
    display(ThreatCard(CARDS[number]))
