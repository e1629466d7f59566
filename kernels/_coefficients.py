"""The constants of the elementary functions: what each precision needs for range reduction, and the polynomials.

Those whose source is not named are weighted minimax fits, computed with mpmath and rounded to the format coefficient by coefficient.
Polynomials stand with their highest power first.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Format(NamedTuple):
    """What the formulas must know of a floating-point format. High parts have so few bits that an integer times them is exact."""

    mantissa: int  # bits after the point
    bias: int  # of the exponent
    ln2: tuple[float, float]  # high and low part
    exp_range: tuple[float, float]  # beyond it, e^x is 0 or infinite
    expm1_low: float  # below it, e^x - 1 is -1
    expm1_tail: tuple[float, ...]  # (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2
    log_low: float  # logarithms are computed on [log_low, 2 log_low)
    tanh_one: float  # from there on, tanh x is 1
    tanh_tail: tuple[float, ...]  # (tanh(x) / x - 1) / x^2 as a polynomial in x^2 for |x| <= TANH_NEAR
    sigmoid_scale: float  # a power of two that keeps e^-x finite wherever sigmoid x is not 0
    sin_high: float  # from there on, libm reduces the argument
    sin_tail: tuple[float, ...]  # (sin(r) / r - 1) / r^2 as a polynomial in r^2 for |r| <= pi / 4 and a little beyond
    cos_tail: tuple[float, ...]  # (cos(r) - 1 + r^2 / 2) / r^4, likewise

    @property
    def magic(self) -> float:
        """Adding it rounds to an integer, which then stands in the low bits."""
        return 1.5 * 2.0**self.mantissa

    def pattern(self, number: float) -> int:
        """The bits of a positive number of this format."""
        return int(np.float32(number).view(np.int32) if self.mantissa == 23 else np.float64(number).view(np.int64))


FORMATS = {
    np.float32: Format(
        mantissa=23,
        bias=127,
        ln2=(0.693359375, -2.12194440054690583e-4),  # Cephes, expf.c
        exp_range=(-104.0, 89.0),
        expm1_low=-25.0,
        expm1_tail=(1.39398838e-3, 8.3689997e-3, 4.16664109e-2, 1.66665182e-1, 0.5),
        log_low=2 / 3,
        tanh_one=10.0,
        tanh_tail=(-5.71619812e-3, 2.06497069e-2, -5.37431724e-2, 1.33314863e-1, -3.33332837e-1),
        sigmoid_scale=2.0**-24,
        sin_high=2.0**18,
        sin_tail=(2.78831635e-6, -1.98492635e-4, 8.33337195e-3, -1.66666672e-1),
        cos_tail=(2.43754603e-5, -1.38867879e-3, 4.16666344e-2),
    ),
    np.float64: Format(
        mantissa=52,
        bias=1023,
        ln2=(6.93147180369123816490e-01, 1.90821492927058770002e-10),  # fdlibm, e_exp.c
        exp_range=(-746.0, 710.0),
        expm1_low=-45.0,
        expm1_tail=(
            2.5112279537912088e-8,
            2.7631524928236346e-7,
            2.7557234413202161e-6,
            2.4801489172949416e-5,
            1.9841269896426537e-4,
            1.3888888947868284e-3,
            8.3333333333172974e-3,
            4.1666666666511559e-2,
            1.6666666666666682e-1,
            0.5,
        ),
        log_low=math.sqrt(0.5),
        tanh_one=20.0,
        tanh_tail=(
            -1.6106811701208897e-5,
            7.721751566592034e-5,
            -2.2863160623324497e-4,
            5.863515711552747e-4,
            -1.4549701574500585e-3,
            3.5919914987125848e-3,
            -8.8632213087095554e-3,
            2.1869487600987055e-2,
            -5.3968253932428462e-2,
            1.333333333326476e-1,
            -3.3333333333332876e-1,
        ),
        sigmoid_scale=2.0**-60,
        sin_high=2.0**20,
        sin_tail=(  # fdlibm, k_sin.c
            1.58969099521155010221e-10,
            -2.50507602534068634195e-08,
            2.75573137070700676789e-06,
            -1.98412698298579493134e-04,
            8.33333333332248946124e-03,
            -1.66666666666666324348e-01,
        ),
        cos_tail=(  # fdlibm, k_cos.c
            -1.13596475577881948265e-11,
            2.08757232129817482790e-09,
            -2.75573143513906633035e-07,
            2.48015872894767294178e-05,
            -1.38888888888741095749e-03,
            4.16666666666666019037e-02,
        ),
    ),
}

TANH_NEAR = 0.625  # where both ways of computing tanh lose equally little: Cephes, tanhf.c
# (ln(1 + f) - f) / f^2 for f from -1/3 to 1/3, float32
LOG_TAIL = (
    -1.28650308e-1,
    1.39952332e-1,
    -1.21906653e-1,
    1.40033931e-1,
    -1.66799992e-1,
    2.00105831e-1,
    -2.49998093e-1,
    3.33332121e-1,
    -0.5,
)
# ln(1 + f) = 2 s + s R(s^2) with s = f / (2 + f), float64: fdlibm, e_log.c
LOG_SERIES = (
    1.479819860511658591e-01,
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
)
POWER_ACCURATE = 700.0  # |b ln a| below which a^b is neither 0 nor infinite, float64
# pi / 2 in parts of 33, 33 and 53 bits: fdlibm, e_rem_pio2.c
HALF_PI = (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
# erf(x) / x - 1 in x^2 for |x| < 1, and ln(1 - erf(x)) in x up to 4, float32
ERF_NEAR = (7.92036808e-5, -8.03076138e-4, 5.19073382e-3, -2.6855126e-2, 1.12836182e-1, -3.76126289e-1, 1.28379166e-1)
ERF_FAR = (1.91532381e-4, -2.99979211e-3, 2.20529083e-2, -1.03568621e-1, -6.37598217e-1, -1.1274271, -2.56211701e-4)
# erf(x) / x - 1 in x^2 for |x| < 1, and (1 - erf(x)) e^(x^2) in (x - 2) / (x + 2) up to 6, float64
ERF_NEAR_DOUBLE = (
    -7.5757982552256104e-10,
    1.3601740743028625e-8,
    -1.61810634873588e-7,
    1.6443840713927804e-6,
    -1.4924446650675799e-5,
    1.2055279839442111e-4,
    -8.5483254744618444e-4,
    5.2239775967587807e-3,
    -2.6866170641991052e-2,
    1.1283791670937314e-1,
    -3.7612638903183354e-1,
    1.283791670955126e-1,
)
ERF_FAR_DOUBLE = (
    3.8055251892868185e-6,
    1.9504727695790008e-6,
    -1.407162334291832e-5,
    -2.7690511286975669e-5,
    2.7552816824614813e-5,
    1.7437238368195587e-4,
    4.355258653600052e-5,
    -9.8197764044727722e-4,
    -8.4714308995242741e-4,
    6.9974617568587753e-3,
    3.732892400355793e-3,
    -7.8978581015966678e-2,
    2.4165819424250243e-1,
    -4.2718584741395743e-1,
    2.5539567631050569e-1,
)
PRODUCT_LOWER = 8.0  # x sigmoid(x) is 0 so much below where sigmoid(x) is
PRODUCT_SCALE = 2.0**-16  # keeps e^-x finite down to there
GAUSSIAN_LIFT = 64  # a power of two that keeps e^(-t^2 / 2) normal as far as t Phi(-t) is not 0
# multiplied into the table of e^(-4 i) and taken out of that of e^(-j / 8): of a million factors one with which both round well in float32
GAUSSIAN_SPLIT = 1.8608360290527344
# (t + center) Phi(-t) e^(t^2 / 2), which keeps away from 0, in (t - center) / (t + center): center, end of t Phi(-t) > 0, polynomial
GAUSSIAN_TAIL = {
    np.float32: (
        3.5,
        14.6,
        (
            -2.14023985e-05,
            7.78936592e-05,
            0.000433507346,
            -0.000463672681,
            -0.0031758633,
            0.00648272317,
            0.0174060613,
            -0.116051711,
            0.315425068,
            -0.565561771,
            0.744416058,
        ),
    ),
    np.float64: (
        5.0,
        38.8,
        (
            2.228644644634393e-09,
            7.641766346621027e-09,
            -1.0616676140791582e-08,
            -6.670184371089716e-08,
            4.373892617711966e-08,
            4.3446322080341824e-07,
            -3.374691476728394e-07,
            -2.7703310260053487e-06,
            3.981164407907253e-06,
            1.6681704875638772e-05,
            -4.9762846204622204e-05,
            -5.9375865678775896e-05,
            0.0005448990611353366,
            -0.0007978693751062718,
            -0.002993376768891714,
            0.0207950667976028,
            -0.06911863870649397,
            0.1650203661704985,
            -0.31353315667129666,
            0.4953056159699742,
            -0.6653825028900567,
            0.769193049750063,
        ),
    ),
}
