"""What a notebook of the course imports.

from modelsec_course.lab import check, claim, claims, explore, figures, guarantee, predict, quiz, start, threat
"""

from modelsec_course.lab import figures, threat
from modelsec_course.lab.checking import check
from modelsec_course.lab.claiming import claim, claims
from modelsec_course.lab.closing import finish
from modelsec_course.lab.explorer import explore
from modelsec_course.lab.guarantees import guarantee
from modelsec_course.lab.opening import start
from modelsec_course.lab.overview import course
from modelsec_course.lab.predicting import predict
from modelsec_course.lab.quizzes import quiz
from modelsec_course.lab.standing import progress

__all__ = [
    "check", "claim", "claims", "course", "explore", "figures", "finish", "guarantee", "predict", "progress", "quiz",
    "start", "threat",
]  # fmt: skip
