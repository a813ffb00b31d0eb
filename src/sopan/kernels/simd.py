"""Several numbers at once: values of `LANES` floats that kernels hold in the processor's vector registers.

numba leaves it to LLVM to find loops over numbers that can be done many at a time, and LLVM gives up where
it cannot prove that arrays do not overlap, or where sums should stay in registers over two loops. With
these, a kernel says itself what is done at once:

    sums = broadcast(zero)
    for k in range(n):
        sums = add_product(sums, broadcast(gains[k]), load(rows, k, column))
    store(out, 0, column, sums)

All arrays are two-dimensional and in C order, of float32 or float64; the processor needs no registers of a
certain width, LLVM cuts lanes into what there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.extending import intrinsic, register_model

if TYPE_CHECKING:
    from numba.core.datamodel.manager import DataModelManager
    from numba.core.typing.context import Context as Typing
    from numba.core.typing.templates import Signature

    class MatrixType(types.Array):
        """The type of a matrix of floats."""

        dtype: types.Float


LANES = 16
"""How many numbers are worked on at once: one AVX-512 register of float32."""

Target: TypeAlias = Any
"""numba's `BaseContext`, most of which has no types."""
Builder: TypeAlias = ir.IRBuilder
Value: TypeAlias = ir.Value
Values: TypeAlias = Sequence[ir.Value]
Typed: TypeAlias = "tuple[Signature, Callable[[Target, Builder, Signature, Values], Value | None]]"
"""An operation's types, and what writes its instructions."""
Operation: TypeAlias = Callable[..., Any]
"""What kernels call; numba checks the arguments and knows the result."""

_LOG_TERMS = {types.float32: 7, types.float64: 14}
"""Terms of the series of 2**x for x from -1/2 to 1/2 that make its error smaller than rounding's."""
_EXPONENT = {types.float32: (32, 23, 127), types.float64: (64, 52, 1023)}
"""Bits of a number, bits behind its exponent, and what its exponent counts from."""


def _in_kernels(typed: Callable[..., Typed]) -> Operation:
    """Let kernels call it; given the arguments' types, it says what the result's is and how it is made."""
    operation: Operation = intrinsic(typed)
    return operation


class LanesType(types.Type):
    """The type of `LANES` numbers."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: DataModelManager, lanes: LanesType) -> None:
        element = ir.FloatType() if lanes.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, lanes, ir.VectorType(element, LANES))  # type: ignore[no-untyped-call]


def _address(
    context: Target, builder: Builder, kind: types.Array, array: Value, row: Value, column: Value
) -> Value:
    """Return the address of array[row, column], where a row is as wide as the array."""
    made = context.make_array(kind)(context, builder, array)
    width = builder.extract_value(made.shape, 1)
    place = builder.add(builder.mul(row, width), column)
    return builder.gep(made.data, [place])


def _at_lanes(builder: Builder, address: Value, lanes: ir.VectorType) -> Value:
    return builder.bitcast(address, lanes.as_pointer())


@_in_kernels
def load(typing: Typing, array: MatrixType, row: types.Type, column: types.Type) -> Typed:
    """Return array[row, column : column + LANES]."""
    lanes = LanesType(array.dtype)

    def make(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        address = _address(context, builder, signature.args[0], *args)
        vector = context.get_value_type(lanes)
        return builder.load(_at_lanes(builder, address, vector), align=array.dtype.bitwidth // 8)

    return lanes(array, types.intp, types.intp), make


@_in_kernels
def store(typing: Typing, array: MatrixType, row: types.Type, column: types.Type, lanes: LanesType) -> Typed:
    """array[row, column : column + LANES] = lanes."""

    def make(context: Target, builder: Builder, signature: Signature, args: Values) -> None:
        address = _address(context, builder, signature.args[0], *args[:3])
        builder.store(args[3], _at_lanes(builder, address, args[3].type), align=array.dtype.bitwidth // 8)

    return types.void(array, types.intp, types.intp, lanes), make


@_in_kernels
def broadcast(typing: Typing, number: types.Float) -> Typed:
    """Return `LANES` times the same number."""
    lanes = LanesType(number)

    def make(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        return _broadcast(builder, context.get_value_type(lanes), args[0])

    return lanes(number), make


def _broadcast(builder: Builder, vector: ir.VectorType, number: Value) -> Value:
    """Fill a vector with one value."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.IntType(32)(0))
    return builder.shuffle_vector(
        first, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    )


def _binary(name: str, doc: str) -> Operation:
    def typed(typing: Typing, a: LanesType, b: LanesType) -> Typed:
        def make(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
            return getattr(builder, name)(*args)

        return a(a, b), make

    typed.__doc__ = doc
    typed.__name__ = typed.__qualname__ = name
    return _in_kernels(typed)


add = _binary("fadd", "Return a + b.")
subtract = _binary("fsub", "Return a - b.")
multiply = _binary("fmul", "Return a * b.")


@_in_kernels
def add_product(typing: Typing, total: LanesType, a: LanesType, b: LanesType) -> Typed:
    """Return total + a * b."""

    def make(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        return builder.fadd(args[0], builder.fmul(args[1], args[2]))

    return total(total, a, b), make


@_in_kernels
def total(typing: Typing, lanes: LanesType) -> Typed:
    """Return the sum of the numbers."""

    def make(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        (vector,) = args
        half = LANES // 2
        number = ir.IntType(32)
        while half:
            mask = ir.Constant(
                ir.VectorType(number, LANES), [number((i + half) % LANES) for i in range(LANES)]
            )
            vector = builder.fadd(vector, builder.shuffle_vector(vector, vector, mask))
            half //= 2
        return builder.extract_element(vector, number(0))

    return lanes.dtype(lanes), make


@_in_kernels
def logistic(typing: Typing, lanes: LanesType) -> Typed:
    """Return 1 / (1 + e**-x) for each number x, exact to rounding."""

    def make(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        vector, dtype = args[0].type, signature.args[0].dtype
        bits, behind, bias = _EXPONENT[dtype]
        number = vector.element

        def constant(value: float) -> ir.Constant:
            return ir.Constant(vector, [number(value)] * LANES)

        def least(a: Value, b: Value) -> Value:
            return builder.select(builder.fcmp_ordered("<", a, b), a, b)

        x = builder.fmul(args[0], constant(-1 / math.log(2)))  # e**-score = 2**x
        edge = constant(bias - 1.0)
        x = builder.fneg(least(builder.fneg(least(x, edge)), edge))
        name = f"llvm.rint.v{LANES}f{bits}"
        nearest = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, ir.FunctionType(vector, [vector]), name
        )
        whole = builder.call(nearest, [x])
        rest, power = builder.fsub(x, whole), constant(0.0)
        for term in reversed(range(_LOG_TERMS[dtype])):
            power = builder.fadd(
                builder.fmul(power, rest), constant(math.log(2) ** term / math.factorial(term))
            )
        integers = ir.VectorType(ir.IntType(bits), LANES)
        exponent = builder.add(
            builder.fptosi(whole, integers), ir.Constant(integers, [integers.element(bias)] * LANES)
        )
        exponent = builder.shl(exponent, ir.Constant(integers, [integers.element(behind)] * LANES))
        power = builder.fmul(power, builder.bitcast(exponent, vector))
        return builder.fdiv(constant(1.0), builder.fadd(constant(1.0), power))

    return lanes(lanes), make


@_in_kernels
def unlike(typing: Typing, like: MatrixType, ids: types.Array, one: types.Type) -> Typed:
    """Return 0 where `ids`, (LANES,) int32, is `one`, and 1 elsewhere, in the dtype of the array `like`."""
    lanes = LanesType(like.dtype)

    def make(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        made = context.make_array(ids)(context, builder, args[1])
        vector = context.get_value_type(lanes)
        integers = ir.VectorType(ir.IntType(32), LANES)
        found = builder.load(_at_lanes(builder, made.data, integers), align=4)
        different = builder.icmp_signed("!=", found, _broadcast(builder, integers, args[2]))
        return builder.uitofp(different, vector)

    return lanes(like, ids, types.int32), make


@_in_kernels
def turn(
    typing: Typing,
    rows: MatrixType,
    row: types.Type,
    column: types.Type,
    turned: MatrixType,
    turned_row: types.Type,
) -> Typed:
    """turned[turned_row + j, i] = rows[row + i, column + j] for i and j from 0 to LANES - 1."""

    def make(context: Target, builder: Builder, signature: Signature, args: Values) -> None:
        source, row, column, target, turned_row = args
        vector = context.get_value_type(LanesType(rows.dtype))
        number, whole, size = ir.IntType(32), ir.IntType(64), rows.dtype.bitwidth // 8
        lanes = []
        for i in range(LANES):
            at = _address(context, builder, signature.args[0], source, builder.add(row, whole(i)), column)
            lanes.append(builder.load(_at_lanes(builder, at, vector), align=size))
        step = LANES // 2
        while step:  # swap the two off-diagonal quarters of each square of 2 · step, smaller and smaller
            upper = [j if not j & step else LANES + j - step for j in range(LANES)]
            lower = [j + step if not j & step else LANES + j for j in range(LANES)]
            masks = [
                ir.Constant(ir.VectorType(number, LANES), [number(j) for j in picks])
                for picks in (upper, lower)
            ]
            for i in range(LANES):
                if not i & step:
                    pair = lanes[i], lanes[i + step]
                    lanes[i], lanes[i + step] = (builder.shuffle_vector(*pair, mask) for mask in masks)
            step //= 2
        for j in range(LANES):
            at = _address(
                context, builder, signature.args[3], target, builder.add(turned_row, whole(j)), whole(0)
            )
            builder.store(lanes[j], _at_lanes(builder, at, vector), align=size)

    return types.void(rows, types.intp, types.intp, turned, types.intp), make
