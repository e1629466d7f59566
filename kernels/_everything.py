"""Every kernel in every variant: those of the table, the epilogues of products, and what runs programs and answers calls."""

from ._epilogue import known
from ._peak import PRODUCTS, STEPS
from ._program import ANSWER, INTERPRET
from ._registry import KERNELS, Kernel
from ._replay import REPLAY
from ._signature import KINDS
from ._team import LAUNCH, SERVE
from .reference.matmul import EPILOGUES

MACHINERY = (LAUNCH, SERVE, INTERPRET, ANSWER, REPLAY, PRODUCTS, STEPS)


def everything() -> list[tuple[Kernel, str]]:
    """Each kernel with the dtypes of each of its variants."""
    epilogues = [(known(number), dtype.str[1:]) for number in range(1, len(EPILOGUES)) for dtype in KINDS["float"]]
    return [(kernel, dtypes) for kernel in (*KERNELS.values(), *MACHINERY) for dtypes in kernel.signature.variants()] + epilogues
