"""The passes that turn a recording into a program; each is one file and changes the recording in place."""

from .copies import forward_copies
from .dead_code import remove_dead_code
from .memory_plan import plan_memory
from .schedule import schedule

__all__ = ["forward_copies", "plan_memory", "remove_dead_code", "schedule"]
