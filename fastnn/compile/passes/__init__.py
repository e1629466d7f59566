"""The passes that turn a recording into a program; each is one file and changes the recording in place."""

from .bias_sums import join_bias_sums
from .constants import fold_constants
from .copies import forward_copies
from .dead_code import remove_dead_code
from .fusion import fuse
from .in_place import reuse_in_place
from .memory_plan import plan_memory
from .panels import pack_weights
from .postpone import postpone_sums
from .schedule import scheduled
from .softmax_loss import join_softmax_and_loss
from .updates import update_behind_gradients
from .winograd import transform_constant_convolutions, transform_convolutions

__all__ = [
    "fold_constants",
    "forward_copies",
    "fuse",
    "join_bias_sums",
    "join_softmax_and_loss",
    "pack_weights",
    "plan_memory",
    "postpone_sums",
    "remove_dead_code",
    "reuse_in_place",
    "scheduled",
    "transform_constant_convolutions",
    "transform_convolutions",
    "update_behind_gradients",
]
