"""What a notebook uses to draw: `figures.curves(...)`, `figures.pictures(...)`, `figures.BLUE`."""

from modelsec_course.lab.charts import bars, curves
from modelsec_course.lab.comparison import before_after
from modelsec_course.lab.gallery import pictures
from modelsec_course.lab.style import (
    BLACK,
    BLUE,
    DASHES,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    PALETTE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    Shown,
    show,
    use_style,
)  # fmt: skip

__all__ = [
    "BLACK", "BLUE", "DASHES", "GREEN", "GREY", "MARKERS", "ORANGE", "PALETTE", "PURPLE", "SKY", "VERMILION", "YELLOW",
    "Shown", "bars", "before_after", "curves", "pictures", "show", "use_style",
]  # fmt: skip
