"""What a notebook of the course imports.

from modelsec_course.lab import check, claim, explore, figures, guarantee, progress, quiz, scenes, start, threat
"""

from modelsec_course.lab import figures, scenes, threat
from modelsec_course.lab.check import check
from modelsec_course.lab.claim import claim
from modelsec_course.lab.closing import finish
from modelsec_course.lab.explore import explore
from modelsec_course.lab.guarantee import guarantee
from modelsec_course.lab.health import doctor
from modelsec_course.lab.overview import course
from modelsec_course.lab.progress import progress
from modelsec_course.lab.quiz import quiz
from modelsec_course.lab.start import start

__all__ = [
    "check", "claim", "course", "doctor", "explore", "figures", "finish", "guarantee", "progress", "quiz", "scenes", "start",
    "threat",
]  # fmt: skip
