"""What a notebook of the course imports.

from modelsec_course.lab import check, claim, claims, explore, figures, guarantee, predict, progress, quiz, start
"""

from modelsec_course.lab import figures, scenes, threat
from modelsec_course.lab.check import check
from modelsec_course.lab.claim import claim, claims
from modelsec_course.lab.explore import explore
from modelsec_course.lab.guarantee import guarantee
from modelsec_course.lab.health import doctor
from modelsec_course.lab.predicting import predict
from modelsec_course.lab.progress import progress
from modelsec_course.lab.quiz import quiz
from modelsec_course.lab.start import start

__all__ = [
    "check", "claim", "claims", "doctor", "explore", "figures", "guarantee", "predict", "progress", "quiz", "scenes",
    "start", "threat",
]  # fmt: skip
