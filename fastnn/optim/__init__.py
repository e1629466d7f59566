"""Optimisers, learning-rate schedules and gradient clipping, in the conventions of `torch.optim`."""

from collections.abc import Callable

from ..errors import unknown_name
from . import lr_scheduler
from .adagrad import Adadelta, Adagrad, RMSprop
from .adam import Adam, Adamax, AdamW, NAdam, RAdam
from .clip import clip_grad_norm_, clip_grad_value_
from .optimizer import Optimizer
from .sgd import SGD, Lion

OPTIMIZERS: dict[str, type[Optimizer]] = {
    cls.__name__.lower(): cls for cls in (SGD, Adam, AdamW, NAdam, RAdam, Adamax, RMSprop, Adagrad, Adadelta, Lion)
}


def get(name: str) -> Callable[..., Optimizer]:
    """The optimiser called `name`, in any case. Raises UnknownNameError."""
    found = OPTIMIZERS.get(str(name).lower())
    if found is None:
        raise unknown_name("optimizer", name, OPTIMIZERS)
    return found


__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
    "get",
    "lr_scheduler",
]
