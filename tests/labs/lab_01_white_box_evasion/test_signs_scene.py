"""Lab 01's widget: road signs under attack."""

import torch

from modelsec_course.labs.lab_01_white_box_evasion import scene

NAMES = ("stop", "give way", "limit 50", "danger", "parking", "turn left")


def test_the_signs_widget_attacks_in_steps_of_a_255th_and_tells_right_from_wrong():
    def model(x):  # a bright picture is a "give way", a dark one a "stop"
        bright = 100 * (x.mean((1, 2, 3)) - 0.5)
        return torch.stack([-bright, bright, *[torch.full_like(bright, -99.0)] * 4], 1)

    x, y = torch.full((2, 3, 8, 8), 0.45), torch.zeros(2, dtype=torch.int64)
    moves = {"brighter": lambda model, x, y, eps: x + eps, "nothing": lambda model, x, y, eps: x}
    draw = scene.attack_a_sign(model, x, y, NAMES, moves)
    assert "ε = 8/255: the model is still right" in draw(sign=0, eps=8, attack="brighter")[1]
    assert "**wrong**: it says give way" in draw(sign=1, eps=16, attack="brighter")[1]
    assert "still right" in draw(sign=1, eps=16, attack="nothing")[1]
