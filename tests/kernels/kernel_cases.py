"""Operands for every kernel of the registry, made from its signature: sizes for its dimensions, values for its parameters, layouts.

Most parameters take ordinary numbers; the tables say which ones need others. A new kernel needs a row only if its operands do.
"""

from __future__ import annotations

import importlib
import itertools

import numpy as np
from fastnn.kernels import KERNELS
from fastnn.kernels._nest import Formula
from fastnn.kernels._signature import Number

EXTREMES = (1e4, -1e4, 0.0, -0.0, 88.0, -88.0, 30.0, -30.0, 1e-30, -1.0)
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 33, 67)
SMALL_SIZES = (1, 2, 3, 5, 8, 9, 13)  # for arrays of four dimensions
MAX_WINDOW = 3
SHAPES = (
    (),
    (0,),
    (1,),
    (2, 0, 3),
    (3,),
    (4,),
    (5,),
    (7,),
    (8,),
    (9,),
    (15,),
    (17,),
    (67,),
    (1000,),
    (3, 5),
    (4, 8),
    (17, 16),
    (60, 3),
    (2, 3, 1, 9),
)
LAYOUTS = ("contiguous", "strided", "transposed", "reversed")
EMPTY_DIMENSIONS = {"N", "O", "B", "M", "K"}  # these may be 0
NEED_DATA = {"batch_moments"}  # the mean of nothing is undefined
CONTIGUOUS = {("gemm", "c"), ("gemm", "base"), ("gemm", "extra")}  # strided parameters whose rows must be contiguous all the same
IGNORED = -100

NUMBERS = {
    "alpha": 1.5,
    "beta": 0.75,
    "correction": 0.5,
    "count": 12,
    "count_include_pad": 0,
    "delta": 0.75,
    "dilation_h": 2,
    "dilation_w": 1,
    "divisor": 0,
    "epilogue": 0,
    "eps": 2.0**-10,
    "first": 8,
    "groups": 2,
    "high": 0.75,
    "ignore_index": IGNORED,
    "kernel_h": 3,
    "kernel_w": 3,
    "label_smoothing": 0.125,
    "length": 5,
    "low": -0.5,
    "margin": 1.0,
    "max_norm": 2.0,
    "max_val": 1.5,
    "min_val": -1.0,
    "momentum": 0.25,
    "negative_slope": 0.125,
    "p": 0.25,
    "pad": 2,
    "pad_h": 2,
    "pad_w": 1,
    "padding_index": 0,
    "rows": 3,
    "scale": 1.25,
    "site": 3,
    "size": 3,
    "stride_h": 2,
    "stride_w": 3,
    "threshold": 2.0,
}


def normal(rng, shape, sizes):
    return rng.normal(size=shape)


def wide(rng, shape, sizes):
    """Ordinary numbers, and among them those at which formulas break."""
    values = 4 * rng.normal(size=shape)
    values.flat[: len(EXTREMES)] = rng.permutation(EXTREMES)[: values.size]
    return values


def positive(rng, shape, sizes):
    return rng.uniform(0.2, 5.0, shape)


def probability(rng, shape, sizes):
    return rng.uniform(0.02, 0.98, shape)


def small(rng, shape, sizes):
    return rng.uniform(0.02, 0.1, shape)


def near_one(rng, shape, sizes):
    return rng.uniform(0.9, 0.98, shape)


def sign(rng, shape, sizes):
    return rng.choice([-1.0, 1.0], shape)


def switch(rng, shape, sizes):
    return rng.choice([0.0, 1.0], shape)


def count(rng, shape, sizes):
    return rng.integers(0, 100, shape)


def labels(rng, shape, sizes):
    return np.where(rng.uniform(size=shape) < 0.2, IGNORED, rng.integers(0, sizes["C"], shape)) if sizes["C"] else np.full(shape, IGNORED)


def below(dimension):
    return lambda rng, shape, sizes: rng.integers(0, max(sizes[dimension], 1), shape)


def pixel(rng, shape, sizes):
    return rng.integers(0, sizes["H"] * sizes["W"], shape)


def order(rng, shape, sizes):
    return rng.permutation(sizes["N"])


def cursor(rng, shape, sizes):
    return np.array([rng.integers(0, sizes.get("N", 0) - sizes.get("B", 0) + 1), rng.integers(0, sizes.get("S", 1))])


# What a parameter holds: by kernel and name, by family and name, or by name; else by its kind.
VALUES = {
    ("activations", "x"): wide,
    ("sigmoid_grad", "y"): probability,
    ("tanh_grad", "y"): probability,
    ("divide", "b"): positive,
    ("log", "x"): positive,
    ("sqrt", "x"): positive,
    ("power", "a"): positive,
    ("bce", "x"): probability,
    ("bce", "target"): probability,
    ("bce_grad", "x"): probability,
    ("bce_grad", "target"): probability,
    ("bce_with_logits", "x"): wide,
    ("bce_with_logits", "target"): probability,
    ("bce_with_logits_grad", "x"): wide,
    ("bce_with_logits_grad", "target"): probability,
    ("kl_div", "target"): probability,
    ("hinge", "target"): sign,
    ("hinge_grad", "target"): sign,
    ("softmax", "x"): wide,
    ("log_softmax", "x"): wide,
    ("cross_entropy", "x"): wide,
    ("cross_entropy_grad", "lse"): positive,
    ("embedding", "index"): below("V"),
    ("embedding_grad", "index"): below("V"),
    ("scatter_index", "index"): below("R"),
    ("put_indices", "index"): pixel,
    ("take_indices", "index"): pixel,
    ("metrics", "labels"): count,
    ("add_errors", "sums"): positive,
    ("images", "position"): below("S"),
    ("lion", "keep"): near_one,
    ("optimiser_factors", "momentum"): near_one,
    **{("optimisers", name): positive for name in ("square_avg", "exp_avg_sq", "max_exp_avg_sq", "acc_delta", "exp_inf", "sum")},
    **{("optimisers", name): small for name in ("gain1", "gain2", "offset", "step_size", "grad_avg")},
    **{(None, name): positive for name in ("rstd", "var", "pos_weight", "norm", "carry", "scale")},
    **{(None, name): small for name in ("lr", "eps", "weight_decay", "dampening", "lr_decay", "momentum_decay", "decay")},
    **{(None, name): near_one for name in ("beta1", "beta2", "alpha", "rho", "mu_product", "fade", "keep")},
    **{(None, name): switch for name in ("maximize", "nesterov", "decoupled_weight_decay")},
    (None, "sign"): sign,
    (None, "step"): count,
    (None, "target"): None,
    (None, "order"): order,
    (None, "cursor"): cursor,
}
KINDS = {"float": normal, "double": normal, "int": count, "uint": count, "bool": switch, "any": count}


def values(kernel, name, parameter):
    """The function that makes the values of one array parameter."""
    if parameter.kind == "int" and name == "target":
        return labels
    for place in (kernel.name, kernel.family, None):
        if VALUES.get((place, name)):
            return VALUES[place, name]
    return KINDS[parameter.kind]


def variants():
    """Every kernel with every combination of dtypes that it allows."""
    return [(name, dtypes) for name, kernel in KERNELS.items() for dtypes in kernel.signature.variants()]


def compiled(kernel):
    """The compiled function or formula of a kernel."""
    return getattr(importlib.import_module(f"fastnn.kernels.compiled.{kernel.family}"), kernel.name)


def reads_outputs(kernel):
    """Whether an elementwise kernel's results depend on what its outputs held before."""
    implementation = compiled(kernel)
    assert isinstance(implementation, Formula)
    return bool(set(implementation.arguments) & set(list(kernel.signature.parameters)[: kernel.signature.outputs]))


class Case:
    """One call of a kernel: its operands, each inside a larger array so that stray writes are found."""

    def __init__(self, kernel, dtypes, seed, layout="contiguous", shape=None, broadcast=False, empty=()):
        self.kernel = kernel
        rng = np.random.default_rng(seed)
        signature = kernel.signature
        codes = iter(dtypes[i : i + 2] for i in range(0, len(dtypes), 2))
        sizes = _sizes(kernel, seed, rng, empty)
        self.operands, self.bases = [], []
        for i, (name, parameter) in enumerate(signature.parameters.items()):
            if isinstance(parameter, Number):
                self.operands.append(NUMBERS[name])
                continue
            free = parameter.layout in ("elementwise", "strided") and (kernel.name, name) not in CONTIGUOUS
            own = shape if parameter.layout == "elementwise" else tuple(sizes[d] for d in parameter.dims)
            if broadcast and i >= signature.outputs and parameter.layout == "elementwise":
                own = _broadcast(own, rng)
            view, base = _place(
                own,
                np.dtype(next(codes)),
                LAYOUTS[(LAYOUTS.index(layout) + i) % 4 if layout != "contiguous" else 0] if free else "contiguous",
            )
            base[...] = 1
            view[...] = values(kernel, name, parameter)(rng, own, sizes)
            if i >= signature.outputs:
                view.flags.writeable = False
            self.operands.append(view)
            self.bases.append(base)

    @property
    def outputs(self):
        return self.operands[: self.kernel.signature.outputs]

    def reference(self):
        """What the twin makes of these operands in float64."""
        operands = [o.copy() if isinstance(o, np.ndarray) else o for o in self.operands]
        for i, parameter in enumerate(self.kernel.signature.kinds):
            if not isinstance(parameter, Number) and parameter.kind == "float":
                operands[i] = operands[i].astype(np.float64)
        self.kernel.twin(*operands)
        return operands[: self.kernel.signature.outputs]

    def run(self, dtypes, parts=1):
        """Run the compiled kernel, part by part, on fresh outputs; return them. Everything else must stay as it was."""
        signature = self.kernel.signature
        untouched = [base.copy() for base in self.bases]
        before = [o.copy() for o in self.outputs]
        words = signature.encode(self.operands)
        record = np.array(words, np.int64)
        for part in reversed(range(parts)):
            self.kernel.entry(dtypes)(record.ctypes.data, part, parts)
        results = [o.copy() for o in self.outputs]
        for output, value in zip(self.outputs, before, strict=True):
            output[...] = value
        for name, base, old in zip(signature.parameters, self.bases, untouched, strict=False):
            assert base.tobytes() == old.tobytes(), f"{self.kernel.name} wrote where it must not, at {name}"
        return results


def _sizes(kernel, seed, rng, none=()):
    """A size for each named dimension: seed 0 makes them 1, seed 1 makes them 0 where that has a meaning, and those of `none` are 0."""
    arrays = [p for p in kernel.signature.kinds if not isinstance(p, Number)]
    choices = SIZES if max(len(p.dims) for p in arrays) < 4 else SMALL_SIZES
    sizes = {}
    for d in dict.fromkeys(itertools.chain(*[p.dims for p in arrays])):
        empty = seed == 1 and d in EMPTY_DIMENSIONS and kernel.name not in NEED_DATA
        sizes[d] = int(d) if d.isdigit() else 1 if seed == 0 else 0 if empty or d in none else int(rng.choice(choices))
    parameters = kernel.signature.parameters
    if "P" in sizes and "rows" in parameters:  # a sum for so many rows each
        sizes["P"] = -(-sizes["N"] // NUMBERS["rows"])
    if kernel.name == "gemm":  # sums of all rows, or none
        sizes["S"] = int(rng.choice((0, sizes["M"])))
    if "cursor" in parameters and "N" in sizes:
        sizes["N"] += sizes["B"]
    if kernel.family == "metrics" and "C" in sizes:  # at least two classes, and one more column
        sizes["K"] = max(sizes["C"], 2) + 1
    if "groups" in parameters:
        sizes["I"], sizes["O"] = NUMBERS["groups"] * sizes["IG"], NUMBERS["groups"] * sizes["O"]
    if "stride_h" in parameters:
        for axis in "HW":
            sizes[f"K{axis}"] = min(sizes.get(f"K{axis}", MAX_WINDOW), MAX_WINDOW)
            sizes[f"O{axis}"] = _windows(axis.lower(), sizes[axis], sizes[f"K{axis}"], parameters)
    if "H0" in sizes:
        for axis in "HW":
            sizes[axis] = min(sizes[axis], sizes[f"{axis}0"] + 2 * NUMBERS["pad"])
    return sizes


def _windows(axis, length, window, parameters):
    """How many windows fit into an axis, at the strides, pads and dilations of NUMBERS."""
    window = NUMBERS[f"kernel_{axis}"] if f"kernel_{axis}" in parameters else window
    dilation = NUMBERS[f"dilation_{axis}"] if f"dilation_{axis}" in parameters else 1
    return (length + 2 * NUMBERS[f"pad_{axis}"] - dilation * (window - 1) - 1) // NUMBERS[f"stride_{axis}"] + 1


def _broadcast(shape, rng):
    """A shape that broadcasts to `shape`: some sizes replaced by 1, some leading ones left out."""
    own = tuple(1 if rng.uniform() < 0.5 else n for n in shape)
    return own[rng.integers(0, len(own) + 1) :]


def _place(shape, dtype, layout):
    """An array of `shape` in some layout, and the larger array that it is a view of."""
    if layout == "contiguous":
        size = int(np.prod(shape))
        base = np.empty(size + 32, dtype)
        return base[16 : 16 + size].reshape(shape), base
    if layout == "transposed":
        base = np.empty(shape[::-1], dtype)
        return base.T, base
    base = np.empty([2 * n + 1 for n in shape], dtype)
    axes = [slice(1, None, 2) if layout == "strided" else slice(-2, None if n else 0, -2) for n in shape]
    return base[(*axes, ...)], base
