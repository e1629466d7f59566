"""Data sets that do not fit into one array, and batches of them."""

from .dataset import ArrayDataset, Dataset
from .loader import DataLoader

__all__ = ["ArrayDataset", "DataLoader", "Dataset"]
