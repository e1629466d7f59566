"""Depthwise convolutions: each output channel sees one input channel, so there is no matrix product in them, only rows of pixels."""

from .._blocks import ceil_div
from .._compiler import subroutine
from .._memory import address, peek, poke
from .._pixels import settle_rows
from .._shares import share
from .._spans import fill_table, gather_span, plane_dot
from ._runs import PIXELS, RUN, TAPS, cut_into_runs, pixel_runs, tap_table


@subroutine
def depthwise(team, out, source, weight, bias_at, extra_at, floor, stride, pad, dilation, phases, moves, backwards):
    """out = max(floor, bias + the depthwise convolution of `source`, or `backwards` the transposed one, + extra); addresses of 0: none."""
    zero, item = out.dtype.type(0), out.itemsize
    OC, OH, OW = out.shape[1:]
    IC, H, W = source.shape[1:]
    KH, KW = weight.shape[2:]
    # The taps of one phase lie `period` apart and read `reach` apart.
    period_h, period_w = 1, 1
    while backwards and period_h * dilation[0] % stride[0] != 0:
        period_h += 1
    while backwards and period_w * dilation[1] % stride[1] != 0:
        period_w += 1
    period = (period_h, period_w)
    reach_h = -(period_h * dilation[0] // stride[0]) if backwards else dilation[0]
    reach_w = -(period_w * dilation[1] // stride[1]) if backwards else dilation[1]
    reach = (reach_h, reach_w)
    multiplier = IC // OC if backwards else OC // IC
    kws_most = min(KW, TAPS)
    khs_most = min(KH, TAPS // max(1, kws_most))
    runs, taps = pixel_runs(), tap_table()
    start, stop = share(team, out.shape[0] * OC)
    for plane in range(start, stop):
        base = peek(bias_at + plane % OC * item, zero) if bias_at != 0 else zero
        for pixel in range(plane * OH * OW, (plane + 1) * OH * OW):
            poke(address(out) + pixel * item, base)
    for kh in range(0, KH, khs_most):
        for kw in range(0, KW, kws_most):
            for top in range(0, OH, PIXELS):
                row_runs = cut_into_runs(runs, top, min(top + PIXELS, OH), kh, min(kh + khs_most, KH), H,
                                         stride[0], pad[0], dilation[0], period[0], phases[0], backwards)  # fmt: skip
                for left in range(0, OW, PIXELS):
                    col_runs = cut_into_runs(runs + PIXELS * RUN, left, min(left + PIXELS, OW), kw, min(kw + kws_most, KW), W,
                                             stride[1], pad[1], dilation[1], period[1], phases[1], backwards)  # fmt: skip
                    for plane in range(start, stop):
                        n, o = plane // OC, plane % OC
                        channel = o * multiplier if backwards else o // multiplier
                        for u in range(row_runs):
                            at = runs + u * RUN
                            i, i_count, k, k_count = peek(at, u), peek(at + 8, u), peek(at + 16, u), peek(at + 24, u)
                            y = (i + pad[0] - k * dilation[0]) // stride[0] if backwards else i * stride[0] + k * dilation[0] - pad[0]
                            for v in range(col_runs):
                                at = runs + (PIXELS + v) * RUN
                                j, j_count, l, l_count = peek(at, v), peek(at + 8, v), peek(at + 16, v), peek(at + 24, v)
                                x = (j + pad[1] - l * dilation[1]) // stride[1] if backwards else j * stride[1] + l * dilation[1] - pad[1]
                                planes, first = (multiplier, channel) if backwards else (1, o)
                                fill_table(taps, 0, address(weight) + ((first * KH + k) * KW + l) * item,
                                           (1, k_count, l_count), (0, reach[0] * W * item, reach[1] * item),
                                           (0, period[0] * KW * item, period[1] * item))  # fmt: skip
                                from_at = address(source) + (((n * IC + channel) * H + y) * W + x) * item
                                to_at = address(out) + ((plane * OH + i) * OW + j) * item
                                for row in range(i_count):
                                    gather_span(to_at + row * phases[0] * OW * item, phases[1] * item, from_at + row * moves[0] * W * item,
                                                moves[1] * item, j_count, taps, k_count * l_count, planes, H * W * item,
                                                KH * KW * item, zero)  # fmt: skip
    plane_bytes = OH * OW * item
    for plane in range(start, stop if extra_at != 0 or floor == 0 else start):
        at, shift = address(out) + plane * plane_bytes, plane * plane_bytes
        settle_rows(at, 0, 1, at, 0, 0, 1, OH * OW, extra_at + shift if extra_at != 0 else 0 * shift, floor)


@subroutine
def depthwise_weight_grad(team, dweight, dy, x, stride, pad, dilation):
    """dweight of a depthwise convolution: for each tap the dot product of two rectangles of pixels, image after image."""
    zero, item = dweight.dtype.type(0), dweight.itemsize
    O, _, KH, KW = dweight.shape
    N, I, H, W = x.shape
    OH, OW = dy.shape[2:]
    start, stop = share(team, O)
    for o in range(start, stop):
        for kh in range(KH):
            offset_h = kh * dilation[0] - pad[0]
            top = max(0, ceil_div(-offset_h, stride[0]))
            rows = min(OH, (H - 1 - offset_h) // stride[0] + 1) - top
            for kw in range(KW):
                offset_w = kw * dilation[1] - pad[1]
                left = max(0, ceil_div(-offset_w, stride[1]))
                cols = min(OW, (W - 1 - offset_w) // stride[1] + 1) - left
                total = zero
                if rows > 0 and cols > 0:
                    at = address(dy) + ((o * OH + top) * OW + left) * item
                    from_at = (o // (O // I) * H + top * stride[0] + offset_h) * W + left * stride[1] + offset_w
                    from_at = address(x) + from_at * item
                    for n in range(N):
                        total += plane_dot(at + n * O * OH * OW * item, OW * item, from_at + n * I * H * W * item, stride[0] * W * item,
                                           stride[1] * item, rows, cols, zero)  # fmt: skip
                dweight[o, 0, kh, kw] = total
