"""Real data sets: small ones by name, `load("digits")`, and the standard image sets from their published files.

Digits ship inside the package, the other small ones come with the extra `datasets`; `mnist`, `fashion_mnist` and `cifar10` read files
that are on disk already.
"""

from ._examples import Examples
from ._image_files import cifar10, fashion_mnist, mnist, read_idx
from ._loaders import LOADERS, load

__all__ = ["LOADERS", "Examples", "cifar10", "fashion_mnist", "load", "mnist", "read_idx"]
