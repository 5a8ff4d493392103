"""Random graphs of many ops, with a bound on how far rounding may carry each value from the NumPy reference.

Every value knows a bound of its numbers, a bound of the difference rounding may make between two correct
implementations, and, as long as that is 0, down to which power of two its numbers are whole multiples. Ops
that jump (comparisons, casts to integers, argmax) are only applied where the numbers are exact, so that a
difference behind them is a defect. It does not know how a graph is run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from minigraph import ops
from minigraph.autodiff import graph_backward
from minigraph.dtypes import as_dtype
from minigraph.graph import Graph, Value
from minigraph.ops.registry import OPS
from minigraph.spec import spec_of

LENGTHS = (0, 1, 1, 2, 3, 4, 5, 7, 8, 16, 17, 33, 64, 70, 300)
DTYPES = ("float32",) * 6 + ("float64",) + ("int32",) * 2 + ("bool",)
#: Values are kept below this, arrays below so many elements.
LARGEST, MOST_ELEMENTS = 1e5, 60_000
MANTISSA = {"float32": 24, "float64": 53}
UNIT = {"float32": 2.0**-23, "float64": 2.0**-52}


class Unfit(Exception):
    """This op cannot be applied to this value."""


@dataclass
class Number:
    """A value of the graph with what is known about its numbers: |value| <= bound, |error| <= error.

    `grain`: all numbers are multiples of 2**-grain (as long as error is 0).
    """

    value: Value
    bound: float
    error: float = 0.0
    grain: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    @property
    def kind(self) -> str:
        return {"f": "float", "i": "int", "b": "bool"}[self.value.dtype.numpy_dtype.kind]


@dataclass
class Case:
    """A random graph: inputs with their numbers, and the values to fetch."""

    graph: Graph
    inputs: list[Value] = field(default_factory=list)
    arrays: list[np.ndarray] = field(default_factory=list)
    fetches: list[Number] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join(
            [self.graph.text(sources=False), "fetches " + ", ".join(n.value.name for n in self.fetches)]
        )


class Maker:
    """Makes one random case.

    Args:
        dtypes: of inputs and casts, each as often as it stands there; the first input has the first one.
        exact_bends: ops whose derivative jumps are only applied where the numbers are exact too, so that
            derivatives can be compared.
    """

    def __init__(self, rng: np.random.Generator, most_ops: int = 24, dtypes: tuple[str, ...] = DTYPES,
                 exact_bends: bool = False):
        self.rng, self.case, self.dtypes, self.exact_bends = rng, Case(Graph("fuzz")), dtypes, exact_bends
        self.pool: list[Number] = []
        self.most_ops = most_ops

    def make(self) -> Case:
        """Inputs, then ops on what is there, then a choice of values to fetch."""
        rng, graph = self.rng, self.case.graph
        with graph.as_default():
            for i in range(rng.integers(1, 5)):
                self._input(i)
            for _ in range(rng.integers(2, self.most_ops)):
                self._apply(OPERATIONS[rng.integers(len(OPERATIONS))])
        count = min(len(self.pool), int(rng.integers(1, 5)))
        chosen = rng.choice(len(self.pool), count, replace=False)
        # The latest values have the longest history.
        self.case.fetches = [self.pool[-1], *(self.pool[i] for i in chosen)]
        if rng.random() < 0.4:
            self._add_gradients()
        return self.case

    def _add_gradients(self) -> None:
        """Fetch derivatives too. How far rounding carries those is not known: a relu may switch either
        way."""
        floats = [n for n in self.case.fetches if n.kind == "float"]
        if floats:
            with self.case.graph.as_default():
                found = graph_backward(floats[0].value, self.case.inputs)[0]
            self.case.fetches += [Number(g, math.inf, math.inf) for g in found if g is not None]

    # -- inputs
    def _shape(self) -> tuple[int, ...]:
        while True:
            rank = self.rng.integers(0, 6)
            shape = tuple(int(n) for n in self.rng.choice(LENGTHS, rank))
            if math.prod(shape) <= MOST_ELEMENTS // 2:
                return shape

    def _input(self, i: int) -> None:
        # Inputs of one family of shapes can be combined.
        shape = (
            self._shape() if not self.pool or self.rng.random() < 0.4 else self._related(self.pool[0].shape)
        )
        dtype = self.dtypes[self.rng.integers(len(self.dtypes))] if self.pool else self.dtypes[0]
        if dtype == "bool":
            array, bound, grain = self.rng.random(shape) < 0.5, 1.0, 0
        elif dtype == "int32":
            array, bound, grain = self.rng.integers(-9, 10, shape).astype(dtype), 9.0, 0
        else:
            array, bound, grain = (self.rng.integers(-16, 17, shape) / 8).astype(dtype), 2.0, 3
        spec = spec_of(shape, as_dtype(dtype))
        value = self.case.graph.add(OPS["placeholder"], (), {}, [spec], f"x{i}").outputs[0]
        self.case.inputs.append(value)
        self.case.arrays.append(self._laid_out(np.asarray(array)))
        self.pool.append(Number(value, bound, grain=grain))

    def _related(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The same shape, one that broadcasts with it, or part of it."""
        cut = shape[self.rng.integers(0, len(shape) + 1):] if self.rng.random() < 0.5 else shape
        related = tuple(1 if self.rng.random() < 0.2 else n for n in cut)
        return related if math.prod(related) <= MOST_ELEMENTS // 2 else shape

    def _laid_out(self, array: np.ndarray) -> np.ndarray:
        """The same numbers, perhaps with gaps, backwards, in another order or off their natural alignment."""
        way = self.rng.integers(0, 6)
        if way == 0 and array.ndim:
            wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
            wide[..., ::2] = array
            return wide[..., ::2]
        if way == 1 and array.ndim:
            return np.ascontiguousarray(array[::-1])[::-1]
        if way == 2 and array.ndim:
            return np.asfortranarray(array)
        if way == 3:
            memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
            off = memory.view(array.dtype).reshape(array.shape)
            off[...] = array
            return off
        return array

    # -- ops
    def _apply(self, operation: Callable[[Maker], Number]) -> None:
        try:
            made = operation(self)
        except Unfit:
            return
        if made.bound <= LARGEST and math.prod(made.shape) <= MOST_ELEMENTS:
            self.pool.append(made)

    def pick(self, kind: str | None = None, exact: bool = False, rank: int = 0, nonempty: bool = False,
             dtype=None, most: float = math.inf) -> Number:
        """A value that fits; rather a late one."""
        fits = [n for n in self.pool if (kind is None or n.kind == kind) and (not exact or n.error == 0)
                and len(n.shape) >= rank and (not nonempty or 0 not in n.shape)
                and (dtype is None or n.value.dtype is dtype) and n.bound <= most]
        if not fits:
            raise Unfit
        return fits[max(self.rng.integers(len(fits)), self.rng.integers(len(fits)))]

    def check_bend(self, *numbers: Number) -> None:
        """Refuse an op that bends at numbers that rounding may carry to either side."""
        if self.exact_bends and not _exact(*numbers):
            raise Unfit

    def partner(self, x: Number, **wanted) -> Number:
        """A value of x's dtype that broadcasts with it."""
        fits = [n for n in self.pool if n.value.dtype is x.value.dtype and _broadcast(x.shape, n.shape)
                and (not wanted.get("exact") or n.error == 0)]
        return fits[self.rng.integers(len(fits))]

    def axis(self, x: Number, low: int = 0) -> int:
        """An axis of x, counted from either end."""
        if not x.shape:
            raise Unfit
        axis = int(self.rng.integers(low, len(x.shape)))
        return axis if self.rng.random() < 0.5 else axis - len(x.shape)


def _broadcast(a, b) -> bool:
    try:
        shape = np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return math.prod(shape) <= MOST_ELEMENTS


def rounded(value: Value, bound: float, error: float, grain: int = 0, exact: bool = False) -> Number:
    """The result of an arithmetic op: exact while its numbers fit the mantissa, else off by a rounding or
    two."""
    name = value.dtype.name
    if name not in UNIT:
        if bound > 2**30:
            raise Unfit
        return Number(value, bound, 0.0, 0)
    if exact and error == 0 and bound * 2.0**grain < 2.0 ** (MANTISSA[name] - 1):
        return Number(value, bound, 0.0, grain)
    return Number(value, bound, error + 4 * UNIT[name] * max(bound, 1e-30), 0)


def _exact(*numbers: Number) -> bool:
    return all(n.error == 0 for n in numbers)


# -------------------------------------------------------------------------------- element-wise, one input

#: name -> (function, bound of the result, largest slope), for |x| <= bound b.
SMOOTH: dict[str, tuple[Callable, Callable[[float], float], Callable[[float], float]]] = {
    "tanh": (ops.tanh, lambda b: min(b, 1), lambda b: 1),
    "sigmoid": (ops.sigmoid, lambda b: 1, lambda b: 0.25),
    "sin": (ops.sin, lambda b: 1, lambda b: 1),
    "cos": (ops.cos, lambda b: 1, lambda b: 1),
    "softplus": (ops.softplus, lambda b: b + 0.7, lambda b: 1),
    "exp": (ops.exp, lambda b: math.exp(b), lambda b: math.exp(b)),
    "atan": (ops.atan, lambda b: 1.6, lambda b: 1),
    "elu": (ops.elu, lambda b: max(b, 1), lambda b: 1),
    "log of 1 + |x|": (lambda x: ops.log(ops.abs(x) + 1), lambda b: math.log1p(b), lambda b: 1),
    "sqrt of x² + 1": (lambda x: ops.sqrt(ops.square(x) + 1), lambda b: b + 1, lambda b: 1),
    "1 / (1 + x²)": (lambda x: ops.reciprocal(1 + x * x), lambda b: 1, lambda b: 1),
}


def smooth(maker: Maker) -> Number:
    name, (function, bound, slope) = list(SMOOTH.items())[maker.rng.integers(len(SMOOTH))]
    x = maker.pick("float", most=8.0)
    if "|x|" in name:
        maker.check_bend(x)
    # A few roundings happen inside, at most at the size of x² + 1.
    inside = 8 * UNIT[x.value.dtype.name] * (x.bound**2 + 2)
    return rounded(function(x.value), bound(x.bound), slope(x.bound) * (x.error + inside) + inside)


def exact_unary(maker: Maker) -> Number:
    x = maker.pick()
    if x.kind == "bool":
        return Number(ops.logical_not(x.value), 1.0)
    function = (ops.negative, ops.abs, ops.identity, ops.stop_gradient)[maker.rng.integers(4)]
    if x.kind == "float" and maker.rng.random() < 0.3:
        function = ops.relu
    if function in (ops.abs, ops.relu):
        maker.check_bend(x)
    return Number(function(x.value), x.bound, x.error, x.grain)


def square(maker: Maker) -> Number:
    x = maker.pick("float")
    return rounded(ops.square(x.value), x.bound**2, 2 * x.bound * x.error, 2 * x.grain, _exact(x))


def jumping(maker: Maker) -> Number:
    x = maker.pick("float", exact=True)
    function = (ops.floor, ops.ceil, ops.sign, ops.round)[maker.rng.integers(4)]
    return Number(function(x.value), x.bound + 1)


def clip(maker: Maker) -> Number:
    x = maker.pick("float")
    maker.check_bend(x)
    return Number(ops.clip_by_value(x.value, -1.5, 0.75), 1.5, x.error, max(x.grain, 2))


def cast(maker: Maker) -> Number:
    x = maker.pick(exact=True)
    dtype = maker.dtypes[maker.rng.integers(len(maker.dtypes))]
    if dtype in MANTISSA and x.bound * 2.0**x.grain >= 2.0 ** (MANTISSA[dtype] - 1):
        raise Unfit
    result = ops.cast(x.value, dtype)
    return Number(result, 1.0 if dtype == "bool" else x.bound, 0.0, x.grain if dtype in MANTISSA else 0)


# -------------------------------------------------------------------------------- element-wise, more inputs


def _pair(maker: Maker, kind: str | None = None, exact: bool = False) -> tuple[Number, Number]:
    x = maker.pick(kind, exact)
    if x.kind == "bool":
        raise Unfit
    y = maker.partner(x, exact=exact)
    return (x, y) if maker.rng.random() < 0.5 else (y, x)


def add(maker: Maker) -> Number:
    x, y = _pair(maker)
    function = (ops.add, ops.subtract)[maker.rng.integers(2)]
    return rounded(function(x.value, y.value), x.bound + y.bound, x.error + y.error, max(x.grain, y.grain),
                   _exact(x, y))


def multiply(maker: Maker) -> Number:
    x, y = _pair(maker)
    error = x.bound * y.error + y.bound * x.error
    return rounded(ops.multiply(x.value, y.value), x.bound * y.bound, error, x.grain + y.grain, _exact(x, y))


def larger(maker: Maker) -> Number:
    x, y = _pair(maker)
    maker.check_bend(x, y)
    function = (ops.maximum, ops.minimum)[maker.rng.integers(2)]
    return Number(
        function(x.value, y.value), max(x.bound, y.bound), max(x.error, y.error), max(x.grain, y.grain)
    )


def squared_difference(maker: Maker) -> Number:
    x, y = _pair(maker, "float")
    bound, error = x.bound + y.bound, x.error + y.error
    return rounded(ops.squared_difference(x.value, y.value), bound**2, 2 * bound * error,
                   2 * max(x.grain, y.grain), _exact(x, y))


def divide(maker: Maker) -> Number:
    x, y = _pair(maker, "float")
    maker.check_bend(y)
    result = ops.divide(x.value, ops.abs(y.value) + 1)
    return rounded(
        result, x.bound, x.error + x.bound * (y.error + 4 * UNIT[y.value.dtype.name] * (y.bound + 1))
    )


def integer_division(maker: Maker) -> Number:
    x = maker.pick("int")
    divisor = int(maker.rng.choice([-7, -3, -1, 1, 2, 5]))
    function = (ops.floordiv, ops.floormod)[maker.rng.integers(2)]
    return Number(function(x.value, divisor), max(x.bound, 7.0) + 1)


def compare(maker: Maker) -> Number:
    x, y = _pair(maker, exact=True)
    functions = (ops.less, ops.less_equal, ops.greater, ops.greater_equal, ops.equal, ops.not_equal)
    return Number(functions[maker.rng.integers(6)](x.value, y.value), 1.0)


def logical(maker: Maker) -> Number:
    x = maker.pick("bool")
    y = maker.partner(x)
    return Number(
        (ops.logical_and, ops.logical_or, ops.logical_xor)[maker.rng.integers(3)](x.value, y.value), 1.0
    )


def where(maker: Maker) -> Number:
    x = maker.pick()
    y, condition = maker.partner(x), maker.pick("bool")
    if not _broadcast(np.broadcast_shapes(x.shape, y.shape), condition.shape):
        raise Unfit
    return Number(ops.where(condition.value, x.value, y.value), max(x.bound, y.bound), max(x.error, y.error),
                  max(x.grain, y.grain))


# -------------------------------------------------------------------------------- shapes


def _same(x: Number, value: Value) -> Number:
    return Number(value, x.bound, x.error, x.grain)


def reshape(maker: Maker) -> Number:
    x = maker.pick()
    sizes = list(x.shape)
    while len(sizes) > 1 and maker.rng.random() < 0.6:
        k = int(maker.rng.integers(len(sizes) - 1))
        sizes[k:k + 2] = [sizes[k] * sizes[k + 1]]
    if maker.rng.random() < 0.4:
        sizes.insert(int(maker.rng.integers(len(sizes) + 1)), 1)
    if len(sizes) > 6:
        raise Unfit
    return _same(x, ops.reshape(x.value, sizes))


def transpose(maker: Maker) -> Number:
    x = maker.pick(rank=1)
    return _same(x, ops.transpose(x.value, maker.rng.permutation(len(x.shape)).tolist()))


def take_slice(maker: Maker) -> Number:
    x = maker.pick(rank=1)
    key: list = []
    for n in x.shape:
        way = maker.rng.integers(0, 5)
        if way == 0 and n:
            key.append(int(maker.rng.integers(-n, n)))
        elif way == 1:
            key.append(slice(None, None, int(maker.rng.choice([-2, -1, 2, 3]))))
        else:
            start, stop = (int(k) for k in maker.rng.integers(-n - 1, n + 2, 2))
            key.append(slice(start, stop) if way == 2 else slice(None))
    return _same(x, x.value[tuple(key)])


def join(maker: Maker) -> Number:
    x = maker.pick(rank=1)
    same = [n for n in maker.pool if n.shape == x.shape and n.value.dtype is x.value.dtype]
    parts = [x, *(same[i] for i in maker.rng.integers(0, len(same), maker.rng.integers(1, 4)))]
    values, axis = [n.value for n in parts], maker.axis(x)
    joined = (
        ops.concat(values, axis) if maker.rng.random() < 0.7 or len(x.shape) > 4 else ops.stack(values, axis)
    )
    return Number(
        joined, max(n.bound for n in parts), max(n.error for n in parts), max(n.grain for n in parts)
    )


def pad(maker: Maker) -> Number:
    x = maker.pick(rank=1, dtype=as_dtype(maker.dtypes[0]))
    return _same(x, ops.pad(x.value, maker.rng.integers(0, 3, (len(x.shape), 2)).tolist()))


def tile(maker: Maker) -> Number:
    x = maker.pick(rank=1)
    times = maker.rng.integers(1, 3, len(x.shape)).tolist()
    if math.prod(x.shape) * math.prod(times) > MOST_ELEMENTS:
        raise Unfit
    return _same(x, ops.tile(x.value, times))


def reverse(maker: Maker) -> Number:
    x = maker.pick(rank=1)
    return _same(x, ops.reverse(x.value, [maker.axis(x)]))


def roll(maker: Maker) -> Number:
    x = maker.pick(rank=1)
    return _same(x, ops.roll(x.value, int(maker.rng.integers(-5, 6)), maker.axis(x)))


def broadcast(maker: Maker) -> Number:
    x = maker.pick()
    shape = [n if n != 1 else int(maker.rng.choice([1, 3])) for n in x.shape]
    if len(shape) < 5 and maker.rng.random() < 0.5:
        shape = [int(maker.rng.choice([0, 1, 2])), *shape]
    if math.prod(shape) > MOST_ELEMENTS:
        raise Unfit
    return _same(x, ops.broadcast_to(x.value, shape))


def gather(maker: Maker) -> Number:
    x = maker.pick(rank=1, nonempty=True)
    axis = maker.axis(x)
    count = int(maker.rng.choice([0, 1, 3, 9]))
    if math.prod(x.shape) // x.shape[axis] * count > MOST_ELEMENTS:
        raise Unfit
    indices = maker.rng.integers(0, x.shape[axis], count).astype(maker.rng.choice(["int32", "int64"]))
    return _same(x, ops.gather(x.value, indices, axis=axis))


def gather_computed(maker: Maker) -> Number:
    """Rows whose numbers the graph itself computes."""
    x, at = maker.pick(rank=1, nonempty=True), maker.pick("int")
    if math.prod(x.shape[1:]) * math.prod(at.shape) > MOST_ELEMENTS or len(x.shape) + len(at.shape) > 7:
        raise Unfit
    inside = ops.floormod(at.value, x.shape[0]) if maker.rng.random() < 0.5 else ops.clip_by_value(
        at.value, 0, x.shape[0] - 1)
    return _same(x, ops.gather(x.value, inside))


def split(maker: Maker) -> Number:
    x = maker.pick(rank=1, nonempty=True)
    axis = maker.axis(x)
    if x.shape[axis] <= 20 and maker.rng.random() < 0.5:
        pieces = ops.unstack(x.value, axis=axis)
    else:
        first = int(maker.rng.integers(0, x.shape[axis] + 1))
        pieces = ops.split(x.value, [first, x.shape[axis] - first], axis)
    return _same(x, pieces[maker.rng.integers(len(pieces))])


def sort(maker: Maker) -> Number:
    x = maker.pick("float", rank=1)
    maker.check_bend(x)
    return _same(x, ops.sort(x.value, axis=-1, direction=("ASCENDING", "DESCENDING")[maker.rng.integers(2)]))


def on_the_host(maker: Maker) -> Number:
    """A dtype without kernels: these nodes run in NumPy, in the middle of the program."""
    x = maker.pick(exact=True, dtype=as_dtype("float32"))
    if x.bound * 2.0**x.grain >= 2**9:
        raise Unfit
    half = ops.cast(x.value, "float16")
    return Number(ops.cast(half + half, "float32"), 2 * x.bound, 0.0, x.grain)


def one_hot(maker: Maker) -> Number:
    x = maker.pick("int")
    if math.prod(x.shape) * 6 > MOST_ELEMENTS or len(x.shape) > 4:
        raise Unfit
    return Number(ops.one_hot(x.value, 6), 1.0)


# -------------------------------------------------------------------------------- reductions and products


def _axes(maker: Maker, x: Number):
    """None, one axis or several, and how many numbers come together."""
    if not x.shape or maker.rng.random() < 0.2:
        return None, math.prod(x.shape)
    chosen = [a for a in range(len(x.shape)) if maker.rng.random() < 0.4] or [0]
    count = math.prod(x.shape[a] for a in chosen)
    return (chosen if len(chosen) > 1 else chosen[0]), count


def reduce(maker: Maker) -> Number:
    x = maker.pick()
    axes, count = _axes(maker, x)
    keep = bool(maker.rng.integers(2))
    if x.kind == "bool":
        function = (ops.reduce_any, ops.reduce_all)[maker.rng.integers(2)]
        return Number(function(x.value, axes, keepdims=keep), 1.0)
    if maker.rng.random() < 0.4:
        if not count:
            raise Unfit  # The largest of nothing is infinite.
        maker.check_bend(x)
        function = (ops.reduce_max, ops.reduce_min)[maker.rng.integers(2)]
        return Number(function(x.value, axes, keepdims=keep), x.bound, x.error, x.grain)
    mean = x.kind == "float" and count > 0 and maker.rng.random() < 0.4
    total, error = x.bound * max(count, 1), x.error * max(count, 1)
    if mean:
        return rounded(ops.reduce_mean(x.value, axes, keepdims=keep), x.bound,
                       x.error + x.bound * UNIT[x.value.dtype.name] * count)
    if x.kind == "float":
        error += 0 if _exact(x) and total * 2.0**x.grain < 2.0 ** (MANTISSA[x.value.dtype.name] - 1) else (
            total * UNIT[x.value.dtype.name] * count)
    return rounded(ops.reduce_sum(x.value, axes, keepdims=keep), total, error, x.grain, _exact(x))


def largest_position(maker: Maker) -> Number:
    x = maker.pick(exact=True, rank=1, nonempty=True)
    if x.kind == "bool":
        raise Unfit
    axis = maker.axis(x)
    function = (ops.argmax, ops.argmin)[maker.rng.integers(2)]
    return Number(function(x.value, axis, output_type="int32"), float(x.shape[axis]))


def cumulative(maker: Maker) -> Number:
    x = maker.pick("float", rank=1)
    axis = maker.axis(x)
    n = max(x.shape[axis], 1)
    total = x.bound * n
    fits = _exact(x) and total * 2.0**x.grain < 2.0 ** (MANTISSA[x.value.dtype.name] - 1)
    error = x.error * n + (0 if fits else total * UNIT[x.value.dtype.name] * n)
    result = ops.cumsum(
        x.value, axis, exclusive=bool(maker.rng.integers(2)), reverse=bool(maker.rng.integers(2))
    )
    return rounded(result, total, error, x.grain, fits)


def softmax(maker: Maker) -> Number:
    x = maker.pick("float", rank=1, nonempty=True)
    unit = UNIT[x.value.dtype.name]
    if maker.rng.random() < 0.5:
        return rounded(ops.softmax(x.value, -1), 1.0, 2 * x.error + 8 * unit * (x.bound + 1))
    bound = 2 * x.bound + math.log(max(x.shape[-1], 2))
    return rounded(ops.log_softmax(x.value, -1), bound, 2 * x.error + 8 * unit * (bound + 1))


def matmul(maker: Maker) -> Number:
    """x @ w or x @ xᵀ, with any of the transposes; perhaps a bias and relu behind it, which fuse."""
    x = maker.pick("float", rank=2)
    name = x.value.dtype.name
    rows, inner = x.shape[-2:]
    turn = bool(maker.rng.integers(2))
    if turn:
        rows, inner = inner, rows
    columns = int(maker.rng.choice([1, 2, 5, 16, 33, 64]))
    if math.prod(x.shape[:-2]) * rows * columns > MOST_ELEMENTS or inner > 400:
        raise Unfit
    if maker.rng.random() < 0.2 and not turn and rows * math.prod(x.shape[:-1]) <= MOST_ELEMENTS:
        y, product = x, ops.matmul(x.value, x.value, transpose_b=True)
    else:
        also = bool(maker.rng.integers(2))
        w = (maker.rng.integers(-8, 9, (columns, inner) if also else (inner, columns)) / 8).astype(name)
        y, product = Number(x.value, 1.0, 0.0, 3), ops.matmul(x.value, w, transpose_a=turn, transpose_b=also)
    n = max(inner, 1)
    bound, error = n * x.bound * y.bound, n * (x.bound * y.error + y.bound * x.error)
    grain = x.grain + y.grain
    fits = _exact(x, y) and bound * 2.0**grain < 2.0 ** (MANTISSA[name] - 1)
    made = rounded(product, bound, error + (0 if fits else bound * UNIT[name] * n), grain, fits)
    if maker.rng.random() < 0.5:
        bias = (maker.rng.integers(-8, 9, made.shape[-1]) / 8).astype(name)
        made = rounded(made.value + bias, made.bound + 1, made.error, max(made.grain, 3), made.error == 0)
        if maker.rng.random() < 0.5:
            maker.check_bend(made)
            made = Number(ops.relu(made.value), made.bound, made.error, made.grain)
    return made


# -------------------------------------------------------------------------------- control flow


def repeated(maker: Maker) -> Number:
    x = maker.pick("float")
    rounds = int(maker.rng.integers(0, 4))
    result = ops.while_loop(lambda i, v: i < rounds, lambda i, v: (i + 1, ops.tanh(v) * 0.5 + v * 0.5),
                            (ops.constant(0), x.value), maximum_iterations=3)[1]
    return rounded(result, max(x.bound, 1), x.error + 16 * UNIT[x.value.dtype.name] * (x.bound + 1))


def chosen(maker: Maker) -> Number:
    x, flag = maker.pick("float"), maker.pick("bool")
    result = ops.cond(ops.reduce_any(flag.value), lambda: x.value * 2.0, lambda: ops.negative(x.value))
    return Number(result, 2 * x.bound, 2 * x.error, x.grain)


OPERATIONS: list[Callable[[Maker], Number]] = [
    smooth,
    smooth,
    smooth,
    exact_unary,
    exact_unary,
    square,
    jumping,
    clip,
    cast,
    cast,
    add,
    add,
    add,
    multiply,
    multiply,
    larger,
    squared_difference,
    divide,
    integer_division,
    compare,
    compare,
    logical,
    where,
    where,
    reshape,
    reshape,
    transpose,
    transpose,
    take_slice,
    take_slice,
    join,
    pad,
    tile,
    reverse,
    roll,
    broadcast,
    gather,
    gather_computed,
    split,
    sort,
    on_the_host,
    one_hot,
    reduce,
    reduce,
    reduce,
    largest_position,
    cumulative,
    softmax,
    matmul,
    matmul,
    matmul,
    repeated,
    chosen,
]
