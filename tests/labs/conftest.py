"""Tests of single labs, each in a folder named after its room: without the room they are not collected."""

from pathlib import Path

from modelsec_course.lab.rooms import rooms

ROOMS = {module.rpartition(".")[2] for module in rooms().values()}
collect_ignore = [path.name for path in Path(__file__).parent.glob("lab_*") if path.name not in ROOMS]
