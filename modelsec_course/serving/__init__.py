"""The victim as a service: what stands between a model and those who ask it."""

from modelsec_course.serving.guard import Guard, Refused, closeness

__all__ = ["Guard", "Refused", "closeness"]
