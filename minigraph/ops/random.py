"""Random numbers, TensorFlow's bit for bit: uniform and normal draws from Philox streams.

Every draw is a pure op: numbers from a seed that is its input, so a draw can be repeated. Where the seeds of
stateful functions come from is said in `streams`. Layers and initializers are not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kernels.reference import philox
from minigraph.dtypes import DType, as_dtype, int64
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.ops.arguments import Arguments, NumberedOp, is_symbolic, sizes_of
from minigraph.ops.dispatch import convert
from minigraph.ops.registry import NATIVE_FLOATS
from minigraph.ops.streams import stream_place
from minigraph.spec import describe, spec_of
from minigraph.tensor import Tensor

__all__ = [
    "random_normal",
    "random_shuffle",
    "random_uniform",
    "stateless_random_normal",
    "stateless_random_uniform",
    "stateless_truncated_normal",
    "truncated_normal",
]

_INTEGERS = ("int32", "int64", "uint32", "uint64")


class _Draw(NumberedOp, abstract=True):
    """Base: numbers of a shape and dtype from a seed.

    The seed is two integers that are scrambled first (`stateless`), or three: a place in a stream.
    """

    arguments = ("seed", "shape")
    dtypes: Sequence[str] = NATIVE_FLOATS
    no_gradient = "random numbers do not depend on anything with a slope"

    def infer(self, specs, attrs):
        seed = specs[0]
        wanted = (2,) if attrs["stateless"] else (3,)
        if tuple(seed.shape) != wanted or not seed.dtype.is_integer:
            raise ShapeError(
                f"{self.name}: the seed must be two integers",
                where=f"op {self.name}",
                got=describe(seed.shape, seed.dtype),
                wanted="int32 or int64 of shape (2,)",
                fix="seed=(1, 2)",
            )
        if attrs["dtype"].name not in self.dtypes:
            raise UnsupportedError(
                f"{self.name}: numbers of dtype {attrs['dtype'].name} are not supported",
                where=f"op {self.name}",
                got=attrs["dtype"].name,
                wanted=", ".join(self.dtypes),
                fix="draw in float32 and tf.cast the result",
            )
        sizes = self.known(attrs)["shape"]
        if any(n is not None and n < 0 for n in sizes):
            raise ShapeError(
                f"{self.name}: a size is negative",
                where=f"op {self.name}",
                got=str(sizes),
                wanted="sizes of at least 0",
                fix="check the shape that was passed",
            )
        return [spec_of(sizes, attrs["dtype"])]

    def shows_attr(self, key, value):
        return key not in ("stateless", "dtype") and super().shows_attr(key, value)

    def emit(self, emitter, node):
        attrs, out, seed = node.attrs, node.outputs[0], node.inputs[0]
        emitter.calls(
            self.draw_calls()(
                emitter.ref(seed),
                emitter.out(out),
                out.spec.size,
                *attrs["parameters"],
                out.dtype.name,
                emitter.threads,
                seed_dtype=seed.dtype.name,
                stateless=attrs["stateless"],
            )
        )

    def draw_calls(self):
        """The kernel's emit function."""
        raise NotImplementedError(self.name)

    def reference(self, inputs, attrs):
        attrs = self.filled(inputs, attrs)
        return [
            self.draw(
                attrs["shape"],
                _stream(inputs[0], attrs["stateless"]),
                *attrs["parameters"],
                dtype=attrs["dtype"].name,
            )
        ]

    #: The reference, from a stream.
    draw: Any = None
    #: TensorFlow's op, given a seed by name or a stream's key and counter: (tf, attrs, its arguments).
    tensorflow_stateless: Callable[[Any, dict, dict], Any]
    tensorflow_stream: Callable[[Any, dict, dict], Any]

    def tensorflow(self, tf, inputs, attrs):
        attrs = self.filled(inputs, attrs)
        if attrs["stateless"]:
            # Philox by name: other devices would choose another generator.
            return self.tensorflow_stateless(tf, attrs, {"seed": inputs[0], "alg": "philox"})
        seed = tf.cast(inputs[0], tf.uint64)
        return self.tensorflow_stream(
            tf,
            attrs,
            {"shape": attrs["shape"], "key": seed[:1], "counter": tf.stack([seed[2], seed[1]]), "alg": 1},
        )


def _stream(seed: np.ndarray, stateless: bool) -> philox.Stream:
    """The reference's stream for a seed input."""
    numbers = [int(n) for n in seed]
    return (
        philox.stateless_stream(numbers)
        if stateless
        else philox.stateful_stream(*numbers[:2]).skip(numbers[2] % 2**64)
    )


class RandomUniform(_Draw):
    """out = u · (maxval − minval) + minval, u uniform in [0, 1)"""

    draw = staticmethod(philox.uniform)

    def draw_calls(self):
        from kernels.random import stateless_uniform_calls

        return stateless_uniform_calls

    def tensorflow_stateless(self, tf, attrs, options):
        low, high = attrs["parameters"]
        return tf.random.stateless_uniform(
            attrs["shape"], minval=low, maxval=high, dtype=attrs["dtype"].name, **options
        )

    def tensorflow_stream(self, tf, attrs, options):
        low, high = (tf.constant(p, attrs["dtype"].name) for p in attrs["parameters"])
        return tf.raw_ops.StatelessRandomUniformV2(dtype=attrs["dtype"].name, **options) * (high - low) + low


class RandomIntegers(_Draw):
    """out = minval + bits mod (maxval − minval)"""

    dtypes = _INTEGERS
    draw = staticmethod(philox.uniform)

    def draw_calls(self):
        from kernels.random import stateless_integers_calls

        return stateless_integers_calls

    def tensorflow_stateless(self, tf, attrs, options):
        low, high = attrs["parameters"]
        return tf.random.stateless_uniform(
            attrs["shape"], minval=low, maxval=high, dtype=attrs["dtype"].name, **options
        )

    def tensorflow_stream(self, tf, attrs, options):
        low, high = attrs["parameters"]
        dtype = attrs["dtype"].name
        if low is None:
            return tf.raw_ops.StatelessRandomUniformFullIntV2(dtype=dtype, **options)
        return tf.raw_ops.StatelessRandomUniformIntV2(
            minval=tf.constant(low, dtype), maxval=tf.constant(high, dtype), **options
        )


class RandomNormal(_Draw):
    """out = z · stddev + mean, z standard normal"""

    draw = staticmethod(philox.normal)

    def draw_calls(self):
        from kernels.random import stateless_normal_calls

        return stateless_normal_calls

    def tensorflow_stateless(self, tf, attrs, options):
        mean, stddev = attrs["parameters"]
        return tf.random.stateless_normal(
            attrs["shape"], mean=mean, stddev=stddev, dtype=attrs["dtype"].name, **options
        )

    def tensorflow_stream(self, tf, attrs, options):
        mean, stddev = (tf.constant(p, attrs["dtype"].name) for p in attrs["parameters"])
        return tf.raw_ops.StatelessRandomNormalV2(dtype=attrs["dtype"].name, **options) * stddev + mean


class RandomTruncatedNormal(_Draw):
    """out = z · stddev + mean, z standard normal, redrawn until |z| < 2"""

    draw = staticmethod(philox.truncated_normal)

    def draw_calls(self):
        from kernels.random import stateless_truncated_normal_calls

        return stateless_truncated_normal_calls

    def tensorflow_stateless(self, tf, attrs, options):
        mean, stddev = attrs["parameters"]
        return tf.random.stateless_truncated_normal(
            attrs["shape"], mean=mean, stddev=stddev, dtype=attrs["dtype"].name, **options
        )

    def tensorflow_stream(self, tf, attrs, options):
        mean, stddev = (tf.constant(p, attrs["dtype"].name) for p in attrs["parameters"])
        return tf.raw_ops.StatelessTruncatedNormalV2(dtype=attrs["dtype"].name, **options) * stddev + mean


class ShuffleOrder(_Draw):
    """out = the numbers 0 … n−1 in random order (Fisher and Yates)"""

    dtypes = ("int64",)

    def emit(self, emitter, node):
        from kernels.random import shuffle_order_calls

        seed, out = node.inputs[0], node.outputs[0]
        emitter.calls(
            shuffle_order_calls(
                emitter.ref(seed), emitter.out(out), out.spec.size, seed.dtype.name, node.attrs["stateless"]
            )
        )

    @staticmethod
    def draw(shape, stream, dtype):
        return philox.shuffle_order(shape[0], stream)

    def tensorflow(self, tf, inputs, attrs):
        rows, stateless = self.filled(inputs, attrs)["shape"][0], attrs["stateless"]
        return tf.numpy_function(
            lambda seed, n: philox.shuffle_order(int(n), _stream(seed, stateless)),
            [inputs[0], rows],
            tf.int64,
        )


def _draw(
    op: str, seed: Tensor, shape, dtype: DType, stateless: bool, parameters: tuple, name: str | None
) -> Tensor:
    call = Arguments(op, seed)
    return call.apply1(
        {"shape": _shape(call, shape), "dtype": dtype, "stateless": stateless, "parameters": parameters}, name
    )


def _shape(call: Arguments, shape):
    sizes = call.integers(shape, "shape")
    if not isinstance(sizes, tuple):
        raise ShapeError(
            f"{call.op}: the shape must be a list of sizes",
            where=f"op {call.op}",
            got=repr(shape),
            wanted="a list, tuple or integer vector",
            fix=f"shape=({shape},)",
        )
    return sizes


def _known(*values) -> tuple[float, ...] | None:
    """The numbers behind scalars that are known now, or None."""
    found = []
    for value in values:
        if is_symbolic(value) or np.ndim(np.asarray(value)):
            return None
        found.append(float(np.asarray(value)))
    return tuple(found)


def float_draw(
    op: str, seed: Tensor, shape, dtype: DType, stateless: bool, first, second, name: str | None
) -> Tensor:
    """Uniform or normal numbers whose parameters are numbers, or tensors that broadcast."""
    from minigraph import ops

    known = _known(first, second)
    if known is not None:
        return _draw(op, seed, shape, dtype, stateless, known, name)
    first, second = (
        convert(first, dtype, name="minval or mean"),
        convert(second, dtype, name="maxval or stddev"),
    )
    standard = _draw(op, seed, shape, dtype, stateless, (0.0, 1.0), None)
    if op == "random_uniform":
        return ops.add(standard * (second - first), first, name=name)
    return ops.add(standard * second, first, name=name)


def integer_bounds(minval, maxval, dtype: DType) -> tuple[int | None, int | None]:
    """Bounds of integers as Python ints, checked."""
    op = "random uniform"
    if dtype.name not in _INTEGERS:
        raise UnsupportedError(
            f"{op}: numbers of dtype {dtype.name} are not supported",
            where=op,
            got=dtype.name,
            wanted=", ".join((*NATIVE_FLOATS, *_INTEGERS)),
            fix="draw int32 and tf.cast the result",
        )
    if is_symbolic(minval) or is_symbolic(maxval):
        raise UnsupportedError(
            f"{op}: the bounds of integers must be known while the graph is built",
            where=op,
            got=f"minval={minval!r}, maxval={maxval!r}",
            wanted="Python integers",
            fix="pass numbers, or draw floats and tf.cast them",
        )
    if minval is None and maxval is None:
        return None, None
    if maxval is None or minval is None:
        raise InvalidArgumentError(
            f"{op}: maxval is needed for {dtype.name}"
            if maxval is None
            else f"{op}: minval is None but maxval is not",
            where=op,
            got=f"minval={minval}, maxval={maxval}",
            wanted="both bounds (or None for both)",
            fix="pass maxval, one above the largest number wanted",
        )
    if dtype.name.startswith("u"):
        raise UnsupportedError(
            f"{op}: {dtype.name} comes over its whole range only",
            where=op,
            got=f"minval={minval}, maxval={maxval}",
            wanted="minval=None, maxval=None",
            fix="use int32 or int64 for a range",
        )
    low, high = int(np.asarray(minval)), int(np.asarray(maxval))
    if low >= high:
        raise InvalidArgumentError(
            f"{op}: there is no integer from {low} up to but without {high}",
            where=op,
            got=f"minval={low}, maxval={high}",
            wanted="minval < maxval",
            fix="swap the bounds",
        )
    return low, high


def uniform_draw(
    seed: Tensor, shape, minval, maxval, dtype: DType, stateless: bool, name: str | None
) -> Tensor:
    if dtype.is_integer:
        return _draw(
            "random_integers", seed, shape, dtype, stateless, integer_bounds(minval, maxval, dtype), name
        )
    return float_draw(
        "random_uniform",
        seed,
        shape,
        dtype,
        stateless,
        0 if minval is None else minval,
        1 if maxval is None else maxval,
        name,
    )


def _seed_tensor(seed) -> Tensor:
    return convert(seed, name="seed")


def check_algorithm(alg: Any, op: str) -> None:
    if alg not in (None, "auto_select", "philox", 1):
        raise UnsupportedError(
            f"{op}: the generator {alg!r} is not supported",
            where=op,
            got=repr(alg),
            wanted="'philox' or 'auto_select' (the same here)",
            fix="leave alg out",
        )


def stateless_random_uniform(
    shape, seed, minval=0, maxval=None, dtype="float32", name: str | None = None, alg="auto_select"
) -> Tensor:
    """Uniform numbers that depend on `seed` alone (tf.random.stateless_uniform), TensorFlow's bit for bit.

    Args:
        shape: sizes.
        seed: two integers, or an int32 or int64 tensor of shape (2,).
        minval, maxval: the range [minval, maxval); [0, 1) by default. Integers need maxval, or None for both.
        dtype: float32, float64, int32, int64 (uint32 and uint64 over their whole range).

    >>> import minigraph as tf
    >>> tf.random.stateless_uniform((2,), seed=(1, 2)).numpy().tolist()
    [0.8440604209899902, 0.19204533100128174]
    """
    check_algorithm(alg, "stateless_uniform")
    return uniform_draw(_seed_tensor(seed), shape, minval, maxval, as_dtype(dtype), True, name)


def stateless_random_normal(
    shape, seed, mean=0.0, stddev=1.0, dtype="float32", name: str | None = None, alg="auto_select"
) -> Tensor:
    """Normal numbers that depend on `seed` alone (tf.random.stateless_normal); Box & Muller 1958."""
    check_algorithm(alg, "stateless_normal")
    return float_draw("random_normal", _seed_tensor(seed), shape, as_dtype(dtype), True, mean, stddev, name)


def stateless_truncated_normal(
    shape, seed, mean=0.0, stddev=1.0, dtype="float32", name: str | None = None, alg="auto_select"
) -> Tensor:
    """Normal numbers within two standard deviations of the mean that depend on `seed` alone."""
    check_algorithm(alg, "stateless_truncated_normal")
    return float_draw(
        "random_truncated_normal", _seed_tensor(seed), shape, as_dtype(dtype), True, mean, stddev, name
    )


def random_uniform(
    shape, minval=0, maxval=None, dtype="float32", seed: int | None = None, name: str | None = None
) -> Tensor:
    """Uniform numbers, other ones at every call (tf.random.uniform).

    After `tf.random.set_seed` they are the numbers TensorFlow gives, eagerly and in functions; `seed` starts
    a stream of its own, which later calls with the same seed continue. The other arguments are those of
    `stateless_uniform`.
    """
    dtype = as_dtype(dtype)
    if dtype.is_integer:
        integer_bounds(minval, maxval, dtype)
    place = stream_place("random_integers" if dtype.is_integer else "random_uniform", dtype.name, seed, shape)
    return uniform_draw(place, shape, minval, maxval, dtype, False, name)


def random_normal(
    shape, mean=0.0, stddev=1.0, dtype="float32", seed: int | None = None, name: str | None = None
) -> Tensor:
    """Normal numbers, other ones at every call (tf.random.normal); seeds as in `random_uniform`."""
    dtype = float_dtype(dtype, "random_normal")
    place = stream_place("random_normal", dtype.name, seed, shape)
    return float_draw("random_normal", place, shape, dtype, False, mean, stddev, name)


def truncated_normal(
    shape, mean=0.0, stddev=1.0, dtype="float32", seed: int | None = None, name: str | None = None
) -> Tensor:
    """Normal numbers within two standard deviations, others at every call; seeds as in `random_uniform`."""
    dtype = float_dtype(dtype, "truncated_normal")
    place = stream_place("random_truncated_normal", dtype.name, seed, shape)
    return float_draw("random_truncated_normal", place, shape, dtype, False, mean, stddev, name)


def float_dtype(dtype, op: str) -> DType:
    dtype = as_dtype(dtype)
    if dtype.name not in NATIVE_FLOATS:
        raise UnsupportedError(
            f"{op}: numbers of dtype {dtype.name} are not supported",
            where=f"op {op}",
            got=dtype.name,
            wanted="float32 or float64",
            fix="draw in float32 and tf.cast the result",
        )
    return dtype


def random_shuffle(value, seed: int | None = None, name: str | None = None) -> Tensor:
    """`value` with its rows (first axis) in random order; seeds as in `random_uniform`."""
    from minigraph import ops

    value = convert(value, name="value")
    if not value.shape:
        raise ShapeError(
            "random_shuffle: the value has no rows",
            where="op random_shuffle",
            got="a scalar",
            wanted="a tensor with at least one axis",
            fix="shuffle the list the number stands in",
        )
    rows = sizes_of(value)[:1]
    place = stream_place("shuffle_order", value.dtype.name, seed, rows, shuffle=True)
    order = _draw("shuffle_order", place, rows, int64, False, (), None)
    return ops.gather(value, order, name=name)
