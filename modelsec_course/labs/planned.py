"""The labs that are announced and not yet built. A lab that gets its room is left out by itself."""

from modelsec_course.lab.exercise import PARTS, Planned

_TEST_TIME, _, _, _PRIVACY, _RUNNING = PARTS

PLANNED = (
    Planned("15", "Homomorphic encryption", "Can a server score data it cannot read?", _PRIVACY, "API"),
    Planned("16", "Supply chain", "Is this the model you think it is?", _RUNNING, "model"),
    Planned("17", "Serving and availability", "What fails around the model?", _RUNNING, "API"),
    Planned("18", "Transparency and fairness", "Is it trustworthy, not merely unbreached?", _RUNNING, "user"),
    Planned("19", "Capstone: red team, blue team", "Who holds the service: attackers or defenders?", _RUNNING, "API"),
    Planned("20", "Scaling up", "What changes when model, data and machine grow?", _RUNNING, "training"),
)
