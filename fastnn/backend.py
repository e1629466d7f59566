"""The choice between compiled kernels and their NumPy twins, and the number of threads."""

from .kernels import get_backend, get_num_threads, set_backend, set_num_threads, threads, use_backend

__all__ = ["get_backend", "get_num_threads", "set_backend", "set_num_threads", "threads", "use_backend"]
