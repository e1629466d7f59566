"""Kernels called in ways that tests of them share."""

import ctypes

import numpy as np
from fastnn.kernels import KERNELS

from fastnn import kernels


def outputs(kernel, *shapes, dtype=np.float64, inputs):
    """Fresh outputs of these shapes, after `kernel` has filled them."""
    arrays = [np.full(shape, 7, dtype) for shape in shapes]
    getattr(kernels, kernel)(*arrays, *inputs)
    return arrays[0] if len(arrays) == 1 else arrays


def central_differences(f, x, dy, h=1e-6):
    """The gradient of sum(dy * f(x)) by x."""
    slope = np.empty_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + h
        above = f(x)
        x[i] = kept - h
        slope[i] = ((above - f(x)) * dy).sum() / (2 * h)
        x[i] = kept
    return slope


def in_parts(name, operands, parts):
    """Run the compiled kernel as `parts` workers would, one after the other."""
    kernel = KERNELS[name]
    words = kernel.signature.encode(operands)
    entry = kernel.entry(kernel.signature.dtypes(operands))
    for part in range(parts):
        entry((ctypes.c_int64 * len(words))(*words), part, parts)
