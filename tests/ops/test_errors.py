"""Wrong arguments give typed errors that name the argument, what it was and what it should be, before anything runs."""

import numpy as np
import pytest

import fastnn
from fastnn import errors, kernels
from fastnn.nn import functional as F
from fastnn.tensor import Tensor, grad, mode, tensor, value_and_grad

X = np.ones((4, 3))
T32, T64, INTS = tensor(X, np.float32), tensor(X), tensor([1, 2, 0, 1])
V = tensor(X, requires_grad=True)
IMAGES, W = np.ones((2, 3, 6, 6)), np.ones((6, 3, 3, 3))

ERRORS = [
    # what is called, the error, words of its message in order
    (lambda: T32 + T64, errors.DTypeError, "float64.*float32.*astype"),
    (lambda: F.exp(INTS), errors.DTypeError, "float32 or float64.*int64"),
    (lambda: T64 + "a", errors.DTypeError, "numbers"),
    (lambda: T64 + np.ma.masked_array(X, X > 0), errors.DTypeError, "b must.*mask"),
    (lambda: tensor(np.ma.masked_array(X)), errors.DTypeError, "data.*mask"),
    (lambda: fastnn.compile_inference(fastnn.nn.Linear(3, 2))(np.ma.masked_array(X)), errors.DTypeError, "input.*mask"),
    (lambda: T64 + np.ones(2), errors.ShapeError, r"\(4, 3\) and \(2,\)"),
    (lambda: np.ones(2) > T64, errors.ShapeError, "less"),
    (lambda: F.where(T64, 1.0, T64), errors.DTypeError, "mask.*bool.*float64"),
    (lambda: T64 @ T64, errors.ShapeError, r"\(4, 3\) and \(4, 3\)"),
    (lambda: T64 @ 2.0, errors.ShapeError, "at least one dimension"),
    (lambda: np.ones((2, 4, 3)) @ tensor(np.ones((3, 3, 2))), errors.ShapeError, "leading"),
    (lambda: F.linear(X, np.ones((2, 4))), errors.ShapeError, r"\(\.\.\., 4\).*\(4, 3\)"),
    (lambda: F.linear(X, np.ones(3)), errors.ShapeError, "weight"),
    (lambda: F.linear(X, np.ones((2, 3)), np.ones(3)), errors.ShapeError, r"bias.*\(2,\).*\(3,\)"),
    (lambda: F.linear(X, tensor(np.ones((2, 3))), tensor(np.ones(2), np.float32)), errors.DTypeError, "bias.*float32.*float64"),
    (lambda: F.bilinear(X, X, np.ones((2, 3))), errors.ShapeError, "weight"),
    (lambda: F.bilinear(X, X, np.ones((2, 3, 4))), errors.ShapeError, r"\(\.\.\., 3\).*\(\.\.\., 4\)"),
    (lambda: T64.sum(2), errors.ShapeError, "-2 and 1.*2"),
    (lambda: T64.sum((0, -2)), errors.ShapeError, "repeat"),
    (lambda: T64.mean("rows"), errors.DTypeError, "axis.*int.*str"),
    (lambda: F.max(np.ones((0, 3)), 0), errors.ShapeError, "max.*no element"),
    (lambda: F.argmax(np.ones((0, 3))), errors.ShapeError, "no element"),
    (lambda: F.var(np.ones(1)), errors.ArgumentError, "more than 1"),
    (lambda: T64.reshape(5, -1), errors.ShapeError, r"12 elements.*got \(5, -1\)"),
    (lambda: T64.reshape(-1, -1), errors.ShapeError, "-1"),
    (lambda: T64.reshape(-2, 6), errors.ShapeError, "negative"),
    (lambda: T64.reshape(2.0, 6), errors.DTypeError, "ints"),
    (lambda: T64.permute(0, 0), errors.ShapeError, "once"),
    (lambda: T64.transpose(0, 2), errors.ShapeError, "dim1"),
    (lambda: T64.flatten(1, 0), errors.ShapeError, "start_dim"),
    (lambda: T64.unsqueeze(3), errors.ShapeError, "dim"),
    (lambda: F.unflatten(X, 1, (2, -1)), errors.ShapeError, r"sizes.*dimension 1 of shape \(4, 3\), got \(2, -1\)"),
    (lambda: T64.broadcast_to(4, 4), errors.ShapeError, r"\(4, 4\).*got shape \(4, 3\)"),
    (lambda: T64.astype(np.complex64), errors.DTypeError, "complex64"),
    (lambda: T64.split(0), errors.ArgumentError, "at least 1"),
    (lambda: T64.split([1, 2]), errors.ShapeError, r"4.*\[1, 2\]"),
    (lambda: T64.chunk(0), errors.ArgumentError, "at least 1"),
    (lambda: F.concatenate([]), errors.ArgumentError, "at least one"),
    (lambda: F.stack([]), errors.ArgumentError, "at least one"),
    (lambda: F.concatenate([T64, T32]), errors.DTypeError, r"tensors\[1\].*float32.*float64"),
    (lambda: F.concatenate([T64, np.ones((4, 2))]), errors.ShapeError, r"tensors\[1\].*\(4, 2\)"),
    (lambda: F.pad(X, (1, 2, 3)), errors.ShapeError, "pad"),
    (lambda: F.pad(X, (1, 1), mode="reflekt"), errors.UnknownNameError, "'reflekt'.*did you mean 'reflect'"),
    (lambda: F.pad(X, (0, 3), mode="reflect"), errors.ShapeError, r"at most 2.*size 3, got \(0, 3\)"),
    (lambda: F.pad(X, (0, 4), mode="circular"), errors.ShapeError, "at most 3"),
    (lambda: F.pad(X, (-1, 3), mode="circular"), errors.ShapeError, r"at most 2 .*got \(0, 3\)"),
    (lambda: F.pad(X, (0, 1), mode="circular", value=2.0), errors.ArgumentError, "value has no meaning for mode 'circular', got 2.0"),
    *[(lambda pad=pad: F.pad(X, pad), errors.ShapeError, "at most 3 can be cut off") for pad in ((-2, -2), (-4, 2), (5, -4))],
    (lambda: F.pad(X, (-2, -2), mode="reflect"), errors.ShapeError, "at most 3 can be cut off"),
    (lambda: F.conv2d(X, W), errors.ShapeError, r"conv2d.*\(N, C, H, W\).*\(4, 3\)"),
    (lambda: F.conv2d(IMAGES, X), errors.ShapeError, r"weight must have 4 dimensions.*\(4, 3\)"),
    (lambda: F.conv2d(IMAGES, W[:, :2]), errors.ShapeError, "2 channels.*got 3"),
    (lambda: F.conv2d(IMAGES, W, np.ones(3)), errors.ShapeError, r"bias.*\(6,\).*\(3,\)"),
    (lambda: F.conv2d(IMAGES, W, groups=4), errors.ArgumentError, "groups.*divide.*got 4"),
    (lambda: F.conv2d(IMAGES, W, groups=1.0), errors.DTypeError, "groups.*1.0"),
    (lambda: F.conv2d(IMAGES, W, stride=0), errors.ArgumentError, "stride.*at least 1, got 0"),
    (lambda: F.conv2d(IMAGES, W, stride=(1, 2, 3)), errors.ArgumentError, r"stride.*2 ints.*\(1, 2, 3\)"),
    (lambda: F.conv2d(IMAGES, W, padding=1.5), errors.DTypeError, "padding.*1.5"),
    (lambda: F.conv2d(IMAGES, W, padding="sane"), errors.UnknownNameError, "'sane'.*did you mean 'same'"),
    (lambda: F.conv2d(IMAGES, W, padding="same", stride=2), errors.ArgumentError, "same.*stride of 1"),
    (lambda: F.conv2d(IMAGES, W, dilation=3), errors.ShapeError, "window of 7 does not fit into the size 6"),
    (lambda: F.conv2d(tensor(IMAGES, np.float32), tensor(W)), errors.DTypeError, "weight.*float64.*float32"),
    (lambda: F.conv_transpose2d(IMAGES, W), errors.ShapeError, "6 channels.*got 3"),
    (lambda: F.conv_transpose2d(IMAGES, W[:3], output_padding=1), errors.ArgumentError, "output_padding.*got 1 for stride 1"),
    (lambda: F.conv_transpose2d(IMAGES, W[:3], padding=5), errors.ShapeError, "-2 rows"),
    (lambda: F.max_pool2d(X, 2), errors.ShapeError, r"max_pool2d.*\(4, 3\)"),
    (lambda: F.max_pool2d(IMAGES, 7), errors.ShapeError, "window of 7.*size 6"),
    (lambda: F.max_pool2d(IMAGES, 3, padding=2), errors.ArgumentError, "half.*got 2 for a kernel of size 3"),
    (lambda: F.avg_pool2d(IMAGES, 2, divisor_override=0), errors.ArgumentError, "divisor_override"),
    (lambda: F.adaptive_avg_pool2d(IMAGES, (1, 2, 3)), errors.ArgumentError, r"output_size.*\(1, 2, 3\)"),
    (lambda: F.adaptive_max_pool2d(IMAGES, 0), errors.ArgumentError, "at least 1, got"),
    (lambda: F.interpolate(IMAGES), errors.ArgumentError, "either size or scale_factor"),
    (lambda: F.interpolate(IMAGES, size=3, mode="cubic"), errors.UnknownNameError, "mode of interpolation 'cubic'"),
    (lambda: F.interpolate(IMAGES, size=3, mode="linear"), errors.ShapeError, "3 dimensions"),
    (lambda: F.interpolate(IMAGES, size=3, align_corners=False), errors.ArgumentError, "align_corners"),
    (lambda: F.interpolate(IMAGES, scale_factor=0.1), errors.ShapeError, "empty"),
    (lambda: F.interpolate(IMAGES, size=3, recompute_scale_factor=True), errors.ArgumentError, "recompute_scale_factor"),
    (lambda: F.interpolate(IMAGES, size=3, mode="bilinear", antialias=True), errors.ArgumentError, "antialias must be False.*True"),
    (lambda: F.group_norm(IMAGES, 2), errors.ArgumentError, "3 channels.*got 2"),
    (lambda: F.group_norm(IMAGES, 3, np.ones(2)), errors.ShapeError, r"weight.*\(3,\).*\(2,\)"),
    (lambda: F.instance_norm(X), errors.ShapeError, r"\(N, C, \.\.\.\)"),
    (lambda: F.instance_norm(np.ones((2, 3, 1))), errors.ShapeError, "more than one value"),
    (lambda: F.instance_norm(IMAGES, use_input_stats=False), errors.StateError, "running_mean"),
    (lambda: F.dropout2d(X), errors.ShapeError, r"\(N, C, H, W\).*\(4, 3\)"),
    (lambda: F.dropout2d(IMAGES, 2.0), errors.ArgumentError, "0 and 1, got 2.0"),
    (lambda: T64[4], errors.ArgumentError, r"\(4, 3\), got 4"),
    (lambda: T64[0, 0, 0], errors.ArgumentError, "index"),
    (lambda: T64[1.0], errors.DTypeError, "float"),
    (lambda: T64[np.array([0, 4])], errors.ArgumentError, "-4 and 3, got 4"),
    (lambda: T64[np.array([0.5])], errors.DTypeError, "integers.*float64"),
    (lambda: tensor(1.0)[np.array([0])], errors.ShapeError, "without dimensions"),
    (lambda: F.embedding([0, 4], X), errors.ArgumentError, "0 and 3, got 4"),
    (lambda: F.embedding([-1], X), errors.ArgumentError, "0 and 3, got -1"),
    (lambda: F.embedding([0.0], X), errors.DTypeError, "integers"),
    (lambda: F.embedding([0], np.ones(3)), errors.ShapeError, r"\(V, D\).*\(3,\)"),
    (lambda: F.embedding([0], X, padding_idx=4), errors.ArgumentError, "padding_idx.*-4 and 3, got 4"),
    (lambda: F.gelu(X, approximate="tan"), errors.UnknownNameError, "'tan'.*did you mean 'tanh'"),
    (lambda: F.celu(X, 0.0), errors.ArgumentError, "alpha"),
    (lambda: F.softplus(X, 0.0), errors.ArgumentError, "beta"),
    (lambda: F.hardtanh(X, 1.0, -1.0), errors.ArgumentError, "max_val must be at least 1, got -1"),
    (lambda: F.prelu(X, np.ones(2)), errors.ShapeError, "1 or 3.*\\(2,\\)"),
    (lambda: F.maxout(X, 2), errors.ShapeError, "multiple"),
    (lambda: F.maxout(X, -3), errors.ShapeError, "-3"),
    (lambda: F.softmax(X, dim=2), errors.ShapeError, "dim"),
    (lambda: F.dropout(X, 1.5), errors.ArgumentError, "0 and 1, got 1.5"),
    (lambda: F.dropout(X, -0.1), errors.ArgumentError, "-0.1"),
    (lambda: F.layer_norm(X, (4,)), errors.ShapeError, r"layer_norm.*4\), got \(4, 3\)"),
    (lambda: F.layer_norm(X, (3,), np.ones(4)), errors.ShapeError, r"weight.*\(3,\).*\(4,\)"),
    (lambda: F.layer_norm(X, (3,), eps=-1.0), errors.ArgumentError, "eps"),
    (lambda: F.rms_norm(X, ()), errors.ShapeError, "rms_norm"),
    (lambda: F.batch_norm(np.ones(3), None, None, training=True), errors.ShapeError, r"\(3,\)"),
    (lambda: F.batch_norm(np.ones((1, 3)), None, None, training=True), errors.ShapeError, "more than one value"),
    (lambda: F.batch_norm(X, None, None), errors.StateError, "running_mean"),
    (lambda: F.batch_norm(X, np.ones(2), np.ones(3)), errors.ShapeError, r"running_mean.*\(3,\).*\(2,\)"),
    (lambda: F.mse_loss(X, np.ones(4)), errors.ShapeError, r"target.*\(4, 3\).*\(4,\)"),
    (lambda: F.mse_loss(X, X, reduction="avg"), errors.UnknownNameError, "reduction 'avg'.*mean"),
    (lambda: F.cross_entropy(X, INTS, reduction="average"), errors.UnknownNameError, "reduction"),
    (lambda: F.kl_div(X, X, reduction="batch"), errors.UnknownNameError, "reduction"),
    (lambda: F.huber_loss(X, X, delta=0.0), errors.ArgumentError, "delta.*0"),
    (lambda: F.smooth_l1_loss(X, X, beta=-1.0), errors.ArgumentError, "beta.*-1"),
    (lambda: F.binary_cross_entropy(X, X, weight=np.ones(2)), errors.ShapeError, r"weight.*\(4, 3\).*\(2,\)"),
    (lambda: F.binary_cross_entropy_with_logits(X, X, pos_weight=np.ones(2)), errors.ShapeError, "pos_weight"),
    (lambda: F.cross_entropy(X, [0, 1, 2, 3]), errors.LabelError, "0 and 2, got 3"),
    (lambda: F.cross_entropy(X, [0, 1, -1, 2]), errors.LabelError, "0 and 2, got -1"),
    (lambda: F.cross_entropy(X, [0.0, 1.0, np.nan, 2.0]), errors.LabelError, "target.*got NaN"),
    (lambda: F.cross_entropy(X, [0.0, 1.0, 1.0, 2.0]), errors.DTypeError, "target.*integers.*float32"),
    (lambda: F.cross_entropy(X, np.array([True] * 4)), errors.DTypeError, "bool"),
    (lambda: F.cross_entropy(X, [0, 1]), errors.ShapeError, r"\(4,\).*\(2,\)"),
    (lambda: F.cross_entropy(X, np.zeros((4, 1), int)), errors.ShapeError, r"\(4,\).*\(4, 1\)"),
    (lambda: F.cross_entropy(X, INTS, weight=np.ones(4)), errors.ShapeError, "weight"),
    (lambda: F.cross_entropy(X, INTS, sample_weight=np.ones(3)), errors.ShapeError, "sample_weight"),
    (lambda: F.cross_entropy(X, INTS, label_smoothing=1.5), errors.ArgumentError, "label_smoothing.*1.5"),
    (lambda: F.cross_entropy(np.ones((4, 0)), INTS), errors.ShapeError, "at least one class"),
    (lambda: F.nll_loss(X, [3, 0, 0, 0]), errors.LabelError, "got 3"),
    (lambda: fastnn.manual_seed(-1), errors.ArgumentError, "-1"),
    (lambda: fastnn.manual_seed(1.5), errors.DTypeError, "float"),
    (lambda: tensor(["a"]), errors.DTypeError, "numbers|dtype"),
    (lambda: tensor([1.0], np.int16), errors.DTypeError, "int16"),
    (lambda: tensor([1.0], "flaot32"), errors.DTypeError, "float32, float64.*got flaot32"),
    (lambda: T64.astype("flaot32"), errors.DTypeError, "astype.*got flaot32"),
    (lambda: tensor([[1.0], [1.0, 2.0]]), errors.ShapeError, "rows of one length, got"),
    (lambda: F.huber_loss(X, X, delta="1"), errors.DTypeError, "delta must be a number, got '1'"),
    (lambda: tensor([1, 2], requires_grad=True), errors.DTypeError, "requires_grad.*int64"),
    (lambda: V.backward(), errors.ShapeError, r"\(4, 3\)"),
    (lambda: V.backward(np.ones(2)), errors.ShapeError, r"\(4, 3\).*\(2,\)"),
    (lambda: T64.sum().backward(), errors.StateError, "requires a gradient"),
    (lambda: T64.item(), errors.ShapeError, "one element"),
    (lambda: len(tensor(1.0)), errors.ShapeError, "no length"),
    (lambda: grad(lambda x: x * 2.0)(X), errors.ShapeError, r"one element.*\(4, 3\)"),
    (lambda: grad(lambda x: 3)(X), errors.ShapeError, "int"),
    (lambda: value_and_grad(lambda x: x.sum(), 1)(X), errors.ArgumentError, "argnums.*1"),
    (lambda: kernels.set_backend("cuda"), errors.UnknownNameError, "backend 'cuda'.*numba, numpy"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS, ids=[f"{i}: {e.__name__} {m}" for i, (_, e, m) in enumerate(ERRORS)])
def test_a_wrong_argument_is_refused_before_anything_runs(call, error, message):
    before = V.grad
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, errors.FastnnError)
    assert V.grad is before


def test_running_statistics_do_not_change_where_an_argument_is_wrong():
    mean, var = np.zeros(3), np.ones(3)
    with pytest.raises(errors.ShapeError):
        F.batch_norm(X, mean, var, weight=np.ones(2), training=True)
    np.testing.assert_array_equal(mean, np.zeros(3))
    np.testing.assert_array_equal(var, np.ones(3))


def test_a_gradient_without_further_derivative_says_so():
    def penalty(w):
        slope = grad(lambda w: (F.embedding([0, 1], w, padding_idx=1) ** 3).sum())
        return (slope(w) * slope(w)).sum()

    with pytest.raises(errors.StateError, match=r"embedding.*differentiated again"):
        grad(penalty)(X)


def test_values_are_out_of_reach_while_a_program_is_recorded(monkeypatch):
    monkeypatch.setattr(mode, "run", lambda name, *operands: None)
    y = Tensor(X) * 2.0
    for look in (y.numpy, lambda: bool(y[0, 0] > 1.0), lambda: float(y[0, 0]), lambda: np.asarray(y)):
        with pytest.raises(errors.StateError, match="recorded"):
            look()
