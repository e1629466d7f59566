"""The library's source of chance: one seed for initial weights and for dropout masks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .errors import ArgumentError, DTypeError
from .tensor import Array

Stream = tuple[Array, int]  # state (uint64: seed, step) and site: together they name one mask of the counter-based generator


class _Default:
    """The process-wide generator: NumPy's for values drawn once, a seed and a counter of masks for those drawn by kernels."""

    def __init__(self, seed: int) -> None:
        self.lock = threading.Lock()
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        with self.lock:
            self.seed = seed
            self.step = 0
            self.numpy = np.random.default_rng(seed)

    def next_stream(self) -> Stream:
        with self.lock:
            self.step += 1
            return np.array([self.seed, self.step], np.uint64), 0


class _Source(threading.local):
    next_stream: Callable[[], Stream] | None = None


_default = _Default(int(np.random.SeedSequence().generate_state(1, np.uint64)[0]))
_source = _Source()


def manual_seed(seed: int) -> None:
    """Start the default generator anew from `seed`, so that what follows can be repeated.

    Raises DTypeError unless it is an int, ArgumentError unless it lies between 0 and 2^64 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise DTypeError(f"manual_seed: seed must be an int, got {type(seed).__name__}")
    if not 0 <= seed < 2**64:
        raise ArgumentError(f"manual_seed: seed must lie between 0 and 2^64 - 1, got {seed}")
    _default.reseed(int(seed))


@contextmanager
def unless_it_fails() -> Iterator[None]:
    """Draw numbers in the body of a `with` statement, or of a function; where it raises, they count as not drawn."""
    step, state = _default.step, _default.numpy.bit_generator.state
    try:
        yield
    except BaseException:
        _default.step, _default.numpy.bit_generator.state = step, state
        raise


def generator() -> np.random.Generator:
    """The default generator's NumPy generator, which initialisers draw from."""
    return _default.numpy


def next_stream() -> Stream:
    """The state and the site of a mask that has not been drawn yet.

    Two masks are equal only if seed, step and site are. Eager calls differ in step. A recorder that has its own source (see
    `streams_from`) gives all of a program's masks one state, whose step advances from run to run, and a site each.
    """
    return (_source.next_stream or _default.next_stream)()


@contextmanager
def streams_from(source: Callable[[], Any]) -> Iterator[None]:
    """Let `next_stream` return what `source` does, in this thread and within a `with` statement."""
    before = _source.next_stream
    _source.next_stream = source
    try:
        yield
    finally:
        _source.next_stream = before
