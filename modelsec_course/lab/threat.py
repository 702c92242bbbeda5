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
    from modelsec_course.lab.rooms import load  # a room's card is made of this module's Threat

    threat = load(number).threat
    if threat is None:
        raise ValueError(f"lab {number!r} has no threat card: write THREAT in its about.py")
    display(ThreatCard(threat))
