"""Arithmetic in registers."""

from .._memory import address
from .._simd import width
from .._tile import products_in_registers


def products(team, place, count):
    """Every worker multiplies and adds `count` times over; each has a vector of `place` to itself."""
    part, _ = team
    products_in_registers(address(place) + part * width(place) * place.itemsize, count, place.dtype.type(0))
