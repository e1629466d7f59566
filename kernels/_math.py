"""Elementary functions as formulas: range reduction, then a polynomial; right for zeros, denormals, infinities and NaN.

They hold no branch (but for sine and cosine of huge arguments), and no table that is not in registers, so they run at full speed at any
vector width.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir

from . import _host
from ._coefficients import (
    ERF_FAR,
    ERF_FAR_DOUBLE,
    ERF_NEAR,
    ERF_NEAR_DOUBLE,
    FORMATS,
    GAUSSIAN_LIFT,
    GAUSSIAN_SPLIT,
    GAUSSIAN_TAIL,
    HALF_PI,
    LOG_SERIES,
    LOG_TAIL,
    POWER_ACCURATE,
    PRODUCT_LOWER,
    PRODUCT_SCALE,
    TANH_NEAR,
)
from ._pieces import LAST, in_pieces, pieces
from ._simd import (
    Operand,
    V,
    absolute,
    bits,
    clip,
    copysign,
    double,
    floor,
    fma,
    from_bits,
    has_tables,
    lookup,
    nearer_to_zero,
    scaled,
    single,
    where,
)

TANH_ONE = 9.0  # from there on, tanh x is 1 in float32
TANH_PIECES = pieces(lambda t: math.tanh(t) if t < TANH_ONE else 1.0, degree=6, odd=True)
ERF_PIECES = pieces(math.erf, degree=6, odd=True)
# t Phi(-t) and its derivative, both times e^(t^2 / 2); Phi is the Gaussian distribution function
GELU_PIECES = pieces(lambda t: t * math.erfc(t / math.sqrt(2)) / 2 * math.exp(t * t / 2), degree=5, odd=True)
GELU_SLOPE_PIECES = pieces(lambda t: math.erfc(t / math.sqrt(2)) / 2 * math.exp(t * t / 2) - t / math.sqrt(2 * math.pi), degree=5)
EXP_HALF_TAIL = (1 / 384, -1 / 48, 1 / 8, -1 / 2)  # (e^(-r / 2) - 1) / r


def horner(x: V, coefficients: tuple[float, ...]) -> V:
    """The polynomial with `coefficients`, highest power first, at `x`."""
    total = x.like(coefficients[0])
    for c in coefficients[1:]:
        total = fma(total, x, c)
    return total


def patch(y: V, rare: V, libm: str, x: V) -> V:
    """`y`, but in the lanes where `rare` holds, the function `libm` of the C library at `x`; costs a branch where it never does."""
    b = y.builder
    name = libm + ("f" if isinstance(x.item, ir.FloatType) else "")
    function = b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(x.item, [x.item]), name)
    before = b.block
    found = rare.value if x.lanes == 1 else b.icmp_unsigned("!=", b.bitcast(rare.value, ir.IntType(x.lanes)), ir.IntType(x.lanes)(0))
    with b.if_then(found, likely=False):
        if x.lanes == 1:
            called = b.call(function, [x.value])
        else:
            called = y.value
            for lane in map(ir.IntType(32), range(x.lanes)):
                called = b.insert_element(called, b.call(function, [b.extract_element(x.value, lane)]), lane)
        patched = b.select(rare.value, called, y.value)
        rare_block = b.block
    result = b.phi(y.type)
    result.add_incoming(y.value, before)
    result.add_incoming(patched, rare_block)
    return V(b, result)


def _reduce(x: V, offset: int) -> tuple[V, V, V]:
    """r = x - n ln 2, |r| <= ln(2) / 2 (and a rounding error), n, and bits whose low half holds n + offset."""
    form = FORMATS[x.dtype]
    high, low = form.ln2
    shifted = fma(x, 1 / math.log(2.0), form.magic + offset)
    n = shifted - (form.magic + offset)
    return fma(n, -low, fma(n, -high, x)), n, bits(shifted)


def _expm1_near(r: V) -> V:
    """e^r - 1 for |r| <= ln(2) / 2."""
    return fma(r * r, horner(r, FORMATS[r.dtype].expm1_tail), r)


def exp(x: V) -> V:
    """e^x = 2^n e^r with n = round(x / ln 2)."""
    form = FORMATS[x.dtype]
    x = clip(x, *form.exp_range)
    if has_tables(x):
        r, n, _ = _reduce(x, 0)
        return scaled(horner(r, (*form.expm1_tail, 1.0, 1.0)), n)
    r, _, n = _reduce(x, 2 * form.bias)
    return _exp_scaled(r, n)


def _exp_scaled(r: V, n: V) -> V:
    """2^n e^r; the low half of n's bits holds n + 2 bias.

    2^n comes as two factors, so that results in the denormal range and just below infinity come out right.
    """
    form = FORMATS[r.dtype]
    half = n >> 1
    p = horner(r, (*form.expm1_tail, 1.0, 1.0))
    return p * from_bits(half << form.mantissa) * from_bits((n - half) << form.mantissa)


def _exp_normal(x: V, lost: Operand = 0.0, lift: int = 0, factor: Operand = 1.0) -> V:
    """factor 2^lift e^(x + lost) where 2^lift e^x is a normal number and `lost` a rounding error of x."""
    form = FORMATS[x.dtype]
    r, n, shifted = _reduce(x, form.bias + lift)
    r = r + lost if isinstance(lost, V) else r
    p = fma(_expm1_near(r), factor, factor)  # rounded half as often as in one polynomial, and once with the factor
    return scaled(p, n + lift) if has_tables(x) else p * from_bits(shifted << form.mantissa)


def expm1(x: V) -> V:
    """e^x - 1 = 2^n (e^r - 1) + (2^n - 1); exact to the last bits near 0."""
    form = FORMATS[x.dtype]
    r, _, n = _reduce(clip(x, form.expm1_low, form.exp_range[1]), form.bias - 1)
    half = from_bits(n << form.mantissa)  # 2^(n - 1), since 2^n may be infinite
    return where(absolute(x) < 2.0**-form.mantissa, x, fma(_expm1_near(r), half, half - 0.5) * 2)


def _power_plus(x: V, scale: float, lost: Operand = 0.0) -> V:
    """scale (e^(x + lost) + 1) = scale (2^n (e^r - 1) + 2^n + 1); the larger of the last two is added last, so that little is lost."""
    form = FORMATS[x.dtype]
    r, _, n = _reduce(x, form.bias + int(math.log2(scale)))
    r = r + lost if isinstance(lost, V) else r
    power = from_bits(n << form.mantissa)
    larger = power > scale
    return fma(_expm1_near(r), power, where(larger, scale, power)) + where(larger, power, scale)


def _held(t: V, end: float) -> V:
    """`t` where it is not above `end`; NaN stays NaN."""
    return where(t > end, end, t)


def tanh(x: V) -> V:
    """Polynomials in pieces; or an odd one near 0 and, beyond, 1 - 2 / (e^(2 |x|) + 1) with the sign of x."""
    if has_tables(x):
        return copysign(in_pieces(_held(absolute(x), LAST), TANH_PIECES), x)
    form = FORMATS[x.dtype]
    t = _held(absolute(x), form.tanh_one)
    far = 1 - 2 / _power_plus(t * 2, 1.0)
    z = t * t
    return copysign(where(t < TANH_NEAR, fma(t * z, horner(z, form.tanh_tail), t), far), x)


def sigmoid(x: V) -> V:
    """1 / (1 + e^-x)."""
    form = FORMATS[x.dtype]
    held = clip(x, form.exp_range[0], 2 * form.tanh_one)
    return form.sigmoid_scale / _power_plus(-held, form.sigmoid_scale)


def times_sigmoid(x: V, argument: V, lost: Operand = 0.0) -> V:
    """x sigmoid(argument + lost), as right where the sigmoid alone would be denormal, for |x| <= |argument| and a rounding error `lost`."""
    form = FORMATS[x.dtype]
    low, high = form.exp_range[0] - PRODUCT_LOWER, 2 * form.tanh_one
    scale = form.sigmoid_scale * PRODUCT_SCALE
    y = where(x < low, low, x) / _power_plus(-clip(argument, low, high), scale, -lost) * scale
    return where(argument > high, x, y)


def sigmoid_and_slope(x: V) -> tuple[V, V]:
    """s = sigmoid(x) and s' = s (1 - s), without the cancellation in 1 - s."""
    e = exp(-absolute(x))
    d = 1 / (e + 1)
    return where(x < 0, e, 1.0) * d, e * d * d


def _log_near(f: V, k: V | None = None) -> V:
    """ln(1 + f), plus k ln 2 if there is a k."""
    high, low = FORMATS[f.dtype].ln2
    rest = f.like(0.0) if k is None else k * low
    if f.dtype is np.float32:
        y = f + fma(f * f, horner(f, LOG_TAIL), rest)
    else:
        s = f / (f + 2)
        z = s * s
        half_square = f * f * 0.5
        y = f - (half_square - fma(s, half_square + z * horner(z, LOG_SERIES), rest))
    return y if k is None else fma(k, high, y)


def _exponent(x: V) -> tuple[V, V]:
    """For x = 2^k m with m in [log_low, 2 log_low): k as a float, and x's bits moved up by those of 1 / log_low."""
    form = FORMATS[x.dtype]
    moved = bits(x) + (form.pattern(1.0) - form.pattern(form.log_low))
    integer = 2.0**form.mantissa
    return from_bits((moved >> form.mantissa) | form.pattern(integer)) - (integer + form.bias), moved


def _log_parts(x: V) -> tuple[V, V]:
    """k and f for x = 2^k (1 + f)."""
    form = FORMATS[x.dtype]
    denormal = x < 2.0 ** (1 - form.bias)
    lift = form.mantissa + 2
    k, moved = _exponent(where(denormal, x * 2.0**lift, x))
    m = from_bits((moved & (2**form.mantissa - 1)) + form.pattern(form.log_low))
    return k - where(denormal, k.like(lift), 0.0), m - 1


def log(x: V) -> V:
    """ln x = k ln 2 + ln(1 + f) with x = 2^k (1 + f)."""
    k, f = _log_parts(x)
    return _log_limits(x, x, _log_near(f, k))


def log1p(x: V) -> V:
    """ln(1 + x) = k ln 2 + ln(1 + f) with 1 + x = 2^k (1 + f), where f comes from x itself and not from the rounded 1 + x.

    f = 2^-k x + (2^-k - 1), as in Norbert Juffa's log1pf.
    """
    return where(absolute(x) < 2.0 ** -FORMATS[x.dtype].mantissa, x, _log_limits(x, x + 1, _log1p(x)))


def _log1p(x: V) -> V:
    form = FORMATS[x.dtype]
    k, moved = _exponent(x + 1)
    exponent = (moved & -(2**form.mantissa)) - form.pattern(1.0)
    scale = from_bits(-exponent + form.pattern(4.0))
    return _log_near(from_bits(bits(x) - exponent) + fma(scale, 0.25, -1.0), k)


def _log_limits(x: V, u: V, y: V) -> V:
    """`y`, a logarithm of u, corrected where u is 0, negative, infinite or NaN, as x then is too."""
    y = where(u < math.inf, y, x)
    return where(u > 0, y, where(u == 0, -math.inf, where(u < 0, u.like(math.nan), x)))


def softplus(x: V) -> V:
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)."""
    return where(x < 0, 0.0, x) + _log1p(exp(-absolute(x)))


def erf(x: V) -> V:
    """2 / sqrt(pi) int_0^x exp(-t^2) dt: polynomials in pieces; or an odd one near 0, 1 minus an exponential beyond 1."""
    t = absolute(x)
    if has_tables(x):
        return copysign(in_pieces(_held(t, LAST), ERF_PIECES), x)
    if x.dtype is np.float32:
        far = _exp_normal(horner(_held(t, 4.0), ERF_FAR))
        near = ERF_NEAR
    else:
        t = _held(t, 6.0)
        far = _exp_normal(-t * t) * horner((t - 2) / (t + 2), ERF_FAR_DOUBLE)
        near = ERF_NEAR_DOUBLE
    return where(t < 1, fma(x, horner(x * x, near), x), copysign(1 - far, x))


def _lost_in_square(t: V, square: V) -> V:
    """t^2 - square, the rounding error of square = t t; without fused operations from halves of t, of exact products (Dekker 1971)."""
    if _host.isa().has_fma:
        return fma(t, t, -square)
    high = from_bits(bits(t) & -(1 << (FORMATS[t.dtype].mantissa // 2 + 1)))
    low = t - high
    return ((high * high - square) + high * low * 2) + low * low


def gelu(x: V) -> V:
    """x Phi(x), with Phi(x) = 1 - Phi(-x) for positive x."""
    if has_tables(x):
        t = nearer_to_zero(x, LAST)  # NaN comes back with the last sum
        density, rest = _gaussian_by_tables(t)
        tail = in_pieces(t, GELU_PIECES) * density
    else:
        t, d, p, rest = _gaussian(x)
        tail = _lifted_density(t, _portion(t, d, p))
    return fma(tail, -rest, where(x < 0, 0.0, x))


def gelu_slope(x: V) -> V:
    """The derivative of x Phi(x), which is s(x) = Phi(x) + x Phi'(x) = 1 - s(-x)."""
    if has_tables(x):
        t = _held(absolute(x), LAST)
        density, rest = _gaussian_by_tables(t)
        slope = in_pieces(t, GELU_SLOPE_PIECES) * density
    else:
        t, d, p, rest = _gaussian(x)
        slope = _lifted_density(t, fma(t, -1 / math.sqrt(2 * math.pi), p / d))
    slope = slope * rest
    return where(x < 0, slope, 1 - slope)


def _gaussian(x: V) -> tuple[V, V, V, V]:
    """t = |x|, held where t Phi(-t) is 0, d = t + a constant, and two factors such that Phi(-t) is their product times e^(-t^2 / 2) / d.

    The second one undoes what `_lifted_density` does.
    """
    center, end, tail = GAUSSIAN_TAIL[x.dtype]
    t = _held(absolute(x), end)
    d = t + center
    return t, d, horner(fma(t / d, 2.0, -1.0), tail), t.like(2.0**-GAUSSIAN_LIFT)


def _portion(t: V, d: V, p: V) -> V:
    """t / d p; in float64 where sums of products are rounded twice, since this leaves no room for its own errors."""
    if t.dtype is np.float64 or _host.isa().has_fma:
        return t / d * p
    return single(double(t) / double(d) * double(p))


def _lifted_density(t: V, factor: V) -> V:
    """factor e^(-t^2 / 2) times a power of two that keeps it a normal number even where t Phi(-t) is denormal."""
    square = t * t
    return _exp_normal(square * -0.5, _lost_in_square(t, square) * -0.5, GAUSSIAN_LIFT, factor)


def _gaussian_by_tables(t: V) -> tuple[V, V]:
    """Two factors of e^(-t^2 / 2) = e^(-4 i) e^(-r / 2) e^(-j / 8) with t^2 = 8 i + j / 4 + r, |r| <= 1/8: the first two, and the last."""
    magic = FORMATS[t.dtype].magic / 4
    shifted = fma(t, t, magic)
    r = fma(t, t, magic - shifted)
    number = bits(shifted)
    lift = 2.0**GAUSSIAN_LIFT * GAUSSIAN_SPLIT
    coarse = lookup([lift * math.exp(-4 * i) for i in range(32)], number >> 5)
    fine = lookup([math.exp(-j / 8) / lift for j in range(32)], number)
    return fma(coarse * r, horner(r, EXP_HALF_TAIL), coarse), fine


def _quarter_turns(x: V) -> tuple[V, V]:
    """r = x - n pi / 2, |r| <= pi / 4 (and a little more), and bits whose low half holds n."""
    form = FORMATS[x.dtype]
    shifted = fma(x, 2 / math.pi, form.magic)
    n = shifted - form.magic
    if x.dtype is np.float64:
        r = x
        for part in HALF_PI:
            r = fma(n, -part, r)
        return r, bits(shifted)
    n, r = double(n), double(x)
    return single(fma(n, -(HALF_PI[1] + HALF_PI[2]), fma(n, -HALF_PI[0], r))), bits(shifted)


def _sine(x: V, turns: int, libm: str) -> V:
    """sin(x + turns pi / 2)."""
    form = FORMATS[x.dtype]
    r, n = _quarter_turns(x)
    n = n + turns
    z = r * r
    s = fma(r * z, horner(z, form.sin_tail), r)
    c = fma(z * z, horner(z, form.cos_tail), fma(z, -0.5, 1.0))
    y = where((n & 1) == 0, s, c)
    y = from_bits(bits(y) ^ ((n & 2) << (form.mantissa + form.bias.bit_length())))
    return patch(y, absolute(x) > form.sin_high, libm, x)


def sin(x: V) -> V:
    """sin x from the quarter turn that x lies in; libm's sine beyond some 10^5 of them."""
    return where(x == 0, x, _sine(x, 0, "sin"))


def cos(x: V) -> V:
    """cos x = sin(x + pi / 2)."""
    return _sine(x, 1, "cos")


def power(a: V, b: Operand) -> V:
    """a^b = e^(b ln |a|) with the sign of a where b is odd; float32 is computed in float64.

    With |a| = 2^k (1 + f) the reduced exponent is (b k - n) ln 2 + b ln(1 + f), so that an error grows with ln(1 + f) only and
    powers of two are exact. The limits are those of C and NumPy: a^0 = 1^b = 1 even for NaN, and NaN for a negative a and a
    fractional b.
    """
    b = a.like(b)
    if a.dtype is np.float32:
        return single(power(double(a), double(b)))
    form = FORMATS[np.float64]
    size = absolute(a)
    k, f = _log_parts(size)
    exponent = b * _log_limits(size, size, _log_near(f, k))
    r, n, shifted = _reduce(clip(exponent, *form.exp_range), 2 * form.bias)
    accurate = fma(fma(b, k, -n), math.log(2.0), b * _log_near(f))
    y = _exp_scaled(where(absolute(exponent) < POWER_ACCURATE, accurate, r), shifted)
    y = where(size == 1, 1.0, y)
    half = b * 0.5
    y = where((floor(b) == b) & (floor(half) != half), copysign(y, a), y)
    y = where((a < 0) & (floor(b) != b) & (size < math.inf), math.nan, y)
    y = where(b != b, b, y)
    return where((b == 0) | (a == 1), 1.0, y)
