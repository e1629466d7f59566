"""Arithmetic in registers."""

from .._memory import address
from .._simd import width
from .._tile import products_in_registers


def products(team, place, count):
    """Every worker multiplies and adds `count` times over; each has a vector of `place` to itself."""
    part, _ = team
    products_in_registers(address(place) + part * width(place) * place.itemsize, count, place.dtype.type(0))


def steps(team, place, count):
    """STEPS_IN_TURN times `count` operations on an integer, each on the result of the one before."""
    x = place[0]
    odd = x | 1
    for _ in range(count):
        # 8 times; a sum and an exclusive or do not merge into one
        x = (((x + odd) ^ odd) + odd) ^ odd
        x = (((x + odd) ^ odd) + odd) ^ odd
        x = (((x + odd) ^ odd) + odd) ^ odd
        x = (((x + odd) ^ odd) + odd) ^ odd
    place[0] = x
