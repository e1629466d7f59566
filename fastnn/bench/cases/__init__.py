"""The tables of cases, by topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..case import Case, Setting
from . import convolution, elementwise, fit, inference, matmul, optimisers, rows, training

Source = Callable[[Setting], Iterator[Case]]

SOURCES: dict[str, Sequence[Source]] = {
    "kernels": (matmul.cases, elementwise.cases, rows.cases, optimisers.cases, convolution.cases),
    "train": (training.cases, fit.cases),
    "infer": (inference.cases,),
    "startup": (),
}


def cases(topic: str, setting: Setting) -> Iterator[Case]:
    """The cases of one topic; they hold no data until they are built."""
    for source in SOURCES[topic]:
        yield from source(setting)
