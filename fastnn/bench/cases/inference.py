"""Forward passes of trained networks, for one example and for a whole batch."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import compile_inference, use_backend
from ...tensor import Tensor, no_grad
from .. import nets, peers
from ..case import AbsentError, Array, Case, Contestant, Setting
from ..nets import LAYER_NORM_EPS, Layers, Net

OPSET, IR_VERSION = 17, 8  # the first that has LayerNormalization


def cases(setting: Setting) -> Iterator[Case]:
    """Each network at batch 1 and at its training batch, and ResNet-18 on an image of its usual size."""
    for net in nets.nets(setting.quick):
        for batch in (1, net.batch):
            yield _case(net, batch, setting)
    if not setting.quick:
        yield _case(nets.LARGE_IMAGE, 1, setting)


def _case(net: Net, batch: int, setting: Setting) -> Case:
    contestants: dict[str, Callable[[], Contestant]] = {
        "fastnn": partial(_ours, net, batch),
        "ONNX Runtime": partial(_onnxruntime, net, batch, setting),
        "PyTorch": partial(_torch, net, batch, setting),
        "PyTorch traced": partial(_torch, net, batch, setting, traced=True),
    }
    if net.layers is not None:
        contestants["JAX"] = partial(_jax, net, batch, setting)
    else:
        contestants["PyTorch channels last"] = partial(_torch, net, batch, setting, channels_last=True)
        contestants["PyTorch compiled"] = partial(_torch, net, batch, setting, compiled=True)
    return Case(
        group="inference",
        name=f"{net.name}, batch {batch}",
        contestants=contestants,
        reference=partial(_output, net, batch),
        rtol=1e-3,
        atol=1e-4,
        flops=batch * net.flops,
    )


def _output(net: Net, batch: int) -> Array:
    x = net.data(batch)[0]
    if net.layers is not None:
        parameters = {name: value.astype(np.float64) for name, value in net.state().items()}
        result: Array = nets.forward(np, parameters, x.astype(np.float64), net.layers)
        return result
    with use_backend("numpy"), no_grad():
        model = net.model()
        model.eval()
        return np.array(model(Tensor(x)).numpy())


def _ours(net: Net, batch: int) -> Contestant:
    x = net.data(batch)[0]
    call = partial(compile_inference(net.model()), x)
    return Contestant(call, call)


def _torch(net: Net, batch: int, setting: Setting, traced: bool = False, channels_last: bool = False, compiled: bool = False) -> Contestant:
    x = net.data(batch)[0]
    torch = peers.torch(setting.threads)
    model = net.torch_model(torch).eval()
    given = torch.from_numpy(x)
    if traced:
        model = torch.jit.freeze(torch.jit.trace(model, given))
    if channels_last:
        model, given = model.to(memory_format=torch.channels_last), given.to(memory_format=torch.channels_last)
    if compiled:
        model = peers.compiled(torch, model, setting.quick)

    def call() -> Any:
        with torch.inference_mode():
            return model(given)

    return Contestant(call, lambda: call().numpy())


def _jax(net: Net, batch: int, setting: Setting) -> Contestant:
    x = net.data(batch)[0]
    jax = peers.jax(setting.threads)
    parameters = {name: jax.numpy.asarray(value) for name, value in net.state().items()}
    given = jax.numpy.asarray(x)
    model = jax.jit(lambda parameters, x: nets.forward(jax.numpy, parameters, x, net.layers or ()))
    return Contestant(lambda: model(parameters, given).block_until_ready(), lambda: np.asarray(model(parameters, given)))


def _onnxruntime(net: Net, batch: int, setting: Setting) -> Contestant:
    x = net.data(batch)[0]
    runtime = peers.onnxruntime(setting.threads)
    graph = _graph(net, x.shape, peers.onnx(setting.threads)) if net.layers is not None else _exported(net, x, peers.torch(setting.threads))
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = setting.threads, 1
    options.log_severity_level = 3  # errors
    session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    call = partial(session.run, None, {session.get_inputs()[0].name: x})
    return Contestant(call, lambda: call()[0])


def _graph(net: Net, shape: tuple[int, ...], onnx: Any) -> bytes:
    """The described network as an ONNX model."""
    make, numpy = onnx.helper, onnx.numpy_helper
    nodes: list[Any] = []

    def add(kind: str, inputs: list[str], **attributes: Any) -> str:
        nodes.append(make.make_node(kind, inputs, [f"value{len(nodes)}"], **attributes))
        return f"value{len(nodes) - 1}"

    def follow(at: str, layers: Layers, prefix: str) -> str:
        for i, (kind, *sizes) in enumerate(layers):
            pair = [f"{prefix}{i}.weight", f"{prefix}{i}.bias"]
            if kind == "linear":
                at = add("Gemm", [at, *pair], transB=1)
            elif kind == "layer_norm":
                at = add("LayerNormalization", [at, *pair], axis=-1, epsilon=LAYER_NORM_EPS)
            elif kind == "residual":
                at = add("Add", [follow(at, tuple(sizes), f"{prefix}{i}.body."), at])
            else:
                at = add({"relu": "Relu", "tanh": "Tanh"}[kind], [at])
        return at

    result = follow("x", net.layers or (), "")
    number = onnx.TensorProto.FLOAT
    graph = make.make_graph(
        nodes,
        "net",
        [make.make_tensor_value_info("x", number, shape)],
        [make.make_tensor_value_info(result, number, (shape[0], net.outputs))],
        [numpy.from_array(value, name) for name, value in net.state().items()],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    serialised: bytes = model.SerializeToString()
    return serialised


def _exported(net: Net, x: Array, torch: Any) -> bytes:
    """PyTorch's twin of the network as an ONNX model."""
    target = io.BytesIO()
    try:
        torch.onnx.export(net.torch_model(torch).eval(), (torch.from_numpy(x),), target, dynamo=False)
    except Exception as error:
        raise AbsentError(f"PyTorch cannot export the model: {type(error).__name__}") from error
    return target.getvalue()
