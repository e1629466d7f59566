"""Clipped gradients and their norms are those of PyTorch."""

from math import inf

import numpy as np
import pytest
from fastnn.kernels._registry import BACKENDS
from optimiser_table import parameters, set_gradients, values

from fastnn import kernels, optim
from fastnn.errors import ArgumentError, StateError
from fastnn.tensor import Tensor, tensor

EACH_BACKEND = pytest.mark.parametrize("backend", BACKENDS)
FLAT = pytest.mark.parametrize("flat", [True, False], ids=["in a flat buffer", "each by itself"])


def clipped(clip, flat, backend, *arguments):
    params = parameters()
    if flat:
        optim.SGD(params)
    set_gradients(params, 0)
    params[1].grad = None
    with kernels.use_backend(backend):
        result = clip(params, *arguments)
    return result, params


def torch_gradients(torch):
    params = [torch.zeros(value.shape, dtype=torch.float64, requires_grad=True) for value in values(np.float64)]
    for p, g in zip(params, values(np.float64, 100), strict=True):
        p.grad = torch.tensor(g)
    params[1].grad = None
    return params


def assert_same(ours, theirs):
    for p, t in zip(ours, theirs, strict=True):
        if t.grad is None:
            assert p.grad is None
        else:
            np.testing.assert_allclose(p.grad.data, t.grad.numpy(), rtol=1e-12)


@EACH_BACKEND
@FLAT
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.5, inf])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e3])
def test_clip_by_norm(max_norm, norm_type, flat, backend):
    torch = pytest.importorskip("torch")
    norm, ours = clipped(optim.clip_grad_norm_, flat, backend, max_norm, norm_type)
    theirs = torch_gradients(torch)[:5] + torch_gradients(torch)[6:]  # PyTorch has no maximum of an empty gradient
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert norm.shape == ()
    np.testing.assert_allclose(norm.item(), expected.item(), rtol=1e-12)
    assert_same(ours[:5] + ours[6:], theirs)


@EACH_BACKEND
@FLAT
def test_clip_by_value(flat, backend):
    torch = pytest.importorskip("torch")
    _, ours = clipped(optim.clip_grad_value_, flat, backend, 0.5)
    theirs = torch_gradients(torch)
    torch.nn.utils.clip_grad_value_(theirs, 0.5)
    assert_same(ours, theirs)


def test_the_norm_is_in_the_dtype_of_the_gradients_and_spans_both():
    a, b = tensor([0.0, 0.0], requires_grad=True), tensor(np.zeros(1), requires_grad=True)
    a.grad = Tensor(np.array([3.0, 0.0], np.float32))
    assert optim.clip_grad_norm_(a, 10.0).dtype == np.float32
    b.grad = Tensor(np.array([4.0]))
    norm = optim.clip_grad_norm_([a, b], 2.5)
    assert norm.dtype == np.float64
    assert norm.item() == 5.0
    np.testing.assert_allclose(a.grad.data, [1.5, 0.0], rtol=1e-6)
    np.testing.assert_allclose(b.grad.data, [2.0], rtol=1e-6)


def test_without_gradients_the_norm_is_zero():
    assert optim.clip_grad_norm_(parameters(), 1.0).item() == 0.0


def test_gradients_that_are_not_finite_raise_if_wanted():
    p = tensor([1.0, 2.0], requires_grad=True)
    p.grad = Tensor(np.array([np.nan, 1.0], np.float32))
    with pytest.raises(StateError, match="nan"):
        optim.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert p.grad.data[1] == 1.0
    assert np.isnan(optim.clip_grad_norm_(p, 1.0).item())
    assert np.isnan(p.grad.data).all()


@pytest.mark.parametrize(
    ("clip", "arguments", "name"),
    [
        (optim.clip_grad_norm_, (-1.0,), "max_norm"),
        (optim.clip_grad_norm_, (np.nan,), "max_norm"),
        (optim.clip_grad_norm_, (1.0, 0.0), "norm_type"),
        (optim.clip_grad_value_, (-1.0,), "clip_value"),
    ],
)
def test_wrong_bounds(clip, arguments, name):
    with pytest.raises(ArgumentError, match=name):
        clip(parameters(), *arguments)
