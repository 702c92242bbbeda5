"""The drawings of single labs: what their widgets show. A scene returns `draw(**controls) -> (figure, words)`."""

from modelsec_course.lab.scenes.appearing import watch_a_face_appear
from modelsec_course.lab.scenes.copies import grow_a_copy
from modelsec_course.lab.scenes.digits import attack_a_sign
from modelsec_course.lab.scenes.fakes import climb_the_ladder, ladder, rungs
from modelsec_course.lab.scenes.leaks import watch_it_leak
from modelsec_course.lab.scenes.neighbours import two_neighbours
from modelsec_course.lab.scenes.people import meet_a_person
from modelsec_course.lab.scenes.private import audit_table, plan_a_run
from modelsec_course.lab.scenes.queries import spend_queries
from modelsec_course.lab.scenes.smoothing import smooth_a_digit
from modelsec_course.lab.scenes.triggers import draw_a_trigger
from modelsec_course.lab.scenes.tumours import drag_a_record, two_classes

__all__ = [
    "attack_a_sign",
    "audit_table",
    "climb_the_ladder",
    "drag_a_record",
    "draw_a_trigger",
    "grow_a_copy",
    "ladder",
    "meet_a_person",
    "plan_a_run",
    "rungs",
    "smooth_a_digit",
    "spend_queries",
    "two_classes",
    "two_neighbours",
    "watch_a_face_appear",
    "watch_it_leak",
]
