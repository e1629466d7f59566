"""Before NumPy is imported: test processes that share the cores must not wait for each other's threads."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("FASTNN_NUM_THREADS", "1")
