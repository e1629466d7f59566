"""Every compiled kernel computes what its NumPy twin computes, whatever the sizes, layouts and number of workers."""

import inspect
import itertools
import pkgutil

import numpy as np
import pytest
from calls import in_parts
from fastnn.kernels import KERNELS, _columns, _loader, _registry
from fastnn.kernels import compiled as compiled_families
from fastnn.kernels._nest import Formula
from fastnn.kernels._signature import Number
from fastnn.kernels.reference import FAMILIES
from kernel_cases import LAYOUTS, SHAPES, Case, compiled, reads_outputs, variants

from fastnn import kernels
from fastnn.errors import ShapeError

# The largest error, as a multiple of 1 + |reference|, the reference being the twin in float64; where a result is a sum, whose terms may
# cancel, of 1 + the largest |reference|.
BOUND = {"f4": 2.0**-21, "f8": 1e-12}
ELEMENTWISE = [v for v in variants() if KERNELS[v[0]].signature.nested]
STRUCTURED = [v for v in variants() if not KERNELS[v[0]].signature.nested]
LEAD = {"f4": np.float32, "f8": np.float64}
ROW_FAMILIES = ("softmax", "losses", "normalisation", "batch_norm", "reductions")
# Row kernels, and the sizes that may be 0. An index into nothing points nowhere, and some sum there must be.
EMPTY = [
    (name, dtypes, dimension)
    for name, dtypes in STRUCTURED
    if KERNELS[name].family in ROW_FAMILIES
    for dimension in sorted({d for k in KERNELS[name].signature.kinds if not isinstance(k, Number) for d in k.dims})
    if (name, dimension) != ("scatter_index", "R") and dimension != "P"
]


def assert_close(kernel, got, wanted):
    for name, y, reference in zip(kernel.signature.parameters, got, wanted, strict=False):
        if y.dtype.kind != "f":
            np.testing.assert_array_equal(y, reference, err_msg=f"{kernel.name}: {name}")
            continue
        scale = np.abs(reference) if kernel.signature.nested else np.max(np.abs(reference), initial=0)
        allowed = BOUND[y.dtype.str[1:]] * (1 + scale)
        assert np.isfinite(reference).all(), f"{kernel.name}: {name} is not finite"
        excess = np.max(np.abs(y - reference) / allowed, initial=0)
        assert excess <= 1, f"{kernel.name}: {name} of shape {y.shape} is off by {excess:.1f} times what is allowed"


def check(case, dtypes):
    whole = case.run(dtypes)
    assert_close(case.kernel, whole, case.reference())
    for y, again in zip(whole, case.run(dtypes, parts=3), strict=True):
        assert y.tobytes() == again.tobytes(), "the result depends on how the work is divided"


@pytest.mark.parametrize(("name", "dtypes"), ELEMENTWISE)
def test_elementwise_kernels_equal_their_twins(name, dtypes):
    for seed, shape in enumerate(SHAPES):
        check(Case(KERNELS[name], dtypes, seed, shape=shape), dtypes)
        check(Case(KERNELS[name], dtypes, seed, LAYOUTS[1 + seed % 3], shape, broadcast=seed % 2 == 1), dtypes)


@pytest.mark.parametrize(("name", "dtypes"), STRUCTURED)
def test_structured_kernels_equal_their_twins(name, dtypes):
    for seed in range(12):
        check(Case(KERNELS[name], dtypes, seed, LAYOUTS[seed % 4]), dtypes)


@pytest.mark.parametrize(("name", "dtypes", "dimension"), EMPTY)
def test_row_kernels_write_what_their_twins_write_where_a_dimension_is_empty(name, dtypes, dimension):
    case = Case(KERNELS[name], dtypes, seed=4, empty=(dimension,))
    for parts in (1, 3):
        for y, wanted in zip(case.run(dtypes, parts), case.reference(), strict=True):
            np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "dtypes"), [v for v in STRUCTURED if KERNELS[v[0]].family == "normalisation" and "grad" in v[0]])
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_rows_that_belong_to_no_sum_get_their_gradients_as_well(name, dtypes, rows):
    case = Case(KERNELS[name], dtypes, seed=4)
    case.operands[-1] = rows
    assert rows * len(case.operands[1]) < len(case.operands[0])
    assert_close(case.kernel, case.run(dtypes), case.reference())
    for y, again in zip(case.run(dtypes), case.run(dtypes, parts=3), strict=True):
        assert y.tobytes() == again.tobytes()


@pytest.mark.parametrize(("name", "dtypes"), [v for v in ELEMENTWISE if not reads_outputs(KERNELS[v[0]])])
def test_an_elementwise_output_may_be_one_of_the_inputs(name, dtypes):
    kernel = KERNELS[name]
    case = Case(kernel, dtypes, seed=5, shape=(5, 13))
    wanted = case.run(dtypes)[0]
    for i, operand in enumerate(case.operands[1:], start=1):
        if isinstance(operand, np.ndarray) and operand.dtype == wanted.dtype and kernel.signature.outputs == 1:
            operands = list(case.operands)
            operands[0] = operands[i] = operand.copy()
            kernels.run(name, *operands)
            np.testing.assert_array_equal(operands[0], wanted)


def overlaid(case, output, other):
    """The operands of a case twice: with an output that lies where another operand does, if that is allowed, and apart from it."""
    signature, before = case.kernel.signature, case.operands[other]
    if before.size != case.operands[output].size or before.dtype != case.operands[output].dtype or not before.size:
        return None
    together, apart = ([x.copy() if isinstance(x, np.ndarray) else x for x in case.operands] for _ in range(2))
    together[output] = together[other].reshape(together[output].shape)
    apart[output][...] = before.reshape(apart[output].shape)
    try:
        signature.validate(together)
    except ShapeError:
        return None
    return together, apart


@pytest.mark.parametrize("name", [name for name, kernel in KERNELS.items() if not kernel.signature.nested])
def test_a_structured_output_may_be_an_operand_unless_that_is_refused(name):
    kernel = KERNELS[name]
    outputs, dtypes = kernel.signature.outputs, kernel.signature.variants()[0]
    for seed in range(14):
        case = Case(kernel, dtypes, seed)
        for output, other in itertools.product(range(outputs), kernel.signature.arrays[outputs:]):
            for how in ("twin", 1, 3):
                if (found := overlaid(case, output, other)) is None:
                    break
                together, apart = found
                kernel.twin(*apart)
                if how == "twin":
                    kernel.twin(*together)
                else:
                    in_parts(name, together, how)
                for y, wanted in zip(together[:outputs], apart, strict=False):
                    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-4, err_msg=f"{output} on {other}, {how}")


@pytest.mark.parametrize("name", KERNELS)
def test_a_compiled_kernel_has_the_parameters_of_its_twin(name):
    kernel = KERNELS[name]
    implementation = compiled(kernel)
    parameters = list(kernel.signature.parameters)
    if isinstance(implementation, Formula):
        assert set(implementation.arguments) <= set(parameters)
        assert set(parameters[kernel.signature.outputs :]) <= set(implementation.arguments)
    else:
        first, *rest = inspect.signature(implementation).parameters
        assert first == "team"
        assert rest == parameters


@pytest.mark.parametrize("family", [f.__name__.rpartition(".")[2] for f in FAMILIES])
def test_every_compiled_kernel_has_a_twin(family):
    module = __import__(f"{compiled_families.__name__}.{family}", fromlist=["*"])
    formulas = {name for name, value in vars(module).items() if isinstance(value, Formula)}
    functions = {
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and next(iter(inspect.signature(value).parameters), "") == "team"
    }
    twins = {name for name, kernel in KERNELS.items() if kernel.family == family}
    assert {name for name in formulas | functions if not name.startswith("_")} == twins


def test_there_is_a_file_of_compiled_kernels_for_each_family():
    files = {m.name for m in pkgutil.iter_modules(compiled_families.__path__)}
    assert {f.__name__.rpartition(".")[2] for f in FAMILIES} <= files


@pytest.mark.parametrize("offset", [0, 3])
def test_results_that_go_past_the_caches_arrive(offset):
    count = (17 << 20) // 4 + 5
    x = np.random.default_rng(0).standard_normal(count + offset).astype(np.float32)[offset:]
    y = np.zeros(count + 2 * offset, np.float32)[2 * offset :]
    for workers in (1, 2):
        with kernels.threads(workers):
            kernels.negative(y, x)
        np.testing.assert_array_equal(y, -x)
    misaligned = np.zeros(4 * count + 4, np.uint8)[1:-3].view(np.float32)
    kernels.negative(misaligned, x)
    np.testing.assert_array_equal(misaligned, -x)
    kernels.negative(x, x)
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", ["reduce_max", "reduce_min"])
def test_extremes_are_found_in_more_rows_than_are_counted_at_a_time(name, monkeypatch):
    kernel, symbol, dtypes = KERNELS[name], f"few_counted_{name}", "f4i8f4"
    monkeypatch.setattr(_columns, "COUNTED", 5)
    entry = _registry.ENTRY(_loader.load(symbol, kernel._compile(symbol, dtypes)))
    x = np.random.default_rng(0).integers(0, 9, (2, 23, 37)).astype(np.float32)
    x[1, [7, 20], 30:] = np.nan
    found, wanted = ([np.full((2, 37), 7, np.float32), np.full((2, 37), 7)] for _ in range(2))
    entry(np.array(kernel.signature.encode((*found, x)), np.int64).ctypes.data, 0, 1)
    kernel.twin(*wanted, x)
    for y, right in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(y, right)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_extremes_of_nothing_are_nan_and_the_loss_of_no_class_is_that_of_ignored_samples(dtype, backend):
    with kernels.use_backend(backend):
        for name in ("reduce_max", "reduce_min"):
            for inner in (1, 3):
                y, index = np.zeros((2, inner), dtype), np.ones((2, inner), np.int64)
                getattr(kernels, name)(y, index, np.zeros((2, 0, inner), dtype))
                assert np.isnan(y).all()
                assert not index.any()
        x, target, weight = np.zeros((2, 0), dtype), np.full(2, -100), np.zeros(0, dtype)
        for label_smoothing in (0.0, 0.5):
            loss, lse = np.ones((2, 2), dtype)
            kernels.cross_entropy(loss, lse, x, target, weight, label_smoothing, -100)
            assert not loss.any()
            assert (lse == -np.inf).all()
            kernels.cross_entropy_grad(np.empty_like(x), loss, x, lse, target, weight, label_smoothing, -100)
        loss[:] = 1
        kernels.nll(loss, x, target, weight, -100)
        assert not loss.any()
        kernels.nll_grad(np.empty_like(x), loss, target, weight, -100)
        loss[:] = 1
        kernels.target_weight(loss, target, weight, -100)
        assert not loss.any()
