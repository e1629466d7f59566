"""The choice between compiled kernels and their NumPy twins."""

from .kernels import get_backend, set_backend, use_backend

__all__ = ["get_backend", "set_backend", "use_backend"]
