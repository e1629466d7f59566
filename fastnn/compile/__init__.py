"""Compiled training and inference: record once, replay without Python."""

from .training import TrainingStep, compile_training

__all__ = ["TrainingStep", "compile_training"]
