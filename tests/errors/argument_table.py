"""Every public function and class with arguments that it takes: the tests spoil one of them at a time."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import fastnn
from fastnn import data, datasets, kernels, models, nn, optim
from fastnn.data import augment
from fastnn.models._residual_blocks import BasicBlock
from fastnn.nn import functional as F
from fastnn.nn import init
from fastnn.optim import lr_scheduler
from fastnn.tensor import Tensor
from fastnn.training import EarlyStopping, History, metrics


class Call(NamedTuple):
    """A function, arguments that it takes, and other words by which its messages may name them."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    words: tuple[str, ...] = ()


CALLS: dict[str, Call] = {}


def enter(name: str, function: Callable[..., Any], /, *words: str, **arguments: Any) -> None:
    CALLS[name] = Call(function, arguments, words)


X = np.linspace(-1, 1, 12).reshape(4, 3)
P = np.full((4, 3), 0.25)
SIGNS = np.where(X < 0, -1.0, 1.0)
LABELS = np.array([0, 1, 2, 0])
IMAGES = np.linspace(0, 1, 72).reshape(2, 1, 6, 6)
SEQUENCES = np.linspace(0, 1, 24).reshape(2, 2, 6)
V3, V2 = np.ones(3), np.ones(2)
RNG = np.random.default_rng(0)


for name in ("exp", "log", "sin", "cos", "sqrt", "erf", "sign"):
    enter(f"functional.{name}", getattr(F, name), x=X)
for name in ("maximum", "minimum", "matmul"):
    enter(f"functional.{name}", getattr(F, name), a=X, b=X.T if name == "matmul" else X)
for name in ("sigmoid", "tanh", "relu", "selu", "silu", "mish", "logsigmoid", "softsign", "relu6", "hardsigmoid", "hardswish"):
    enter(f"functional.{name}", getattr(F, name), input=X)
for name in ("sum", "mean", "max", "min", "argmax"):
    enter(f"functional.{name}", getattr(F, name), x=X, axis=0)
for name in ("softmax", "log_softmax"):
    enter(f"functional.{name}", getattr(F, name), input=X, dim=-1)
for name in ("mse_loss", "l1_loss"):
    enter(f"functional.{name}", getattr(F, name), input=X, target=X, reduction="mean")
for name, weight in (("conv1d", np.ones((2, 2, 3))), ("conv2d", np.ones((2, 1, 3, 3)))):
    x = SEQUENCES if name == "conv1d" else IMAGES
    enter(f"functional.{name}", getattr(F, name), input=x, weight=weight, bias=V2, stride=1, padding=0, dilation=1, groups=1)
for name, x, weight in (("1d", SEQUENCES, np.ones((2, 2, 3))), ("2d", IMAGES, np.ones((1, 2, 3, 3)))):
    settings = {"stride": 2, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
    enter(f"functional.conv_transpose{name}", getattr(F, f"conv_transpose{name}"), input=x, weight=weight, bias=V2, **settings)
    enter(f"functional.max_pool{name}", getattr(F, f"max_pool{name}"), input=x, kernel_size=2, stride=2, padding=0, dilation=1)
    enter(f"functional.avg_pool{name}", getattr(F, f"avg_pool{name}"), input=x, kernel_size=2, stride=2, padding=0)
    for kind in ("avg", "max"):
        function = f"adaptive_{kind}_pool{name}"
        enter(f"functional.{function}", getattr(F, function), input=x, output_size=2)

enter("functional.avg_pool2d divided", F.avg_pool2d, input=IMAGES, kernel_size=2, divisor_override=2)
enter("functional.clip", F.clip, x=X, low=0.0, high=1.0)
enter("functional.where", F.where, mask=X > 0, a=X, b=X)
enter("functional.leaky_relu", F.leaky_relu, input=X, negative_slope=0.1)
enter("functional.elu", F.elu, input=X, alpha=1.0)
enter("functional.celu", F.celu, input=X, alpha=1.0)
enter("functional.gelu", F.gelu, "approximation", input=X, approximate="none")
enter("functional.softplus", F.softplus, input=X, beta=1.0, threshold=20.0)
enter("functional.hardtanh", F.hardtanh, input=X, min_val=-1.0, max_val=1.0)
enter("functional.prelu", F.prelu, input=X, weight=V3)
enter("functional.maxout", F.maxout, input=X, pieces=3, dim=-1)
enter("functional.var", F.var, x=X, axis=0, correction=1)
enter("functional.linear", F.linear, input=X, weight=np.ones((2, 3)), bias=V2)
enter("functional.bilinear", F.bilinear, "inputs", input1=X, input2=X, weight=np.ones((2, 3, 3)), bias=V2)
enter("functional.embedding", F.embedding, input=LABELS, weight=X, padding_idx=0)
enter("functional.layer_norm", F.layer_norm, "input", input=X, normalized_shape=(3,), weight=V3, bias=V3, eps=1e-5)
enter("functional.rms_norm", F.rms_norm, "input", input=X, normalized_shape=(3,), weight=V3, eps=1e-5)
running = {"running_mean": np.zeros(3), "running_var": np.ones(3)}
enter("functional.batch_norm", partial(F.batch_norm, training=True), input=X, **running, weight=V3, bias=V3, momentum=0.1, eps=1e-5)
enter("functional.batch_norm, evaluation", F.batch_norm, input=X, **running, weight=V3, bias=V3, momentum=0.1, eps=1e-5)
enter("functional.group_norm", F.group_norm, input=SEQUENCES, num_groups=2, weight=V2, bias=V2, eps=1e-5)
running = {"running_mean": np.zeros(2), "running_var": np.ones(2)}
enter("functional.instance_norm", F.instance_norm, input=SEQUENCES, **running, weight=V2, bias=V2, momentum=0.1, eps=1e-5)
enter("functional.huber_loss", F.huber_loss, input=X, target=X, reduction="mean", delta=1.0)
enter("functional.smooth_l1_loss", F.smooth_l1_loss, input=X, target=X, reduction="mean", beta=1.0)
enter("functional.binary_cross_entropy", F.binary_cross_entropy, input=P, target=P, weight=V3, reduction="mean")
with_logits = F.binary_cross_entropy_with_logits
enter("functional.binary_cross_entropy_with_logits", with_logits, input=X, target=P, weight=V3, reduction="mean", pos_weight=V3)
enter("functional.kl_div", F.kl_div, input=X, target=P, reduction="mean")
enter("functional.hinge_loss", F.hinge_loss, input=X, target=SIGNS, margin=1.0, reduction="mean")
labelled = {"input": X, "target": LABELS, "weight": V3, "ignore_index": -100, "reduction": "mean"}
enter("functional.cross_entropy", F.cross_entropy, **labelled, label_smoothing=0.1, sample_weight=np.ones(4))
enter("functional.nll_loss", F.nll_loss, **labelled)
enter("functional.dropout", F.dropout, input=X, p=0.5)
enter("functional.dropout1d", F.dropout1d, input=SEQUENCES, p=0.5)
enter("functional.dropout2d", F.dropout2d, input=IMAGES, p=0.5)
enter("functional.pad", F.pad, input=X, pad=(1, 1), mode="constant", value=0.0)
enter("functional.interpolate", partial(F.interpolate, mode="bilinear"), input=IMAGES, size=(3, 3), scale_factor=None)
enter("functional.interpolate by a factor", F.interpolate, input=IMAGES, size=None, scale_factor=2.0, mode="nearest", align_corners=None)
enter("functional.astype", F.astype, x=X, dtype="float32")
enter("functional.broadcast_to", lambda x, shape: F.broadcast_to(x, shape), x=X, shape=(2, 4, 3))
enter("functional.reshape", lambda x, shape: F.reshape(x, shape), "sizes", x=X, shape=(3, 4))
enter("functional.permute", lambda x, dims: F.permute(x, dims), "shape", x=X, dims=(1, 0))
enter("functional.chunk", F.chunk, x=X, chunks=2, dim=0)
enter("functional.split", F.split, "sizes", x=X, split_size=2, dim=0)
enter("functional.concatenate", F.concatenate, tensors=[X, X], axis=0)
enter("functional.stack", F.stack, tensors=[X, X], dim=0)
enter("functional.flatten", F.flatten, x=X, start_dim=0, end_dim=-1)
enter("functional.unflatten", F.unflatten, "dimension", x=X, dim=1, sizes=(3, 1))
enter("functional.squeeze", F.squeeze, x=X, dim=0)
enter("functional.unsqueeze", F.unsqueeze, x=X, dim=0)
enter("functional.transpose", F.transpose, x=X, dim0=0, dim1=1)


enter("tensor", fastnn.tensor, data=X, dtype="float32")
enter("tensor[]", lambda index: Tensor(X)[index], index=0)
enter("tensor of numbers", lambda a: Tensor(X) + a, "b", a=X)
enter("Tensor.backward", lambda gradient: (Tensor(X, True) * 2.0).backward(gradient), gradient=X)
enter("grad", lambda function, argnums: fastnn.grad(function, argnums)(X), function=lambda x: (x * x).sum(), argnums=0)
enter("value_and_grad", lambda argnums: fastnn.value_and_grad(lambda x: (x * x).sum(), argnums)(X), argnums=0)
enter("manual_seed", fastnn.manual_seed, seed=0)
enter("set_backend", fastnn.set_backend, "backend", name="numpy")
enter("use_backend", lambda name: fastnn.use_backend(name).__enter__(), "backend", name="numpy")
enter("set_num_threads", fastnn.set_num_threads, count=2)
enter("threads", lambda count: fastnn.threads(count).__enter__(), count=1)


single = {name: a.astype(np.float32) for name, a in {"X": X, "P": P, "IMAGES": IMAGES, "SEQUENCES": SEQUENCES, "SIGNS": SIGNS}.items()}
X32, P32, IMAGES32, SEQUENCES32, SIGNS32 = single.values()


def layer(name: str, inputs: dict[str, Any], /, *words: str, **settings: Any) -> None:
    """A layer, as it is built and as it is called."""
    kind = getattr(nn, name)
    enter(f"nn.{name}", kind, *words, **settings)
    built = kind(**settings)
    enter(f"nn.{name}()", lambda **given: built(*given.values()), *words, "input", "weight", **inputs)


floats, sequences, images = {"input": X32}, {"input": SEQUENCES32}, {"input": IMAGES32}
layer("Linear", floats, in_features=3, out_features=2, dtype=None)
layer("Bilinear", {"input1": X32, "input2": X32}, "inputs", in1_features=3, in2_features=3, out_features=2, dtype=None)
layer("Embedding", {"input": LABELS}, num_embeddings=4, embedding_dim=2, padding_idx=0, dtype=None)
for name in ("Sigmoid", "Tanh", "ReLU", "ReLU6", "SELU", "SiLU", "Mish", "LogSigmoid", "Softsign", "Hardsigmoid", "Hardswish"):
    layer(name, floats)
layer("LeakyReLU", floats, negative_slope=0.1)
layer("ELU", floats, alpha=1.0)
layer("CELU", floats, alpha=1.0)
layer("GELU", floats, "approximation", approximate="tanh")
layer("Softplus", floats, beta=1.0, threshold=20.0)
layer("Hardtanh", floats, min_val=-1.0, max_val=1.0)
layer("Softmax", floats, dim=-1)
layer("LogSoftmax", floats, dim=-1)
layer("Maxout", floats, "dim", "pieces", pieces=3, dim=-1)
layer("PReLU", floats, num_parameters=1, init=0.25, dtype=None)
layer("LayerNorm", floats, normalized_shape=3, eps=1e-5, dtype=None)
layer("RMSNorm", floats, normalized_shape=3, eps=1e-5, dtype=None)
for name, inputs, channels in (
    ("BatchNorm1d", floats, 3),
    ("BatchNorm2d", images, 1),
    ("InstanceNorm1d", sequences, 2),
    ("InstanceNorm2d", images, 1),
):
    layer(name, inputs, num_features=channels, eps=1e-5, momentum=0.1, dtype=None)
layer("GroupNorm", sequences, num_groups=2, num_channels=2, eps=1e-5, dtype=None)
layer("Dropout", floats, p=0.5)
layer("Dropout1d", sequences, p=0.5)
layer("Dropout2d", images, p=0.5)
layer("Flatten", floats, "x", "start_dim", start_dim=1, end_dim=-1)
layer("Unflatten", floats, "x", "sizes", "dim", dim=1, unflattened_size=(3, 1))
for dims, inputs, channels in (("1d", sequences, 2), ("2d", images, 1)):
    sizes = {"in_channels": channels, "out_channels": 2, "kernel_size": 3, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    layer(f"Conv{dims}", inputs, **sizes, padding_mode="zeros", dtype=None)
    layer(f"ConvTranspose{dims}", inputs, **sizes, output_padding=0, padding_mode="zeros", dtype=None)
    layer(f"MaxPool{dims}", inputs, kernel_size=2, stride=2, padding=0, dilation=1)
    layer(f"AvgPool{dims}", inputs, kernel_size=2, stride=2, padding=0)
    layer(f"AdaptiveAvgPool{dims}", inputs, output_size=2)
    layer(f"AdaptiveMaxPool{dims}", inputs, output_size=2)
enter("nn.AvgPool2d divided", nn.AvgPool2d, kernel_size=2, divisor_override=2)
layer("Upsample", images, size=3, scale_factor=None, mode="nearest")
enter("nn.Upsample by a factor", nn.Upsample, size=None, scale_factor=2.0)

pair, probable = {"input": X32, "target": X32}, {"input": P32, "target": P32}
weight = np.ones(3, np.float32)
layer("MSELoss", pair, reduction="mean")
layer("L1Loss", pair, reduction="mean")
layer("HuberLoss", pair, reduction="mean", delta=1.0)
layer("SmoothL1Loss", pair, reduction="mean", beta=1.0)
layer("HingeLoss", {"input": X32, "target": SIGNS32}, margin=1.0, reduction="mean")
layer("CrossEntropyLoss", {"input": X32, "target": LABELS}, weight=weight, ignore_index=-100, reduction="mean", label_smoothing=0.0)
layer("NLLLoss", {"input": X32, "target": LABELS}, weight=weight, ignore_index=-100, reduction="mean")
layer("BCELoss", probable, weight=weight, reduction="mean")
layer("BCEWithLogitsLoss", probable, "pos_weight", weight=weight, reduction="mean", pos_weight=weight)
layer("KLDivLoss", probable, reduction="mean")

square = nn.Linear(3, 3)
enter("nn.Residual", lambda body, shortcut: nn.Residual(body, shortcut=shortcut), "Sequential.0", body=square, shortcut=None)
enter("nn.Residual()", nn.Residual(square), "input", "weight", "Residual", x=X32)
enter("nn.Sequential", lambda module: nn.Sequential(module), "Sequential.0", module=square)
enter("nn.Sequential()", nn.Sequential(square), "input", "weight", x=X32)
enter("nn.Sequential[]", lambda index: nn.Sequential(square)[index], index=0)
enter("nn.ModuleList", nn.ModuleList, "ModuleList.0", modules=[square])
enter("nn.ModuleDict", nn.ModuleDict, modules={"a": square})
enter("nn.Parameter", nn.Parameter, "requires_grad", data=X)
enter("nn.Module.load_state_dict", square.load_state_dict, state_dict=square.state_dict())
enter("nn.Module.astype", nn.ReLU().astype, dtype="float64")
enter("nn.Module.register_buffer", lambda name, tensor: nn.Module().register_buffer(name, tensor), "Module", name="tensor", tensor=X)
enter("nn.Module.get_submodule", nn.Sequential(square).get_submodule, "module", target="0")
enter("nn.Module.embed", lambda layer: nn.Sequential(square).embed(layer, X32), "module", layer="0")
enter("nn.Module.apply", nn.ReLU().apply, fn=repr)
enter("nn.utils.parameters_to_vector", nn.utils.parameters_to_vector, "tensors", parameters=[Tensor(X)])
enter("nn.utils.vector_to_parameters", nn.utils.vector_to_parameters, vec=Tensor(X.ravel().copy()), parameters=[Tensor(X.copy())])


def initialiser(name: str, **arguments: Any) -> None:
    enter(f"nn.init.{name}", getattr(init, name), tensor=Tensor(np.zeros((4, 3), np.float32)), **arguments)


enter("nn.init.calculate_gain", init.calculate_gain, nonlinearity="leaky_relu", param=0.1)
initialiser("fan_in_and_fan_out")
initialiser("constant_", val=1.0)
initialiser("zeros_")
initialiser("ones_")
initialiser("uniform_", a=0.0, b=1.0, generator=RNG)
initialiser("normal_", mean=0.0, std=1.0, generator=RNG)
initialiser("trunc_normal_", mean=0.0, std=1.0, a=-2.0, b=2.0, generator=RNG)
for name in ("xavier_uniform_", "xavier_normal_", "orthogonal_"):
    initialiser(name, gain=1.0, generator=RNG)
for name in ("kaiming_uniform_", "kaiming_normal_"):
    initialiser(name, a=0.1, mode="fan_in", nonlinearity="leaky_relu", generator=RNG)
for name in ("lecun_uniform_", "lecun_normal_"):
    initialiser(name, generator=RNG)


def trained() -> nn.Parameter:
    parameter = nn.Parameter(X32.copy())
    parameter.grad = Tensor(X32.copy())
    return parameter


for kind in optim.OPTIMIZERS.values():
    settings = {k: p.default for k, p in inspect.signature(kind).parameters.items() if k != "params"}
    enter(f"optim.{kind.__name__}", kind, params=[trained()], **settings)
    enter(f"optim.{kind.__name__}.load_state_dict", kind([trained()]).load_state_dict, state_dict=kind([trained()]).state_dict())
enter("optim.get", optim.get, "optimizer", name="adam")
enter("optim.add_param_group", optim.SGD([trained()]).add_param_group, "group", param_group={"params": [trained()]})
enter("optim.step", optim.SGD([trained()]).step, closure=lambda: 1.0)
clipped = [trained()]
enter("optim.clip_grad_norm_", optim.clip_grad_norm_, parameters=clipped, max_norm=1.0, norm_type=2.0)
enter("optim.clip_grad_value_", optim.clip_grad_value_, parameters=clipped, clip_value=1.0)


def schedule(name: str, **settings: Any) -> None:
    optimizer = optim.SGD([trained()], lr=0.1, momentum=0.9)
    enter(f"optim.lr_scheduler.{name}", getattr(lr_scheduler, name), optimizer=optimizer, **settings)


schedule("StepLR", step_size=2, gamma=0.1, last_epoch=-1)
schedule("MultiStepLR", milestones=[1, 2], gamma=0.1, last_epoch=-1)
schedule("ExponentialLR", gamma=0.9, last_epoch=-1)
schedule("CosineAnnealingLR", T_max=5, eta_min=0.0, last_epoch=-1)
schedule("LinearLR", start_factor=0.5, end_factor=1.0, total_iters=5, last_epoch=-1)
schedule("ReduceLROnPlateau", mode="min", factor=0.1, patience=1, threshold=1e-4, threshold_mode="rel", cooldown=0, min_lr=0.0, eps=1e-8)
momenta = {"base_momentum": 0.85, "max_momentum": 0.95, "div_factor": 25.0, "final_div_factor": 1e4}
schedule("OneCycleLR", max_lr=0.1, total_steps=10, pct_start=0.3, anneal_strategy="cos", **momenta, last_epoch=-1)
enter("ReduceLROnPlateau.step", lr_scheduler.ReduceLROnPlateau(optim.SGD([trained()])).step, metric=1.0)


parts = {"activation": "relu", "dtype": None}
enter("models.mlp", models.mlp, in_features=3, hidden=[4], out_features=2, dropout=0.1, norm="layer_norm", **parts)
enter("models.residual_mlp", models.residual_mlp, in_features=3, width=4, depth=1, out_features=2, dropout=0.1, norm="rms_norm", **parts)
enter("models.autoencoder", models.autoencoder, in_features=3, hidden=[4], code=2, **parts)
enter("models.Autoencoder", models.Autoencoder, encoder=square, decoder=square)
enter("models.conv_autoencoder", models.conv_autoencoder, image_shape=(1, 8, 8), channels=(2, 3), code=2, **parts)
enter("models.lenet5", models.lenet5, num_classes=3, in_channels=1, pooling="max", **parts)
classes = {"num_classes": 3, "in_channels": 3, "dtype": None}
enter("models.cifar_resnet", models.cifar_resnet, depth=8, shortcut="subsample", **classes)
enter("models.ResNet", models.ResNet, block=BasicBlock, depths=(1, 1), widths=(4, 8), shortcut="projection", **classes)
for depth in (20, 32, 44, 56, 110, 18, 34, 50):
    enter(f"models.resnet{depth}", getattr(models, f"resnet{depth}"), num_classes=0)


rows = data.ArrayDataset(X32, LABELS)
enter("data.ArrayDataset", lambda arrays: data.ArrayDataset(arrays, LABELS), arrays=X)
enter("data.DataLoader", data.DataLoader, dataset=rows, batch_size=2, generator=0)
enter("datasets.load", datasets.load, "data set", name="digits")
enter("datasets.Examples.split", datasets.load("digits").split, test_size=0.2, seed=0)
enter("data.augment.RandomCrop", augment.RandomCrop, size=3, padding=1)
enter("data.augment.RandomCrop()", augment.RandomCrop(3), "input", x=IMAGES)
enter("data.augment.RandomHorizontalFlip", augment.RandomHorizontalFlip, p=0.5)
enter("data.augment.Cutout", augment.Cutout, size=2)
enter("data.augment.Normalize", augment.Normalize, mean=[0.0], std=[1.0])
enter("data.augment.Normalize()", augment.Normalize([0.0], [1.0]), "input", x=IMAGES)

given = {"metrics": ["accuracy"], "seed": 0, "scheduler": None, "clip_norm": 1.0, "callbacks": ()}
enter("Trainer", fastnn.Trainer, "metric", model=square, loss="cross_entropy", optimizer="adam", **given)
fitted = {"x": X32, "y": LABELS, "epochs": 0, "batch_size": 2, "validation_data": (X32, LABELS), "early_stopping": 3}
for compiled in (True, False):
    fit = fastnn.Trainer(nn.Linear(3, 3), compiled=compiled).fit
    enter(f"Trainer.fit {compiled}", fit, "input", "target", "arrays", "data loader", "monitor", "y", **fitted)
trainer = fastnn.Trainer(square)
enter("Trainer.evaluate", trainer.evaluate, "input", "target", "arrays", x=X32, y=LABELS, batch_size=2)
enter("Trainer.predict", trainer.predict, "input", "example", "arrays", x=X32, batch_size=2)
enter("training.EarlyStopping", EarlyStopping, patience=1, min_delta=0.0)
for name in ("accuracy", "precision", "recall", "f1"):
    enter(f"metrics.{name}", getattr(metrics, name), scores=X, labels=LABELS)
enter("metrics.top_k_accuracy", metrics.top_k_accuracy, scores=X, labels=LABELS, k=2)
for name in ("mae", "rmse", "r2"):
    enter(f"metrics.{name}", getattr(metrics, name), predicted=X, y=X)
enter("metrics.get", metrics.get, metric="accuracy")
enter("training.History.append", History().append, epoch={"loss": 1.0})
recorded = History()
recorded.append({"loss": 1.0})
enter("training.History[]", recorded.__getitem__, "column", name="loss")

still = optim.SGD(square.parameters(), lr=0.0)
step = fastnn.compile_training(square, "cross_entropy", still)
given = {"model": square, "loss": "cross_entropy", "optimizer": still, "clip_norm": 1.0, "metrics": ["accuracy"]}
enter("compile_training", fastnn.compile_training, "metric", **given)
enter("TrainingStep()", step, "input", "target", "targets", x=X32, y=LABELS)
outputs = np.zeros((4, 3), np.float32)
epoch = {"x": X32, "y": LABELS, "batch_size": 2, "rng": None, "outputs": outputs, "report": None, "scheduler": None}
enter("TrainingStep.run_epoch", step.run_epoch, "input", "inputs", "target", "targets", **epoch)
enter("compile_inference", fastnn.compile_inference, model=square)
infer = fastnn.compile_inference(square)
enter("InferenceModel()", lambda x: infer(x), "input", x=X32)


enter("save", lambda state, metadata: fastnn.save(state, "/nowhere/at/all", metadata), "names", state=square, metadata={"a": "b"})
enter("save to a path", lambda path: fastnn.save({}, path), path="/nowhere/at/all")
enter("load", fastnn.load, path="/nowhere/at/all")
enter("kernels.matmul", kernels.matmul, "arrays", "K", out=np.zeros((4, 2)), a=X, b=np.ones((3, 2)))
enter("kernels.exp", lambda **given: kernels.exp(*given.values()), y=np.zeros((4, 3)), x=X)
statistics = {"mean": np.zeros(4), "rstd": np.zeros(4)}
rows_of = {"y": np.zeros((4, 3)), **statistics, "x": X, "weight": V3, "bias": V3, "eps": 1e-5}
enter("kernels.layer_norm", lambda **given: kernels.layer_norm(*given.values()), **rows_of)
labelled = {"loss": np.zeros(4), "x": X, "target": LABELS, "weight": V3, "ignore_index": -100}
enter("kernels.nll", lambda **given: kernels.nll(*given.values()), **labelled)
