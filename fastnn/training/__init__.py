"""Training: the loop, its metrics, history and progress."""
