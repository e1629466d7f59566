"""Models that need a few numbers to be built."""

from .autoencoder import Autoencoder, autoencoder
from .mlp import mlp, residual_mlp

__all__ = ["Autoencoder", "autoencoder", "mlp", "residual_mlp"]
