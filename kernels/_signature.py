"""Kernel signatures: what each parameter of a kernel is, read from the annotations of its NumPy twin.

A kernel's parameters are arrays (outputs first) and numbers. For compiled code they become one record of 64-bit words:

=============  =====================================================
parameter      words
=============  =====================================================
contiguous     pointer, shape
strided        pointer, shape, strides in bytes
elementwise    pointer, strides over the common loop nest, whose shape leads the record
number         an int64, or the bits of a float64
epilogue       number, address of its code, the bits of two float64
=============  =====================================================
"""

from __future__ import annotations

import inspect
import struct
from collections.abc import Callable, Sequence
from itertools import product
from sys import float_info
from typing import Any, NamedTuple

import numpy as np

from ._errors import ArgumentError, DTypeError, ShapeError, shown
from ._overlap import overlaps_itself, same_items

NEST = 6  # most dimensions that an elementwise loop nest keeps after adjacent ones are merged

KINDS = {
    "float": (np.dtype(np.float32), np.dtype(np.float64)),
    "double": (np.dtype(np.float64),),
    "int": (np.dtype(np.int64),),
    "uint": (np.dtype(np.uint64),),
    "bool": (np.dtype(np.bool_),),
    "any": tuple(map(np.dtype, (np.float32, np.float64, np.int64, np.uint8, np.bool_))),
}


class Array(NamedTuple):
    """An array parameter: its kind of dtype, its layout, a name for the size of each dimension, and whether no output may lie there.

    Attributes
    ----------
    apart
        Whether, or with which epilogues, the kernel reads it after results have been written.
    """

    kind: str
    layout: str
    dims: tuple[str, ...] = ()
    apart: bool | range = False

    def __repr__(self) -> str:
        return f"{self.kind}[{', '.join(self.dims) or '...'}]"


class Number(NamedTuple):
    """A number parameter, handed over as "float" or "int", or as "epilogue", which chooses what a product applies to its result."""

    kind: str

    def __repr__(self) -> str:
        return self.kind


def Floats(dims: str, apart: bool = False) -> Array:
    """A C-contiguous float array whose dimensions are named, as in "N D"; equal names are equal sizes. `apart` as of `Strided`."""
    return Array("float", "contiguous", tuple(dims.split()), apart)


def Strided(dims: str, apart: bool | range = False) -> Array:
    """A float array of any strides; `apart` if it is read after results have been written, or with which epilogues it is."""
    return Array("float", "strided", tuple(dims.split()), apart)


def Doubles(dims: str) -> Array:
    """A C-contiguous float64 array, whatever the kernel's own dtype."""
    return Array("double", "contiguous", tuple(dims.split()))


def Ints(dims: str) -> Array:
    """A C-contiguous int64 array: labels and indices."""
    return Array("int", "contiguous", tuple(dims.split()))


def Words(dims: str) -> Array:
    """A C-contiguous uint64 array: the state of a random generator."""
    return Array("uint", "contiguous", tuple(dims.split()))


Elements = Array("float", "elementwise")
Masks = Array("bool", "elementwise")
Anything = Array("any", "elementwise")
Float = Number("float")
Int = Number("int")
Epilogue = Number("epilogue")

Parameter = Array | Number

# What numbers of each kind are called, and the types that they may have.
ACCEPTED = {
    "int": ("a whole number", (int, np.integer)),
    "float": ("a number", (int, float, np.integer, np.floating)),
    "epilogue": ("a whole number or a tuple of numbers", (int, np.integer)),
}
WHOLE = 1 << 63  # whole numbers of a record lie below it, and not below its negative


def common_nest(arrays: Sequence[np.ndarray[Any, Any]]) -> tuple[tuple[int, ...], list[tuple[int, ...]]] | None:
    """Merge the dimensions of arrays that broadcast to the first one's shape into the fewest loops.

    Returns the loop sizes, padded in front with ones to `NEST`, and each array's byte strides over them (0 where it repeats); None if more
    loops are needed.
    """
    shape = arrays[0].shape
    if all(a.shape == shape and a.flags.c_contiguous for a in arrays):
        return (1,) * (NEST - 1) + (arrays[0].size,), [(0,) * (NEST - 1) + (a.itemsize,) for a in arrays]
    rank = len(shape)
    full = []
    for a in arrays:
        lead = rank - a.ndim
        full.append([0] * lead + [0 if n == 1 else s for n, s in zip(a.shape, a.strides, strict=True)])
    sizes: list[int] = []
    kept: list[list[int]] = [[] for _ in arrays]
    for axis in range(rank):
        if shape[axis] == 1:
            continue
        if sizes and all(k[-1] == f[axis] * shape[axis] for k, f in zip(kept, full, strict=True)):
            sizes[-1] *= shape[axis]
            for k, f in zip(kept, full, strict=True):
                k[-1] = f[axis]
            continue
        sizes.append(shape[axis])
        for k, f in zip(kept, full, strict=True):
            k.append(f[axis])
    if not sizes:
        return (1,) * NEST, [(0,) * (NEST - 1) + (a.itemsize,) for a in arrays]
    pad = NEST - len(sizes)
    if pad < 0:
        return None
    return (1,) * pad + tuple(sizes), [(0,) * pad + tuple(k) for k in kept]


class Signature:
    """The parameters of one kernel, and how a call's operands become a record."""

    def __init__(self, name: str, twin: Callable[..., None]) -> None:
        self.name = name
        code = twin.__code__
        # The order of __annotations__ is no guide: some versions of Python list those before a "/" last.
        self.parameters: dict[str, Parameter] = {name: twin.__annotations__[name] for name in code.co_varnames[: code.co_argcount]}
        self.kinds = tuple(self.parameters.values())
        self.outputs = code.co_posonlyargcount  # a twin's outputs stand before the "/"
        self.nested = tuple(i for i, p in enumerate(self.kinds) if isinstance(p, Array) and p.layout == "elementwise")
        self.arrays = tuple(i for i, p in enumerate(self.kinds) if isinstance(p, Array))
        self.elementwise = self.nested == self.arrays

    def shown(self) -> inspect.Signature:
        """The parameters as Python's own tools show them; operands are given by position alone, which makes short calls shorter."""
        as_one = inspect.Parameter.POSITIONAL_ONLY
        return inspect.Signature([inspect.Parameter(name, as_one, annotation=kind) for name, kind in self.parameters.items()])

    def dtypes(self, operands: Sequence[Any]) -> str:
        """The dtypes of the array operands, as one word such as "f4f4i8": it names the compiled variant."""
        return "".join([operands[i].dtype.str[1:] for i in self.arrays])

    def variants(self) -> list[str]:
        """Every word that `dtypes` can return: one for each combination of dtypes that the signature allows."""
        words = {
            "".join([dtype.str[1:] for dtype in combination]): None
            for lead in KINDS["float"]
            for combination in product(*[(lead,) if self.kinds[i].kind == "float" else KINDS[self.kinds[i].kind] for i in self.arrays])
        }
        return list(words)

    def encode(self, operands: Sequence[Any]) -> list[int]:
        """The record of a call: its operands as 64-bit words."""
        words: list[int] = []
        if self.nested:
            sizes, strides = self._nest(operands)
            words.extend(sizes)
            rows = iter(strides)
        for parameter, value in zip(self.kinds, operands, strict=True):
            if isinstance(parameter, Number):
                if parameter.kind == "epilogue":
                    words.extend(_epilogue_words(value, operands[0].dtype.str[1:]))
                else:
                    words.append(value if parameter.kind == "int" else float_bits(value))
                continue
            words.append(value.__array_interface__["data"][0])
            if parameter.layout == "elementwise":
                words.extend(next(rows))
            else:
                words.extend(value.shape)
                if parameter.layout == "strided":
                    words.extend(value.strides)
        return words

    def _nest(self, operands: Sequence[Any]) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
        """The common loop nest of the elementwise operands. Raises ShapeError if there is none."""
        found = common_nest([operands[i] for i in self.nested])
        if found is None:
            arrays = f"arrays of shape {operands[0].shape} with these strides"
            raise ShapeError(f"{self.name}(): {arrays} need more than {NEST} nested loops, which is the most that is supported")
        return found

    def pointers(self) -> list[int]:
        """The places of the arrays' addresses in a record."""
        found = []
        place = NEST if self.nested else 0
        for parameter in self.kinds:
            if isinstance(parameter, Array):
                found.append(place)
                place += {"elementwise": NEST, "contiguous": len(parameter.dims), "strided": 2 * len(parameter.dims)}[parameter.layout]
            place += 1
        return found

    def validate(self, operands: Sequence[Any]) -> None:
        """Raise a typed error unless `operands` fit this signature."""
        if len(operands) != len(self.kinds):
            raise ArgumentError(f"{self.name}() takes {', '.join(self.parameters)}; got {len(operands)} operands")
        lead: np.ndarray[Any, Any] | None = None
        sizes: dict[str, int] = {}
        for (name, parameter), value in zip(self.parameters.items(), operands, strict=True):
            where = f"{self.name}(): {name}"
            if isinstance(parameter, Number):
                _check_number(where, parameter.kind, value)
                continue
            check_array(where, value)
            if value.dtype not in KINDS[parameter.kind]:
                raise DTypeError(f"{where} must have dtype {' or '.join(map(str, KINDS[parameter.kind]))}, got {value.dtype}")
            if parameter.kind == "float":
                lead = value if lead is None else lead
                if value.dtype != lead.dtype:
                    raise DTypeError(f"{where} has dtype {value.dtype}, the first array has {lead.dtype}; they must be equal")
            if parameter.layout == "elementwise":
                if not _broadcasts(value.shape, operands[0].shape):
                    raise ShapeError(f"{where} has shape {value.shape}, which does not broadcast to {operands[0].shape}")
                continue
            wanted = tuple(sizes.setdefault(d, n) for d, n in zip(parameter.dims, value.shape, strict=False))
            if value.ndim != len(parameter.dims) or value.shape != wanted:
                known = ", ".join(f"{d}={sizes[d]}" for d in parameter.dims if d in sizes)
                raise ShapeError(f"{where} must have shape ({', '.join(parameter.dims)}) with {known}, got {value.shape}")
            if parameter.layout == "contiguous" and not value.flags.c_contiguous:
                raise ShapeError(f"{where} must be C-contiguous, got strides {value.strides} for shape {value.shape}")
        if self.nested and operands[0].ndim > NEST:
            self._nest(operands)
        for name, value in zip(self.parameters, operands[: self.outputs], strict=False):
            if not value.flags.writeable:
                raise ShapeError(f"{self.name}(): {name} is an output and must be writeable")
            if overlaps_itself(value):
                raise ShapeError(f"{self.name}(): {name} is an output and must not repeat memory, got strides {value.strides}")
        names = list(self.parameters)
        for i, j, alike in self.pairs(operands):
            if np.shares_memory(operands[i], operands[j]) and not (alike and same_items(operands[i], operands[j])):
                allowed = f" unless they are the same view: {operands[i].strides} and {operands[j].strides}" if alike else ""
                raise ShapeError(f"{self.name}(): {names[i]} and {names[j]} must not share memory{allowed}")

    def pairs(self, operands: Sequence[Any]) -> list[tuple[int, int, bool]]:
        """Each output with each other array, by their numbers, and whether both may be the same items."""
        return [(i, j, self._may_be_one(i, j, operands[-1])) for i in range(self.outputs) for j in self.arrays if j > i]

    def _may_be_one(self, output: int, other: int, last: Any) -> bool:
        """Whether an output may be another operand of the same dimensions; `last` is the epilogue of a kernel that has one."""
        one, two = self.kinds[output], self.kinds[other]
        if other < self.outputs or one.dims != two.dims or two.apart is True:
            return False
        return not two.apart or (last[0] if isinstance(last, tuple) else last) not in two.apart


def _epilogue_words(epilogue: Any, dtype: str) -> list[int]:
    from ._epilogue import words  # which needs the registry, and that this module

    return words(epilogue, dtype)


def check_array(where: str, value: Any) -> None:
    """Raise DTypeError unless `value` is an array whose items are what they seem: a mask would not be looked at."""
    if type(value) is not np.ndarray and (not isinstance(value, np.ndarray) or isinstance(value, (np.ma.MaskedArray, np.matrix))):
        raise DTypeError(f"{where} must be a plain numpy array, got {type(value).__name__}")


def _check_number(where: str, kind: str, value: Any) -> None:
    """Raise a typed error unless `value` is a number of this kind that fits into a record."""
    if kind == "epilogue" and isinstance(value, tuple) and value:
        for place, part in enumerate(value):
            _check_number(f"{where}[{place}]", "float" if place else "int", part)
        return
    wanted, types = ACCEPTED[kind]
    if not isinstance(value, types):
        raise DTypeError(f"{where} must be {wanted}, got {shown(value)}")
    if kind == "float":
        if isinstance(value, int) and abs(value) > float_info.max:
            raise ArgumentError(f"{where} must fit into a float64, got {shown(value)}")
    elif not -WHOLE <= value < WHOLE:
        raise ArgumentError(f"{where} must fit into an int64, got {shown(value)}")


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    lead = len(to) - len(shape)
    return lead >= 0 and all(n in (1, m) for n, m in zip(shape, to[lead:], strict=True))


def float_bits(value: float) -> int:
    """The bits of a float64 as a signed 64-bit integer."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])
