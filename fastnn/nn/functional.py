"""Functions on tensors under PyTorch's names."""

from ..ops import *
