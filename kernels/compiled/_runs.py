"""Which taps of a kernel fall inside an image: the pixels of one dimension, cut into runs that use the same ones."""

from .._compiler import subroutine
from .._memory import peek, poke, stack_buffer

PIXELS = 512  # of a block
TAPS = 512  # places in the kernel that are worked on at a time
PAIR = 16  # bytes of an entry of a table of addresses or offsets
RUN = 32  # bytes of a run

pixel_runs = stack_buffer(2 * PIXELS * RUN)
tap_table = stack_buffer(TAPS * PAIR)


@subroutine
def cut_into_runs(runs, pixel, pixel_stop, tap, tap_stop, size, stride, pad, dilation, period, phases, backwards):
    """List the runs of pixels (first, count; `phases` apart) that use the same taps (first, count; `period` apart); how many there are."""
    count = 0
    for phase in range(phases):
        last_first, last_taps = -1, 0
        for i in range(pixel + phase, pixel_stop, phases):
            high = i + pad if backwards else pad - i * stride + size - 1
            low = high - (size - 1) * stride if backwards else pad - i * stride
            first = max(tap, -(-low // dilation))
            stop = min(tap_stop, high // dilation + 1)
            while backwards and first < stop and (high - first * dilation) % stride != 0:
                first += 1
            taps = max(0, (stop - first + period - 1) // period)
            if taps > 0 and first == last_first and taps == last_taps:
                at = runs + (count - 1) * RUN + 8
                poke(at, peek(at, count) + 1)
            elif taps > 0:
                at = runs + count * RUN
                poke(at, i)
                poke(at + 8, 1 + 0 * i)
                poke(at + 16, first)
                poke(at + 24, taps)
                count += 1
            last_first, last_taps = first, taps
    return count
