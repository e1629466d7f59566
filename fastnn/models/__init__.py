"""Models that need a few numbers to be built."""

from .autoencoder import Autoencoder, autoencoder, conv_autoencoder
from .lenet import lenet5
from .mlp import mlp, residual_mlp
from .resnet import ResNet, cifar_resnet, resnet18, resnet20, resnet32, resnet34, resnet44, resnet50, resnet56, resnet110

__all__ = [
    "Autoencoder",
    "ResNet",
    "autoencoder",
    "cifar_resnet",
    "conv_autoencoder",
    "lenet5",
    "mlp",
    "residual_mlp",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet110",
]
