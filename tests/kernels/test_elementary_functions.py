"""The elementary functions are accurate to a few units in the last place (ULP), over all of float32 and at its borders."""

import math
from pathlib import Path

import numpy as np
import pytest
from fastnn.kernels import run
from fastnn.kernels.reference.activations import GELU_CUBIC, SELU_ALPHA, SELU_SCALE

TABLES = Path(np.__file__).parent / "_core" / "tests" / "data"
# Largest error in float32 ULP against the exact value, and in float64 relative to NumPy.
BOUNDS = {
    "exp": (2, 1e-14),
    "log": (2, 1e-14),
    "tanh": (2, 1e-14),
    "sigmoid": (2, 1e-13),
    "sin": (4, 1e-14),
    "cos": (4, 1e-14),
    "erf": (4, 1e-14),
}
TABLED = [n for n in BOUNDS if (TABLES / f"umath-validation-set-{n}.csv").exists()]


def logistic(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


REFERENCES = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": logistic,
    "sin": np.sin,
    "cos": np.cos,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
}
SPECIAL = {  # argument, value
    "exp": [(0.0, 1.0), (-0.0, 1.0), (math.inf, math.inf), (-math.inf, 0.0), (1e30, math.inf), (-1e30, 0.0)],
    "log": [(0.0, -math.inf), (-0.0, -math.inf), (1.0, 0.0), (math.inf, math.inf), (-math.inf, math.nan), (-1.0, math.nan)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (math.inf, 1.0), (-math.inf, -1.0), (1e30, 1.0), (1e-40, 1e-40)],
    "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (math.inf, 1.0), (-math.inf, 0.0), (1e30, 1.0), (-1e30, 0.0)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (math.inf, math.nan), (-math.inf, math.nan), (1e-40, 1e-40)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (math.inf, math.nan), (-math.inf, math.nan), (1e-40, 1.0)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (math.inf, 1.0), (-math.inf, -1.0), (1e30, 1.0)],
}
POWERS = {  # C99, F.9.4.4
    (math.nan, 0.0): 1.0,
    (1.0, math.nan): 1.0,
    (1.0, math.inf): 1.0,
    (-1.0, math.inf): 1.0,
    (math.nan, 2.0): math.nan,
    (-1.0, math.nan): math.nan,
    (-2.0, 3.0): -8.0,
    (-2.0, 2.0): 4.0,
    (-2.0, 0.5): math.nan,
    (-math.inf, 0.5): math.inf,
    (-math.inf, 3.0): -math.inf,
    (-0.0, 3.0): -0.0,
    (-0.0, -3.0): -math.inf,
    (-0.0, -2.0): math.inf,
    (0.0, -1.5): math.inf,
    (0.0, 0.0): 1.0,
    (0.5, math.inf): 0.0,
    (0.5, -math.inf): math.inf,
    (2.0, 200.0): None,  # overflows in float32 only
    (2.0, -140.0): 2.0**-140,
}


def compute(name, *arguments):
    y = np.empty_like(arguments[0])
    run(name, y, *arguments)
    return y


def ulp_errors(y, exact):
    """How far float32 results are from exact ones; infinite where one is finite, infinite or NaN and the other is not."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = exact.astype(np.float32)
        error = np.abs(y.astype(np.float64) - exact) / np.spacing(np.abs(rounded), dtype=np.float32)
    same = (y == rounded) | (np.isnan(y) & np.isnan(rounded))
    return np.where(np.isfinite(rounded) & np.isfinite(y), error, np.where(same, 0.0, np.inf))


def worst(name, x):
    with np.errstate(all="ignore"):
        errors = ulp_errors(compute(name, x), REFERENCES[name](x.astype(np.float64)))
    return errors.max()


def patterns(rng, count):
    """float32 numbers of every size: random bit patterns, NaN and infinities among them."""
    return rng.integers(0, 2**32, count, dtype=np.uint64).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("name", BOUNDS)
def test_float32_errors_on_random_bit_patterns_and_ordinary_numbers(name):
    rng = np.random.default_rng(0)
    count = 20_000 if name == "erf" else 400_000
    x = np.concatenate(
        [patterns(rng, count), (4 * rng.normal(size=count)).astype(np.float32), rng.uniform(-105, 90, count).astype(np.float32)]
    )
    assert worst(name, x) <= BOUNDS[name][0]


@pytest.mark.parametrize("name", BOUNDS)
def test_float64_errors(name):
    rng = np.random.default_rng(1)
    count = 20_000 if name == "erf" else 200_000
    with np.errstate(all="ignore"):
        x = np.concatenate([4 * rng.normal(size=count), rng.uniform(-700, 700, count), patterns(rng, count).astype(np.float64)])
        x = np.abs(x) if name == "log" else x
        np.testing.assert_allclose(compute(name, x), REFERENCES[name](x), rtol=BOUNDS[name][1])


def validation_table(name, dtype):
    """Arguments and results, rounded once, of NumPy's own table for a function, as arrays of a dtype."""
    lines = (TABLES / f"umath-validation-set-{name}.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines if line.startswith(f"np.{dtype.__name__},")]
    return [np.array([int(row[i], 16) for row in rows], f"u{dtype().itemsize}").view(dtype) for i in (1, 2)]


@pytest.mark.parametrize("name", TABLED)
def test_float32_results_match_the_validation_tables_of_numpy(name):
    x, exact = validation_table(name, np.float32)
    errors = ulp_errors(compute(name, x), exact.astype(np.float64))
    assert len(x) > 100
    assert errors.max() <= BOUNDS[name][0]


@pytest.mark.parametrize("name", TABLED)
def test_float64_results_match_the_validation_tables_of_numpy(name):
    x, exact = validation_table(name, np.float64)
    y = compute(name, x)
    finite = np.isfinite(exact)
    assert len(x) > 100
    np.testing.assert_array_equal(y[~finite], exact[~finite])
    assert (np.abs(y[finite] - exact[finite]) / np.spacing(np.abs(exact[finite]))).max() <= 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name, dtype):
    x, wanted = np.array([*SPECIAL[name], (math.nan, math.nan)] * 3, dtype).T.copy()
    y = compute(name, x)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(np.signbit(y[wanted == 0]), np.signbit(wanted[wanted == 0]))


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine_of_huge_numbers_and_near_their_zeros(name):
    turns = np.arange(1, 300_000, 7) * (math.pi / 2)
    with np.errstate(over="ignore"):
        huge = 10.0 ** np.linspace(4, 308, 10_000)
        assert worst(name, np.concatenate([turns, huge[huge < 3e38]]).astype(np.float32)) <= BOUNDS[name][0]
    x = np.concatenate([turns, huge])
    np.testing.assert_allclose(compute(name, x), REFERENCES[name](x), rtol=BOUNDS[name][1])


@pytest.mark.parametrize("name", ["exp", "sigmoid"])
def test_denormal_results(name):
    x = np.linspace(-104, -87, 10_001, dtype=np.float32)
    assert worst(name, x) <= 2
    y = compute(name, np.linspace(-745, -709, 1001))
    reference = np.exp(np.linspace(-745, -709, 1001))
    assert np.max(np.abs(y - reference) / np.spacing(reference)) <= 2


def test_log_of_denormal_numbers():
    x = np.arange(1, 2**23, 997, dtype=np.uint32).view(np.float32)
    assert worst("log", x) <= 1
    x = np.arange(1, 2**52, 2**42 + 997, dtype=np.uint64).view(np.float64)
    np.testing.assert_allclose(compute("log", x), np.log(x), rtol=1e-14)


def test_power():
    rng = np.random.default_rng(2)
    a, b = np.exp(3 * rng.normal(size=100_000)), 8 * rng.normal(size=100_000)
    a[::5] *= -1
    b[::2] = np.round(b[::2])
    with np.errstate(all="ignore"):
        a32, b32 = a.astype(np.float32), b.astype(np.float32)
        assert ulp_errors(compute("power", a32, b32), np.power(a32.astype(np.float64), b32)).max() <= 1
        np.testing.assert_allclose(compute("power", a, b), np.power(a, b), rtol=1e-12)


def test_powers_of_decay_rates_are_accurate_over_a_long_training():
    steps = np.arange(1.0, 100_001.0)
    for beta in (0.9, 0.99, 0.999):
        np.testing.assert_allclose(compute("power", np.full_like(steps, beta), steps), beta**steps, rtol=2e-13, atol=1e-300)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("a", "b"), POWERS)
def test_limits_of_power(a, b, dtype):
    wanted = POWERS[a, b]
    if wanted is None:
        wanted = math.inf if dtype is np.float32 else a**b
    y = compute("power", np.full(19, a, dtype), np.full(19, b, dtype))
    np.testing.assert_array_equal(y, dtype(wanted))
    assert np.isnan(wanted) or (np.signbit(y) == np.signbit(wanted)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softplus_and_elu_are_accurate_near_their_limits(dtype):
    eps = np.finfo(dtype).eps
    x = np.concatenate([np.linspace(-90, 20, 5001), np.geomspace(1e-30, 1, 500), -np.geomspace(1e-30, 1, 500)]).astype(dtype)
    y = np.empty_like(x)
    run("softplus", y, x, 1.0, 1e9)
    np.testing.assert_allclose(y, np.logaddexp(0, x.astype(np.longdouble)).astype(np.float64), rtol=8 * eps)
    run("elu", y, x, 1.0)
    np.testing.assert_allclose(y, np.where(x > 0, x, np.expm1(np.minimum(x, 0).astype(np.float64))), rtol=4 * eps)


def gaussian(x):
    """Phi(x), from a continued fraction (Abramowitz & Stegun 26.2.14) far below 0, where erf leaves nothing of it."""
    t = np.maximum(-x, 2.0)
    fraction = t
    for k in range(200, 0, -1):
        fraction = t + k / fraction
    far = np.exp(-t * t / 2) / (fraction * math.sqrt(2 * math.pi))
    return np.where(x < -2, far, 0.5 + 0.5 * REFERENCES["erf"](np.maximum(x, -2.0) / math.sqrt(2)))


def times_logistic(x, argument):
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-argument))


def mish(x):
    e = np.exp(np.minimum(x, 30.0))
    return x * (e * (e + 2) / (e * (e + 2) + 2))


ACTIVATIONS = {  # numbers, and the function in float64
    "gelu": ((), lambda x: x * gaussian(x)),
    "gelu_tanh": ((), lambda x: times_logistic(x, 2 * math.sqrt(2 / math.pi) * (x + GELU_CUBIC * x**3))),
    "silu": ((), lambda x: times_logistic(x, x)),
    "mish": ((), mish),
    "softplus": ((1.0, 1e9), lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))),
    "elu": ((1.0,), lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "celu": ((1.0,), lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "selu": ((), lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))),
    "softsign": ((), lambda x: x / (1 + np.abs(x))),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_float32_activations_are_right_to_4_ulp_even_where_they_are_next_to_nothing(name):
    numbers, exact = ACTIVATIONS[name]
    far = np.linspace(-16 if name == "gelu" else -11 if name == "gelu_tanh" else -115, 8, 40_001)
    x = np.concatenate([far, np.linspace(-3, 3, 20_001), -np.geomspace(1e-37, 1, 5_001), [1e4, -1e4, 3e38, -3e38, 0.0]]).astype(np.float32)
    y = compute(name, x, *numbers)
    assert ulp_errors(y, exact(x.astype(np.float64))).max() <= 4


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_float64_activations_are_right_even_where_they_are_next_to_nothing(name):
    numbers, exact = ACTIVATIONS[name]
    far = np.linspace({"gelu": -37, "gelu_tanh": -20}.get(name, -700), 8, 20_001)
    x = np.concatenate([far, -np.geomspace(1e-300, 1, 5_001), [0.0, 1e4]])
    np.testing.assert_allclose(compute(name, x, *numbers), exact(x), rtol=1e-12)


def test_gelu_is_right_to_4_ulp_over_all_exponents_and_where_pieces_meet():
    every = np.concatenate([s * np.ldexp(np.linspace(1, 2, 301), e) for e in range(-149, 128) for s in (1, -1)])
    with np.errstate(over="ignore"):
        edges = np.array([0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 9, 11, 13], np.float32)
        near = (edges.view(np.int32)[:, None] + np.arange(-50, 50, dtype=np.int32)).view(np.float32).ravel()
        x = np.concatenate([every.astype(np.float32), near, -near, np.linspace(-14.5, 6, 300_001, dtype=np.float32)])
        exact = ACTIVATIONS["gelu"][1](np.minimum(x[np.isfinite(x)].astype(np.float64), 1e38))
    y = compute("gelu", x)[np.isfinite(x)]
    ordinary = np.abs(x[np.isfinite(x)]) < 1e38
    assert ulp_errors(y, exact)[ordinary].max() <= 4
    np.testing.assert_array_equal(y[~ordinary], np.maximum(x[np.isfinite(x)], 0)[~ordinary])


LEAST_EXACT = [("mish", (-6.8767, -6.78, -3.2377)), ("gelu", (-0.3386, -0.3366, -0.1403, -0.1397, -0.06594))]


@pytest.mark.parametrize(("name", "worst"), [(name, x) for name, places in LEAST_EXACT for x in places])
def test_activations_are_right_to_4_ulp_where_they_are_least_exact(name, worst):
    x = (np.float32(worst).view(np.int32) + np.arange(-20_000, 20_000, dtype=np.int32)).view(np.float32)
    assert ulp_errors(compute(name, x), ACTIVATIONS[name][1](x.astype(np.float64))).max() <= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BOUNDS, *ACTIVATIONS])
def test_all_float32_numbers(name):
    """Against the kernel in float64, whose errors the tests above bound: NumPy's functions take minutes, or do not exist."""
    numbers, bound = ACTIVATIONS.get(name, ((),))[0], BOUNDS.get(name, (4,))[0]
    chunk, largest = 2**20, 0.0
    for start in range(0, 2**32, chunk):
        x = np.arange(start, start + chunk, dtype=np.uint32).view(np.float32)
        with np.errstate(invalid="ignore"):
            largest = max(largest, ulp_errors(compute(name, x, *numbers), compute(name, x.astype(np.float64), *numbers)).max())
    print(f"{name}: {largest:.3f} ULP")
    assert largest <= bound
