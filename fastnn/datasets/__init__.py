"""Small real data sets by name: `load("digits")`; digits ship inside the package, the others come with the extra `datasets`."""

from ._examples import Examples
from ._loaders import LOADERS, load

__all__ = ["LOADERS", "Examples", "load"]
