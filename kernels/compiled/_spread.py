"""The working memory of convolutions: pixels as the columns of a kernel see them, side by side, with zeros beyond the image.

Where rows of pixels fill registers, all columns of the kernel read one copy, which has a register of zeros between rows. Else there is
one copy of each channel for each column of the kernel, shifted as that column asks; columns that ask for the same share one. Where windows
move by several rows at a time, a copy consists of classes: every such row, beginning from the first, from the second, and so on. In any
case the pixels that one place in the kernel multiplies lie side by side, at least those of a row.
"""

from .. import _host
from .._compiler import subroutine
from .._host import NV
from .._memory import stack_buffer
from .._pixels import spread_rows

VECTOR = _host.isa().vector_bytes
ROW = NV * VECTOR  # bytes of a row of a tile
PLANE_BYTES = _host.cache_bytes(1) // 3  # of the channels whose copies are made one after the other
PIXEL_BYTES = min(_host.cache_bytes(2) // 2, 512 << 10)

pixel_rows = stack_buffer(PIXEL_BYTES + ROW)  # the last register reads beyond the pixels


@subroutine
def shift_of(tap, stride, pad, dilation, backwards):
    """Where the source's pixel for a place in the kernel lies, relative to that for the first pixel, and the phase it belongs to."""
    reach = tap * dilation - pad
    if not backwards:
        return reach, 0 * tap
    phase = reach % stride
    return -((reach - phase) // stride), phase


@subroutine
def spread(pixels, steps, source, item, H, W, IC, images, channels, row, rows, left, cols, kw, kws, moves, classes, along, backwards, like):
    """Fill the working memory at `pixels` for rows x cols pixels of some images and channels, and the kernel's columns kw, kw + 1, ...

    steps: bytes from one channel, copy, image and row of working memory to the next. source: address of the first plane (H, W); an image
    has IC of them. row: the source's first row; left: the first pixel's column. along: stride, pad and dilation.
    """
    plane, copy, image_step, pitch = steps
    together = max(1, PLANE_BYTES // max(1, H * W * item))
    for n in range(images):
        for channel in range(0, channels, together):
            few, from_at = min(together, channels - channel), source + (n * IC + channel) * H * W * item
            target, before = pixels + n * image_step + channel * plane - copy, 0 * kw
            for k in range(kw, kw + kws):
                col = left * moves[1] + shift_of(k, along[0], along[1], along[2], backwards)[0]
                if k == kw or col != before:
                    target += copy
                    before = col
                    for q in range(classes):
                        to = target + q * rows * pitch
                        spread_rows(to, plane, pitch, few, rows, cols, from_at, H, W, row + q, moves[0], col, moves[1], like)


@subroutine
def spread_in_rows(pixels, plane, pitch, channels, rows, cols, source, H, row, item, zeros_at, like):
    """Fill the working memory with rows of images of `cols` columns as they are, a register of zeros before and behind each.

    `zeros_at` is what the last call has returned, or -1: registers of zeros that are in their places already are not written again.
    """
    here = (channels << 32) + rows
    if zeros_at != here:
        spread_rows(pixels, plane, pitch, channels, rows + 1, VECTOR // item, source, 0, 0, 0, 1, 0, 1, like)
    spread_rows(pixels + VECTOR, plane, pitch, channels, rows, cols, source, H, cols, row, 1, 0, 1, like)
    return here
