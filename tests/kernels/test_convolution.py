"""Convolutions over many geometries: compiled kernels equal their twins, twins equal PyTorch, and workers never change a bit."""

from typing import NamedTuple

import numpy as np
import pytest
from fastnn.kernels import CONVOLUTION_EPILOGUES, KERNELS

from fastnn.errors import ShapeError


class Geometry(NamedTuple):
    """Sizes of one convolution; `out` overrides the size of the output that PyTorch's rule gives."""

    N: int
    I: int
    H: int
    W: int
    O: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    out: tuple[int, int] | None = None

    @property
    def output(self):
        image = (self.H, self.W)
        reach = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)]
        return self.out or tuple((image[a] + 2 * self.pad[a] - reach[a]) // self.stride[a] + 1 for a in range(2))

    def numbers(self, name, epilogue=0):
        return (*self.stride, *self.pad, *self.dilation, self.groups, *([] if name == "conv2d_weight_grad" else [epilogue]))


def square(N, I, size, O, kernel, stride=1, pad=0, dilation=1, groups=1):
    return Geometry(N, I, size, size, O, (kernel,) * 2, (stride,) * 2, (pad,) * 2, (dilation,) * 2, groups)


GEOMETRIES = [
    *[square(2, 3, 9, 5, 3, stride, pad, dilation) for stride in (1, 2, 3) for pad in (0, 1, 2) for dilation in (1, 2, 3)],
    *[Geometry(2, 2, 5, width, 3, (3, 3), pad=(1, 1)) for width in (1, 2, 7, 8, 9, 15, 16, 17, 31, 33)],
    *[square(1, 4, 6, O, 3, pad=1) for O in (1, 4, 5, 7, 8, 9, 10, 11, 15, 16, 17, 20, 21, 33)],
    *[square(2, channels, 7, 2 * channels, 3, stride, 1, groups=channels) for channels in (3, 5) for stride in (1, 2)],
    *[square(2, 4, 11, 4, 3, stride, pad, dilation, groups=4) for stride in (1, 2, 3) for pad in (0, 3) for dilation in (1, 2)],
    square(2, 6, 8, 4, 3, 1, 1, groups=2),
    square(3, 4, 8, 12, 3, 2, 1, groups=4),
    square(5, 7, 6, 9, 1),
    square(5, 7, 6, 9, 1, stride=2),
    square(2, 3, 12, 4, 5, pad=2),
    square(1, 3, 20, 10, 7, 2, 3),
    square(3, 3, 20, 40, 7, 2, 3),  # so few channels that columns of the kernel share a tile of its gradient
    Geometry(1, 2, 70, 9, 33, (600, 3), pad=(300, 1)),
    square(1, 2, 1, 3, 1),
    square(1, 2, 1, 3, 3, pad=1),
    square(1, 2, 4, 3, 3, pad=5),  # some windows lie outside the image altogether
    square(2, 2, 6, 2, 2, stride=4),  # some pixels lie in no window
    square(9, 20, 2, 18, 3, pad=1),  # several images in a block
    *[square(19, 5, 4 * step, 12, side, step, side // 2) for side in (1, 3) for step in (1, 2)],  # the same, each filling registers
    square(11, 70, 8, 12, 3, 2, 1, groups=2),
    square(13, 3, 10, 5, 3, pad=1),  # a block of more pixels than fit into rows of one image
    square(1, 300, 3, 17, 3, pad=1),  # more taps than a panel holds
    square(3, 2, 26, 2, 3, pad=1),  # several blocks in an image
    square(1, 300, 14, 12, 3, pad=1),  # channels in several parts
    square(2, 5, 6, 130, 3, pad=1),
    *[square(2, 3, 33, 5, 3, stride, 1) for stride in (2, 3)],  # results of phases side by side
    *[
        Geometry(1, 11, size, 7, 13, (3, 3), (step, step), (1, 1)) for size in (2, 3, 5, 7) for step in (1, 2)
    ],  # few pixels in the last register
    square(1, 300, 7, 21, 3, pad=1),
    *[square(2, 7, 16, 17, 3, pad=dilation, dilation=dilation) for dilation in (1, 2)],  # rows that fill registers
    Geometry(3, 40, 21, 48, 12, (3, 5), pad=(2, 2)),  # the same in several blocks of pixels
    Geometry(2, 600, 6, 16, 3, (3, 3), pad=(1, 1)),  # and of channels
    Geometry(2, 4, 9, 16, 16, (1, 3), pad=(0, 2), out=(9, 16)),
    Geometry(2, 9, 40, 40, 30, (3, 3), pad=(1, 1), groups=3),
    square(3, 18, 30, 16, 3, pad=1),  # shifts in several blocks of rows
    square(7, 6, 12, 32, 5, pad=2),  # shifts of more places than fit into a tile
    square(2, 3, 16, 5, 1),  # pixels read where they are
    *[Geometry(1, 4, H, W, 3, (1, 1), out=out) for H, W, out in ((4, 35, (4, 32)), (4, 31, (4, 32)), (3, 32, (5, 32)), (5, 32, (3, 32)))],
    *[Geometry(9, 3, 14, 13, 16, (rows, 5), (stride, stride)) for rows in (1, 5, 7) for stride in (1, 2)],  # windows of five columns
    Geometry(2, 50, 6, 70, 33, (2, 5)),  # the same for more channels
    Geometry(1, 2, 90, 70, 31, (5, 5), groups=1),  # and in blocks of rows
    square(0, 2, 5, 3, 3),
    Geometry(2, 3, 7, 10, 4, (3, 2), (2, 3), (1, 0), (1, 2)),
    Geometry(2, 3, 7, 10, 4, (1, 5), (1, 2), (0, 4)),
    Geometry(2, 4, 9, 8, 8, (5, 3), (3, 2), (4, 1), (2, 3), groups=2),
    Geometry(1, 1, 1, 1200, 2, (1, 9), pad=(0, 4)),  # a row longer than a block
    Geometry(1, 2, 3, 1100, 2, (1, 600), pad=(0, 9)),  # more places in the kernel than are worked on at a time
    Geometry(1, 1, 1100, 1, 2, (500, 1), pad=(450, 0)),  # a column of a thousand runs
    Geometry(1, 2, 26, 25, 2, (24, 23), pad=(3, 0)),
    Geometry(2, 2, 5, 6, 3, (2, 4), pad=(0, 1), out=(5, 6)),  # "same", with more padding behind than in front
    Geometry(2, 2, 5, 6, 3, (4, 3), (2, 2), (1, 0), (2, 1), out=(3, 3)),
]
KERNEL_NAMES = ("conv2d", "conv2d_input_grad", "conv2d_weight_grad")
DTYPES = {"f4": (np.float32, 2.0**-23), "f8": (np.float64, 2.0**-52)}


def operands(name, g, dtype, rng):
    """(output, inputs) of a kernel, the output full of NaN."""
    shapes = {
        "x": (g.N, g.I, g.H, g.W),
        "weight": (g.O, g.I // g.groups, *g.kernel),
        "bias": (g.O,),
        "y": (g.N, g.O, *g.output),
    }
    shapes |= {f"extra {name}": shapes[name] for name in "xy"}
    inputs, output = {
        "conv2d": (("x", "weight", "bias", "extra y"), "y"),
        "conv2d_input_grad": (("y", "weight", "extra x"), "x"),
        "conv2d_weight_grad": (("y", "x"), "weight"),
    }[name]
    return np.full(shapes[output], np.nan, dtype), [rng.standard_normal(shapes[i]).astype(dtype) for i in inputs]


def terms(name, g):
    """How many products one item of the result is the sum of, at most."""
    taps = g.kernel[0] * g.kernel[1] / g.groups
    return {"conv2d": g.I * taps, "conv2d_input_grad": g.O * taps, "conv2d_weight_grad": g.N * g.output[0] * g.output[1]}[name]


def compute(name, output, inputs, numbers, parts=1):
    """The compiled kernel's result, worked out part by part."""
    kernel = KERNELS[name]
    call = (output, *inputs, *numbers)
    kernel.signature.validate(call)
    record = np.array(kernel.signature.encode(call), np.int64)
    for part in reversed(range(parts)):
        kernel.entry(kernel.signature.dtypes(call))(record.ctypes.data, part, parts)
    return output


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KERNEL_NAMES)
def test_convolutions_equal_their_twins_for_any_number_of_workers(name, dtype):
    item, precision = DTYPES[dtype]
    for seed, g in enumerate(GEOMETRIES):
        output, inputs = operands(name, g, item, np.random.default_rng(seed))
        wanted = np.zeros(output.shape)
        numbers = g.numbers(name, seed % len(CONVOLUTION_EPILOGUES))
        KERNELS[name].twin(wanted, *[i.astype(np.float64) for i in inputs], *numbers)
        got = compute(name, output.copy(), inputs, numbers)
        error = np.max(np.abs(got - wanted), initial=0) / (precision * (1 + np.max(np.abs(wanted), initial=0)))
        assert error <= 4 + terms(name, g) ** 0.5, f"{g}: {error:.1f} units off"
        for parts in (2, 5):
            assert got.tobytes() == compute(name, output.copy(), inputs, numbers, parts).tobytes(), f"{g} in {parts} parts"


@pytest.mark.parametrize("g", [g for g in GEOMETRIES if g.out is None and min(g.output) > 0], ids=str)
def test_twins_of_convolutions_equal_pytorch(g):
    torch = pytest.importorskip("torch")
    (y, (x, weight, bias, extra)), (dx, (dy, _, extra_dx)) = (
        operands(name, g, np.float64, np.random.default_rng(3)) for name in KERNEL_NAMES[:2]
    )
    tx, tweight, tbias = (torch.from_numpy(a).requires_grad_() for a in (x, weight, bias))
    ty = torch.nn.functional.conv2d(tx, tweight, tbias, g.stride, g.pad, g.dilation, g.groups)
    ty.backward(torch.from_numpy(dy))
    dweight = np.empty_like(weight)
    KERNELS["conv2d"].twin(y, x, weight, bias, extra, *g.numbers("conv2d"))
    KERNELS["conv2d_input_grad"].twin(dx, dy, weight, extra_dx, *g.numbers("conv2d_input_grad"))
    KERNELS["conv2d_weight_grad"].twin(dweight, dy, x, *g.numbers("conv2d_weight_grad"))
    for got, wanted in ((y, ty.detach()), (dx, tx.grad), (dweight, tweight.grad)):
        np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-10, atol=1e-10)


def test_values_beyond_the_windows_do_not_reach_the_result():
    g = square(1, 4, 6, 4, 3, stride=2, groups=4)  # the last row and column lie in no window
    for groups in (1, 4):
        g = g._replace(groups=groups)
        for name in KERNEL_NAMES:
            output, inputs = operands(name, g, np.float32, np.random.default_rng(0))
            for image in inputs:
                if image.shape == (1, 4, 6, 6):
                    image[:, :, 5] = image[:, :, :, 5] = np.nan
            assert np.isfinite(compute(name, output, inputs, g.numbers(name))).all(), name


@pytest.mark.parametrize("name", ["conv2d", "conv2d_input_grad"])
def test_what_is_added_to_a_result_has_memory_of_its_own(name):
    g = square(1, 4, 6, 4, 3)
    output, (*inputs, _) = operands(name, g, np.float32, np.random.default_rng(0))
    for epilogue, formula in enumerate(CONVOLUTION_EPILOGUES):
        call = (output, *inputs, output, *g.numbers(name, epilogue))
        if formula.startswith("add"):
            with pytest.raises(ShapeError, match="and extra must not share memory"):
                KERNELS[name].signature.validate(call)
        else:
            KERNELS[name].signature.validate(call)
