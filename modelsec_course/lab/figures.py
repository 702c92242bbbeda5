"""What a notebook uses to draw: `figures.curves(...)`, `figures.pictures(...)`, `figures.BLUE`."""

from modelsec_course.lab.charts import bars, curves
from modelsec_course.lab.comparison import before_after
from modelsec_course.lab.gallery import pictures
from modelsec_course.lab.style import (
    ATTACK,
    BLACK,
    BLUE,
    CONTROL,
    DASHES,
    DEFENCE,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    PALETTE,
    PROOF,
    PURPLE,
    ROLES,
    SKY,
    TRUTH,
    VERMILION,
    YELLOW,
    Shown,
    show,
    use_style,
)  # fmt: skip
from modelsec_course.lab.tables import table

__all__ = [
    "ATTACK", "BLACK", "BLUE", "CONTROL", "DASHES", "DEFENCE", "GREEN", "GREY", "MARKERS", "ORANGE", "PALETTE",
    "PROOF", "PURPLE", "ROLES", "SKY", "TRUTH", "VERMILION", "YELLOW",
    "Shown", "bars", "before_after", "curves", "pictures", "show", "table", "use_style",
]  # fmt: skip
