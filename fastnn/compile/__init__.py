"""Compiled training and inference: record once, replay without Python."""

from .inference import InferenceModel, compile_inference
from .training import TrainingStep, compile_training

__all__ = ["InferenceModel", "TrainingStep", "compile_inference", "compile_training"]
