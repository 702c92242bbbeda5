"""What a notebook of the course imports.

from modelsec_course.lab import check, claim, explore, figures, guarantee, progress, quiz, start, threat
"""

from modelsec_course.lab import figures, threat
from modelsec_course.lab.checking import check
from modelsec_course.lab.claiming import claim
from modelsec_course.lab.closing import finish
from modelsec_course.lab.explorer import explore
from modelsec_course.lab.guarantees import guarantee
from modelsec_course.lab.opening import start
from modelsec_course.lab.overview import course
from modelsec_course.lab.quizzes import quiz
from modelsec_course.lab.standing import progress

__all__ = [
    "check", "claim", "course", "explore", "figures", "finish", "guarantee", "progress", "quiz", "start", "threat",
]  # fmt: skip
