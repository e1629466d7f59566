"""Who does what: the share of each worker among rows, or among columns."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from ._simd import I64

GRAIN = 16  # columns that workers share out together, so that two workers never write to one cache line


def _share(builder: ir.IRBuilder, team: ir.Value, count: ir.Value, grain: int) -> list[ir.Value]:
    part, parts = cgutils.unpack_tuple(builder, team, 2)
    grains = builder.sdiv(builder.add(count, I64(grain - 1)), I64(grain))
    edges = []
    for worker in (part, builder.add(part, I64(1))):
        edge = builder.mul(builder.sdiv(builder.mul(grains, worker), parts), I64(grain))
        edges.append(builder.select(builder.icmp_signed("<", edge, count), edge, count))
    return edges


def _sharing(grain: int) -> Any:
    def definition(typingctx: Any, team: types.UniTuple, count: types.Integer) -> Any:
        def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
            return cgutils.pack_array(builder, _share(builder, *values, grain))

        return signature(types.UniTuple(types.int64, 2), team, types.int64), emit

    return intrinsic(definition)


share = _sharing(1)  # (team, count) -> start and stop of this worker's items
share_columns = _sharing(GRAIN)  # the same, in grains


@intrinsic
def share_both(typingctx: Any, team: types.UniTuple, rows: types.Integer, columns: types.Integer) -> Any:
    """This worker's start and stop among rows and among columns: rows are shared where there are enough, else grains of columns."""

    def emit(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        team, rows, columns = values
        parts = builder.extract_value(team, 1)
        by_rows = builder.or_(builder.icmp_signed(">=", rows, builder.mul(parts, I64(4))), builder.icmp_signed("<=", columns, I64(GRAIN)))
        edges = []
        for count, shared, grain in ((rows, by_rows, 1), (columns, builder.not_(by_rows), GRAIN)):
            for edge, all in zip(_share(builder, team, count, grain), (I64(0), count), strict=True):
                edges.append(builder.select(shared, edge, all))
        return cgutils.pack_array(builder, edges)

    return signature(types.UniTuple(types.int64, 4), team, types.int64, types.int64), emit
