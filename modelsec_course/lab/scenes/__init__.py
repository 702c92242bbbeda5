"""The drawings of single labs: what their widgets show. A scene returns `draw(**controls) -> (figure, words)`."""

from modelsec_course.lab.scenes.digits import attack_a_digit
from modelsec_course.lab.scenes.tumours import drag_a_record, two_classes

__all__ = ["attack_a_digit", "drag_a_record", "two_classes"]
