"""Kernels through Numba's public functions and its own cache, for a Numba whose internals are not those that `_compiler` knows.

Slower to start (each process imports Numba and asks its cache), but the same machine code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core import types
from numba.core.typing.templates import signature as typing_signature
from numba.extending import intrinsic

from ._compiler import argument_types, unpacked
from ._signature import Signature


def address(signature: Signature, dtypes: str, kernel: Callable[..., None]) -> tuple[int, Any]:
    """The address of an entry `void (words, part, parts)` for a structured kernel, and what must be kept while it is used."""
    argtypes = argument_types(signature, dtypes)
    compiled = numba.njit(cache=True, error_model="numpy", nogil=True)(kernel)

    @intrinsic
    def arguments(typingctx: Any, record: Any) -> Any:
        result = types.Tuple(argtypes[1:])

        def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
            return context.make_tuple(builder, result, unpacked(signature, context, builder, values[0], argtypes))

        return typing_signature(result, record), emit

    def entry(record: Any, part: int, parts: int) -> None:
        compiled((part, parts), *arguments(record))

    callback = numba.cfunc(types.void(types.CPointer(types.int64), types.int64, types.int64))(entry)
    return callback.address, callback
