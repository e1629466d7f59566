"""Training: the loop, its losses and metrics by name, its history, and what may happen between epochs."""

from .. import losses, metrics
from .callbacks import Callback, EarlyStopping
from .history import History
from .trainer import Trainer

__all__ = ["Callback", "EarlyStopping", "History", "Trainer", "losses", "metrics"]
