"""Before NumPy is imported: several test processes with a multi-threaded BLAS each would wait for one another most of the time."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
