"""Compiled kernels on plain NumPy arrays, each with a readable NumPy twin. Installed as `fastnn.kernels`."""

from ._registry import KERNELS, get_backend, run, set_backend, use_backend
