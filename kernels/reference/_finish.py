"""What convolutions and batch normalisation can apply to their results at once."""

import numpy as np

from . import activations, elementwise

EPILOGUES = ("", "relu", "add", "add_relu")  # elementwise kernels by number; add takes a second array, `extra`


def finish(y: np.ndarray, extra: np.ndarray, epilogue: int) -> None:
    """y = f(y) or f(y, extra)."""
    if epilogue:
        name = EPILOGUES[epilogue]
        (getattr(activations, name, None) or getattr(elementwise, name))(y, y, *([extra] if "add" in name else []))
