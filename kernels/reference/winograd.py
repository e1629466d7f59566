"""Convolutions by 3x3 kernels of stride 1 as Winograd computes them: tiles of 2x2 results, from 4x4 pixels, by 16 products each.

F(2x2, 3x3) of Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", section 4.1. Rounding errors are some twice those
of a sum of products, relative to the largest pixels of a tile; an infinite pixel makes all results of its tiles NaN.
"""

import numpy as np

from .._signature import Floats, Int, Strided
from ._finish import OF_TWO, finish

B = np.array([[1, 0, 0, 0], [0, 1, -1, 1], [-1, 1, 1, 0], [0, 0, 0, -1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])
G_GRAD = np.array([[1, 0], [1, 1], [1, -1], [0, 1]])  # of the kernel's gradient, from 2x2 gradients of results
A_GRAD = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, -1]])


def winograd_weight(u: Floats("16 O I"), /, weight: Floats("O I 3 3")) -> None:
    """u[:, o, c] = G weight[o, c] G', row by row: what `winograd_conv2d` multiplies with."""
    np.copyto(u, _transformed(weight))


def winograd_weight_back(u: Floats("16 I O"), /, weight: Floats("O I 3 3")) -> None:
    """The same of the kernels turned by half a turn, channels of the result and of x exchanged: those of the input's gradient."""
    np.copyto(u, _transformed(weight[:, :, ::-1, ::-1].swapaxes(0, 1)))


def winograd_conv2d(
    y: Floats("N O OH OW"),
    /,
    x: Floats("N I H W"),
    u: Floats("16 O I"),
    bias: Floats("O"),
    extra: Strided("N O OH OW", apart=OF_TWO),
    pad_h: Int,
    pad_w: Int,
    epilogue: Int,
) -> None:
    """y of `conv2d` for 3x3 kernels of stride 1, whose transforms are u; y = A' m A for each tile, m[p] = sum_c u[p, :, c] (B' x B)[p].

    x is 0 outside; the result is f(y, extra), as that of `conv2d` is.
    """
    OH, OW = y.shape[2:]
    rows, columns = _grid(OH, OW)
    d = _pixels(x, pad_h, pad_w, rows, columns)
    m = np.einsum("poc,ncijp->noijp", u, d, optimize=True).reshape(*y.shape[:2], rows, columns, 4, 4)
    results = A.T.astype(x.dtype) @ m @ A.astype(x.dtype)
    whole = results.swapaxes(3, 4).reshape(*y.shape[:2], 2 * rows, 2 * columns)
    np.add(whole[:, :, :OH, :OW], bias[:, None, None], out=y)
    finish(y, extra, epilogue)


def winograd_conv2d_weight_grad(
    dweight: Floats("O I 3 3"), /, dy: Floats("N O OH OW"), x: Floats("N I H W"), pad_h: Int, pad_w: Int
) -> None:
    """dweight of `conv2d_weight_grad` for stride 1: A' m A, m[p] = the sum over tiles of (G dy G')[p] (B' x B)[p]; F(3x3, 2x2)."""
    OH, OW = dy.shape[2:]
    rows, columns = _grid(OH, OW)
    whole = np.pad(dy, [(0, 0), (0, 0), (0, 2 * rows - OH), (0, 2 * columns - OW)])
    tiles = whole.reshape(*dy.shape[:2], rows, 2, columns, 2).swapaxes(3, 4)
    g = (G_GRAD.astype(dy.dtype) @ tiles @ G_GRAD.T.astype(dy.dtype)).reshape(*tiles.shape[:4], 16)
    m = np.einsum("noijp,ncijp->ocp", g, _pixels(x, pad_h, pad_w, rows, columns), optimize=True)
    np.copyto(dweight, A_GRAD.T.astype(x.dtype) @ m.reshape(*m.shape[:2], 4, 4) @ A_GRAD.astype(x.dtype))


def _grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of tiles of 2x2 results."""
    return (height + 1) // 2, (width + 1) // 2


def _pixels(x: np.ndarray, pad_h: int, pad_w: int, rows: int, columns: int) -> np.ndarray:
    """(N, C, rows, columns, 16): B' x B of each tile."""
    reach = 2 * rows + 2, 2 * columns + 2
    behind = [max(0, end - pad - size) for end, pad, size in zip(reach, (pad_h, pad_w), x.shape[2:], strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), (pad_h, behind[0]), (pad_w, behind[1])])[:, :, : reach[0], : reach[1]]
    tiles = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), (2, 3))[:, :, ::2, ::2]
    return (B.T.astype(x.dtype) @ tiles @ B.astype(x.dtype)).reshape(*tiles.shape[:4], 16)


def _transformed(weight: np.ndarray) -> np.ndarray:
    O, I = weight.shape[:2]
    return np.moveaxis((G @ weight @ G.T).reshape(O, I, 16), 2, 0)
