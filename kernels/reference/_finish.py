"""What convolutions and batch normalisation can apply to their results at once."""

import numpy as np

from . import activations, elementwise

EPILOGUES = ("", "relu", "add", "add_relu")  # elementwise kernels by number; those of two arrays take `extra` as the second
OF_TWO = range(2, len(EPILOGUES))


def finish(y: np.ndarray, extra: np.ndarray, epilogue: int) -> None:
    """y = f(y) or f(y, extra)."""
    if epilogue:
        name = EPILOGUES[epilogue]
        (getattr(activations, name, None) or getattr(elementwise, name))(y, y, *([extra] if epilogue in OF_TWO else []))
