"""Tensors and the tape.

Every operation on tensors computes its result at once and, where a gradient may be asked for later, notes beside it which tensors
it came from and one rule for each of them: given the gradient dy of the result, the rule returns the gradient of that input.
`Tensor.backward` walks these notes from the result to the leaves and applies the chain rule; where a tensor was used more than
once, its gradients add up. That is all of backpropagation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from . import kernels
from ._arguments import function as callable_
from ._arguments import items, whole
from .errors import ArgumentError, DTypeError, ShapeError, StateError, shown
from .unfilled import Unfilled, no_values, plain

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Rule: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"  # (result y, its gradient dy) -> gradient of one input
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
DTYPES = (*FLOATS, np.dtype(np.int64), np.dtype(np.uint8), np.dtype(np.bool_))


class _Mode(threading.local):
    grad_enabled = True
    nesting = 0  # how many gradients of functions are being taken around this point
    run = staticmethod(kernels.run)
    guard = staticmethod(lambda array, check, data_only=False: check(array))  # look at values: at once, or on each run of a program
    tensor: Callable[[Array], Tensor]  # what results become


mode = _Mode()


def run(kernel: str, *operands: Any) -> None:
    """Run `kernel` on arrays: at once, or, while a program is being recorded, when that program runs."""
    mode.run(kernel, *operands)


class Tensor:
    """An array that remembers how it was computed.

    Parameters
    ----------
    data
        The values, of any shape; float32 and float64 can carry gradients, int64, uint8 and bool cannot.
    requires_grad
        Whether `backward` shall leave the gradient of this tensor in `grad`.
    """

    __slots__ = ("__weakref__", "_home", "_parents", "data", "grad", "requires_grad")
    __array_priority__ = 100.0  # so that `ndarray + tensor` comes here

    def __init__(self, data: Array, requires_grad: bool = False) -> None:
        if requires_grad and data.dtype not in FLOATS:
            raise DTypeError(f"requires_grad: only float32 and float64 tensors have gradients, got {data.dtype}")
        self.data = data
        self.requires_grad = requires_grad
        self.grad: Tensor | None = None
        self._parents: Sequence[tuple[Tensor, Rule]] = ()
        self._home: Array | None = None  # where an optimiser wants this leaf's gradient to be written

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.data.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def is_leaf(self) -> bool:
        """True for a tensor that no recorded operation produced."""
        return not self._parents

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("len(): a tensor without dimensions has no length")
        return self.shape[0]

    def numpy(self) -> Array:
        """The values as a NumPy array that shares memory with this tensor."""
        self._needs_values("numpy()")
        return self.data

    def item(self) -> Any:
        """The single value of a tensor with one element, as a Python number."""
        self._needs_values("item()")
        if self.size != 1:
            raise ShapeError(f"item(): the tensor must have one element, got shape {self.shape}")
        return self.data.item()

    def detach(self) -> Tensor:
        """The same values without their history."""
        return record(self.data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        self._needs_values("bool()")
        return bool(self.data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        self._needs_values("conversion to a NumPy array")
        return np.array(self.data, dtype=dtype, copy=copy)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """What NumPy's functions make of the values."""
        return function(*_as_arrays(args), **_as_arrays(kwargs))

    def __repr__(self) -> str:
        body = np.array2string(self.data, precision=4, threshold=60, separator=", ", prefix="tensor(")
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        grad = ", requires_grad=True" if self.requires_grad else ""
        return f"tensor({body}{dtype}{grad})"

    def _needs_values(self, what: str) -> None:
        if mode.run is not kernels.run:
            no_values(what)

    def backward(self, gradient: Tensor | Array | None = None) -> None:
        """Add to `grad` of every leaf that requires it the gradient of this tensor.

        Parameters
        ----------
        gradient
            dL/dself, of this tensor's shape; may be left out for a single element, where it is 1.

        Raises
        ------
        StateError
            If no operation that leads here was recorded.
        ShapeError
            If `gradient` is left out for more than one element, or has another shape.
        """
        if not self.requires_grad:
            raise StateError("backward(): this tensor depends on nothing that requires a gradient")
        if gradient is None:
            if self.size != 1:
                raise ShapeError(f"backward(): gradient must have the shape of a result with more than one element, {self.shape}, got None")
            gradient = Tensor(np.ones(self.shape, self.dtype))
        dy = as_tensor(gradient, self, "gradient")
        if dy.shape != self.shape:
            raise ShapeError(f"backward(): gradient must have shape {self.shape}, got {dy.shape}")
        with no_grad():
            for leaf, gradient in gradients(self, dy):
                leaf.accumulate_grad(gradient)

    def accumulate_grad(self, gradient: Tensor) -> None:
        """Add `gradient` to `grad`."""
        if self.grad is None:
            home = np.empty(self.shape, self.dtype) if self._home is None else self._home
            run("copy", home, gradient.data)
            self.grad = mode.tensor(home)
        else:
            run("add", self.grad.data, self.grad.data, gradient.data)

    if TYPE_CHECKING:  # attached by `ops`, which knows how to compute them

        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, exponent: Any) -> Tensor: ...
        def __rpow__(self, base: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def exp(self) -> Tensor: ...
        def log(self) -> Tensor: ...
        def sin(self) -> Tensor: ...
        def cos(self) -> Tensor: ...
        def sqrt(self) -> Tensor: ...
        def abs(self) -> Tensor: ...
        def pow(self, exponent: Any) -> Tensor: ...
        def __iter__(self) -> Iterator[Tensor]: ...
        def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor: ...
        def broadcast_to(self, *shape: Any) -> Tensor: ...
        def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]: ...
        def clip(self, low: float | None = None, high: float | None = None) -> Tensor: ...
        def contiguous(self) -> Tensor: ...
        def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor: ...
        def matmul(self, other: Any) -> Tensor: ...
        def permute(self, *dims: Any) -> Tensor: ...
        def relu(self) -> Tensor: ...
        def sigmoid(self) -> Tensor: ...
        def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]: ...
        def squeeze(self, dim: Any = None) -> Tensor: ...
        def tanh(self) -> Tensor: ...
        def unsqueeze(self, dim: int) -> Tensor: ...
        def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def max(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def min(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def var(self, axis: Any = None, keepdims: bool = False, correction: int = 1) -> Tensor: ...
        def reshape(self, *shape: Any) -> Tensor: ...
        def transpose(self, dim0: int, dim1: int) -> Tensor: ...
        def astype(self, dtype: Any) -> Tensor: ...

        @property
        def T(self) -> Tensor: ...


_Mode.tensor = Tensor


def _as_arrays(x: Any) -> Any:
    """`x` with arrays in the place of tensors, also within lists, tuples and dictionaries."""
    if isinstance(x, Tensor):
        return np.asarray(x)
    if isinstance(x, (tuple, list)):
        return type(x)([_as_arrays(item) for item in x])
    return {name: _as_arrays(item) for name, item in x.items()} if isinstance(x, dict) else x


def gradients(result: Tensor, dy: Tensor, ends: Sequence[Tensor] = ()) -> Iterator[tuple[Tensor, Tensor]]:
    """Walk the tape backwards from `result`, whose gradient is `dy`, and yield each leaf with its gradient.

    A leaf's gradient is complete when it is yielded. Nothing is stored in the leaves. The tensors `ends` count as leaves.
    """
    from .ops.reduce import sum_to  # the one op that the chain rule itself needs: it undoes broadcasting

    filled = mode.tensor is Tensor
    pending = {id(result): dy}
    last = {id(x) for x in ends}
    for y in reversed(topological_order(result)):
        if id(y) not in pending:
            continue  # nothing but what lies behind an end leads here
        dy = pending.pop(id(y))
        if y.is_leaf or id(y) in last:
            yield y, dy
            continue
        for x, rule in y._parents:
            dx = rule(y, dy)
            dx = dx if dx.shape == x.shape else sum_to(dx, x.shape)
            if not (filled or dx.requires_grad):
                dx = mode.tensor(dx.data)  # which a rule of somebody's own may have made
            pending[id(x)] = dx if id(x) not in pending else pending[id(x)] + dx


def topological_order(result: Tensor) -> list[Tensor]:
    """Every tensor that requires a gradient and that `result` was computed from, each one after its inputs."""
    order: list[Tensor] = []
    seen = {id(result)}
    path = [(result, iter(result._parents))]
    while path:
        y, inputs = path[-1]
        for x, _ in inputs:
            if id(x) not in seen:
                seen.add(id(x))
                path.append((x, iter(x._parents)))
                break
        else:
            order.append(y)
            path.pop()
    return order


def record(data: Array, *parents: tuple[Tensor, Rule]) -> Tensor:
    """The result of an operation: `data`, with the gradient rules of those inputs that require a gradient."""
    y = mode.tensor(data)
    if mode.grad_enabled and any(x.requires_grad for x, _ in parents):
        y.requires_grad = True
        y._parents = tuple([parent for parent in parents if parent[0].requires_grad])
    return y


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`.

    Parameters
    ----------
    data
        Anything that NumPy turns into an array. Python floats become float32, as in PyTorch; arrays keep their dtype.
    dtype
        float32, float64, int64, uint8 or bool.
    requires_grad
        Whether `backward` shall compute this tensor's gradient.

    Raises
    ------
    DTypeError
        If the values or `dtype` are of no supported dtype.
    ShapeError
        If `data` has rows of different lengths.
    """
    if isinstance(data, (Tensor, Unfilled)):
        as_tensor(data)._needs_values("tensor()")
    return Tensor(to_array(data, dtype).copy(), requires_grad)


def one_of(known: tuple[np.dtype[Any], ...], dtype: Any, owner: str = "") -> np.dtype[Any]:
    """`dtype` as one of the `known` dtypes. Raises DTypeError, which names the `owner` of the argument."""
    try:
        kind: np.dtype[Any] | None = np.dtype(dtype)
    except TypeError:
        kind = None
    if kind is None or kind not in known:
        wanted = " or ".join(", ".join(map(str, known)).rsplit(", ", 1))
        raise DTypeError(f"{owner}dtype must be {wanted}, got {dtype if kind is None else kind}")
    return kind


def as_array(data: Any, name: str) -> Array:
    """`data`, the argument called `name`, as an array of whatever dtype.

    Raises ShapeError for rows of different lengths, DTypeError for a masked array, since nobody would look at its mask.
    """
    if type(data) is not np.ndarray and isinstance(data, np.ndarray) and isinstance(data, np.ma.MaskedArray):
        raise DTypeError(f"{name} must be an array without a mask, got a MaskedArray")
    try:
        return np.asarray(data)
    except ValueError:
        raise ShapeError(f"{name} must have rows of one length, got {shown(data)}") from None


def to_array(data: Any, dtype: Any = None, name: str = "data") -> Array:
    """`data`, the argument called `name`, as an array of a supported dtype; arrays and tensors that fit are not copied."""
    if isinstance(data, Tensor):
        data = data.data
    array = as_array(plain(data), name)
    if dtype is None and not isinstance(data, (np.ndarray, np.generic)) and array.dtype == np.float64:
        dtype = np.float32
    if dtype is None and array.dtype.kind in "iu" and array.dtype != np.uint8:
        dtype = np.int64
    if dtype is not None:
        dtype = one_of(DTYPES, dtype)
        if array.dtype.kind not in "biuf":
            raise DTypeError(f"{name} must be numbers, got an array of dtype {array.dtype}")
        if isinstance(data, Unfilled) and array.dtype != dtype:
            no_values("conversion to another dtype")
        array = array.astype(dtype, copy=False)
    if array.dtype not in DTYPES:
        raise DTypeError(f"{name} must have one of the dtypes {', '.join(map(str, DTYPES))}, got {array.dtype}")
    return array


def as_tensor(x: Any, like: Tensor | None = None, name: str = "operand") -> Tensor:
    """`x` as a tensor. Plain numbers and arrays take on the dtype of `like`; a tensor of another dtype is an error."""
    if isinstance(x, Tensor):
        if like is not None and x.dtype != like.dtype:
            raise DTypeError(f"{name} has dtype {x.dtype}, it must be {like.dtype}; convert one of them with astype()")
        return x
    return Tensor(to_array(x, None if like is None else like.dtype, name))


def as_float(x: Any, name: str = "input") -> Tensor:
    """`x` as a float tensor. Raises DTypeError if it holds anything else."""
    t = as_tensor(x, name=name)
    if t.dtype not in FLOATS:
        advice = "; bytes of images become numbers from 0 to 1 by x.astype('float32') / 255" if t.dtype == np.uint8 else ""
        raise DTypeError(f"{name} must be float32 or float64, got {t.dtype}{advice}")
    return t


@contextmanager
def guards_noted() -> Iterator[list[tuple[Array, Callable[[Array], None]]]]:
    """Note, in the body of a `with` statement, which arrays have their values looked at, and how, so that others can be looked at alike."""
    found: list[tuple[Array, Callable[[Array], None]]] = []

    def guard(array: Array, check: Callable[[Array], None], data_only: bool = False) -> None:
        found.append((array, check))
        check(array)

    before = mode.guard
    mode.guard = guard
    try:
        yield found
    finally:
        mode.guard = before


@contextmanager
def grad_mode(enabled: bool) -> Iterator[None]:
    """Run the body of a `with` statement with or without recording gradients."""
    before = mode.grad_enabled
    mode.grad_enabled = enabled
    try:
        yield
    finally:
        mode.grad_enabled = before


def no_grad() -> AbstractContextManager[None]:
    """Run the body of a `with` statement without recording gradients."""
    return grad_mode(False)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded for gradients in this thread."""
    return mode.grad_enabled


def value_and_grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., tuple[Tensor, Any]]:
    """A function that returns what `function` returns, and its gradient.

    Within another such function, or where an argument itself requires a gradient, both results can be differentiated further.

    Parameters
    ----------
    function
        Takes tensors (or arrays, or numbers) and returns a tensor with one element.
    argnums
        The position of the argument, or of several, to differentiate by; of several, the gradients come as a tuple.

    Raises
    ------
    DTypeError
        If `function` is none, or `argnums` holds no ints. The function that is returned raises ArgumentError if there is no such argument,
        DTypeError if it holds no floats, ShapeError if the result has more than one element.
    """
    callable_("function", function)
    single = isinstance(argnums, (int, np.integer))
    positions = items("argnums", [argnums] if single else argnums, whole, "an int, or ints")
    if not positions:
        raise ArgumentError("argnums must name at least one argument, got none")

    def both(*args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        values = list(args)
        on_tape = mode.grad_enabled and (mode.nesting > 0 or any(isinstance(a, Tensor) and a.requires_grad for a in args))
        for i in positions:
            if not -len(values) <= i < len(values):
                raise ArgumentError(f"argnums must name positional arguments, of which the call has {len(values)}, got {i}")
            values[i] = _variable(as_float(values[i], f"argument {i}"))
        mode.nesting += 1
        try:
            with grad_mode(True):
                result = function(*values, **kwargs)
        finally:
            mode.nesting -= 1
        if not isinstance(result, Tensor) or result.size != 1:
            got = f"shape {result.shape}" if isinstance(result, Tensor) else type(result).__name__
            raise ShapeError(f"grad: the function must return a tensor with one element, got {got}")
        wanted = [values[i] for i in positions]
        found: dict[int, Tensor] = {}
        if result.requires_grad:
            with grad_mode(on_tape):
                found = {id(x): dx for x, dx in gradients(result, Tensor(np.ones(result.shape, result.dtype)), wanted)}
        grads = tuple(found.get(id(x), Tensor(np.zeros_like(x.data))) for x in wanted)
        return result if on_tape else result.detach(), grads[0] if single else grads

    return both


def _variable(x: Tensor) -> Tensor:
    """A new tensor with the values of `x` to differentiate by; what depends on it depends on `x`, too, if that is on a tape."""
    if mode.grad_enabled and x.requires_grad:
        return record(x.data, (x, lambda y, dy: dy))
    return Tensor(x.data, requires_grad=True)


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the gradient of `function`, a scalar function of its arguments.

    `argnums` is that of `value_and_grad`, and so are the errors that are raised.


    >>> grad(lambda x: (x**2).sin())(3.0)  # cos(x^2) 2x
    """
    both = value_and_grad(function, argnums)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]
