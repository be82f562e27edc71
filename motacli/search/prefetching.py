"""A hint to the processor, from code that Numba compiles, to fetch what will be read soon."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_READ, _KEEP, _DATA = 0, 3, 1


def _prefetch(typing: Any, array: Any, row: Any, column: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, *indices = signature.args
        matrix = context.make_array(kind)(context, builder, arguments[0])
        place = [
            context.cast(builder, value, given, types.intp) for value, given in zip(arguments[1:], indices, strict=True)
        ]
        element = cgutils.get_item_pointer(context, builder, kind, matrix, place, wraparound=False)
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        hint = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, hint, "llvm.prefetch.p0i8")
        builder.call(function, [builder.bitcast(element, pointer), number(_READ), number(_KEEP), number(_DATA)])
        return context.get_dummy_value()

    return types.void(array, row, column), generate


prefetch: Any = intrinsic(_prefetch)
"""``prefetch(array, row, column)``: fetch the cache line of one element of a matrix; nothing else happens."""
