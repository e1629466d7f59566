"""Training steps with Adam: forward, loss, backward, update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ... import compile_training, optim, use_backend
from ...losses import get as loss_named
from ...tensor import Tensor
from .. import nets, peers
from ..case import AbsentError, Case, Contestant, Setting
from ..nets import LR, Net

BETAS, EPS = (0.9, 0.999), 1e-8
STEPS = 3  # whose losses are compared


def cases(setting: Setting) -> Iterator[Case]:
    """A step of each network."""
    for net in nets.nets(setting.quick):
        yield _case(net, setting)


def _case(net: Net, setting: Setting) -> Case:
    torch = partial(_torch, net, setting)
    contestants: dict[str, Callable[[], Contestant]] = {
        "fastnn": partial(_epoch, net),
        "fastnn step": partial(_step, net),
        "PyTorch": torch,
        "PyTorch compiled": partial(torch, compiled=True),
    }
    if len(net.inputs) == 3:
        contestants["PyTorch channels last"] = partial(torch, channels_last=True)
    if net.layers is not None:
        contestants["JAX"] = partial(_jax, net, setting)
        if all(kind in ("linear", "relu", "tanh") for kind, *_ in net.layers):
            contestants["scikit-learn"] = partial(_sklearn, net, setting)
    return Case(
        group="training step",
        name=f"{net.name}, batch {net.batch}",
        contestants=contestants,
        reference=partial(_losses, net),
        rtol=net.rtol,
        atol=1e-5,
        flops=3 * net.batch * net.flops,
    )


def _losses(net: Net) -> list[float]:
    """The losses of the first steps on one batch, in float64: a wrong gradient or update shows from the second one on."""
    with use_backend("numpy"):
        model = net.model().double()
        optimizer = optim.Adam(model.parameters(), lr=LR, betas=BETAS, eps=EPS)
        x, y = (Tensor(a.astype(np.float64) if a.dtype.kind == "f" else a) for a in net.data(net.batch))
        losses = []
        for _ in range(STEPS):
            loss = loss_named(net.loss)(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def _repeated(step: Callable[[], float]) -> list[float]:
    return [step() for _ in range(STEPS)]


def _compiled(net: Net) -> Any:
    model = net.model()
    return compile_training(model, net.loss, optim.Adam(model.parameters(), lr=LR, betas=BETAS, eps=EPS))


def _epoch(net: Net) -> Contestant:
    """Many steps in one call; rows are gathered in a new order each time."""
    x, y = net.data(net.batch)
    step = _compiled(net)
    many = [np.concatenate([a] * net.batches) for a in (x, y)]
    first = [np.concatenate([a] * STEPS) for a in (x, y)]
    rng = np.random.default_rng(0)
    return Contestant(lambda: step.run_epoch(*many, net.batch, rng=rng), lambda: step.run_epoch(*first, net.batch), net.batches)


def _step(net: Net) -> Contestant:
    x, y = net.data(net.batch)
    call = partial(_compiled(net), x, y)
    return Contestant(call, partial(_repeated, call))


def _torch(net: Net, setting: Setting, compiled: bool = False, channels_last: bool = False) -> Contestant:
    torch = peers.torch(setting.threads)
    model = net.torch_model(torch)
    x, y = map(torch.from_numpy, net.data(net.batch))
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, betas=BETAS, eps=EPS, fused=True)
    loss_of = getattr(torch.nn.functional, {"mse": "mse_loss"}.get(net.loss, net.loss))
    forward = peers.compiled(torch, model, setting.quick) if compiled else model

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of(forward(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    try:
        losses = _repeated(step)
    except Exception as error:
        if not compiled:
            raise
        raise AbsentError(f"compilation failed: {type(error).__name__}") from error
    return Contestant(step, lambda: losses)


def _jax(net: Net, setting: Setting) -> Contestant:
    jax = peers.jax(setting.threads)
    jnp, tree = jax.numpy, jax.tree_util.tree_map
    x, y = map(jnp.asarray, net.data(net.batch))
    start = {name: jnp.asarray(value) for name, value in net.state().items()}

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        return nets.loss_of(jnp, nets.forward(jnp, parameters, x, net.layers or ()), y, net.loss)

    def update(parameters: Any, m: Any, v: Any, count: Any, x: Any, y: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(parameters, x, y)
        count = count + 1
        m = tree(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, m, grads)
        v = tree(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g * g, v, grads)
        size, scale = LR / (1 - BETAS[0] ** count), 1 / (1 - BETAS[1] ** count)
        return tree(lambda p, m, v: p - size * m / (jnp.sqrt(v * scale) + EPS), parameters, m, v), m, v, count, loss

    compiled = jax.jit(update, donate_argnums=(0, 1, 2))
    zeros = tree(jnp.zeros_like, start)
    state = [start, zeros, tree(jnp.zeros_like, start), jnp.float32(0)]

    def step() -> float:
        *state[:], loss = compiled(*state, x, y)
        return float(loss)

    return Contestant(step, partial(_repeated, step))


def _sklearn(net: Net, setting: Setting) -> Contestant:
    module = peers.sklearn(setting.threads)
    x, y = net.data(net.batch)
    layers = net.layers or ()
    widths = tuple(sizes[1] for kind, *sizes in layers if kind == "linear")[:-1]
    settings = {
        "hidden_layer_sizes": widths,
        "activation": layers[1][0],
        "solver": "adam",
        "alpha": 0.0,
        "batch_size": net.batch,
        "learning_rate_init": LR,
        "random_state": 0,
        "epsilon": EPS * (1 - BETAS[1]) ** 0.5,  # which it adds before it takes the bias off the second moment
    }
    weights, biases = ([value for name, value in net.state().items() if name.endswith(kind)] for kind in (".weight", ".bias"))
    halved = 1.0
    if net.loss == "mse":
        model, more = module.MLPRegressor(**settings), {}
        halved = 2.0  # its loss is half the mean of the squares
    else:
        model, more = module.MLPClassifier(**settings), {"classes": np.arange(net.outputs)}
        if net.outputs == 2:  # it has one output then: the difference of the two
            weights[-1], biases[-1] = weights[-1][1:] - weights[-1][:1], biases[-1][1:] - biases[-1][:1]

    def step() -> float:
        model.partial_fit(x, y)
        return halved * float(model.loss_)

    def losses() -> list[float]:
        model.partial_fit(x, y, **more)
        for theirs, ours in zip(model.coefs_ + model.intercepts_, [w.T for w in weights] + biases, strict=True):
            theirs[...] = ours
        del model._optimizer  # which has made a step already
        found = _repeated(step)
        # One output in the place of two learns at another speed: only the loss before the first step is the same.
        return [found[0], *_losses(net)[1:]] if net.loss != "mse" and net.outputs == 2 else found

    return Contestant(step, losses)
