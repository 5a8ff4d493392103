"""Keras's random numbers: seeds, and functions that draw from them. Equal seeds give Keras's own numbers.

A seed is an integer (the same numbers at each call), a `SeedGenerator` (others at each call), or None: the
one generator all such calls share, started from Python's `random`. `keras.utils.set_random_seed` starts all
of these.
"""

from __future__ import annotations

import random as python_random
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.dtypes import as_dtype
from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, missing_name
from minigraph.keras import config
from minigraph.keras.arguments import refuse_unknown
from minigraph.keras.naming import automatic_name
from minigraph.ops.dispatch import convert
from minigraph.ops.streams import seed_next
from minigraph.tensor import Tensor
from minigraph.variable import Variable

#: Seeds are brought below this before TensorFlow's generator takes them.
_SEED_LIMIT = 2**31 - 2
_global: list = []


def make_default_seed() -> int:
    """A seed from Python's own generator, which `random.seed` and `set_random_seed` start."""
    return python_random.randint(1, int(1e9))


class SeedGenerator:
    """A sequence of seeds: [seed, 0], [seed, 1], [seed, 2], ... Its position is a variable, so that a
    program moves it on.

    Args:
        seed: an int; drawn by `make_default_seed` when None.

    >>> generator = SeedGenerator(42)
    >>> [generator.next().numpy().tolist() for _ in range(3)]
    [[42, 0], [42, 1], [42, 2]]
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        refuse_unknown("SeedGenerator", kwargs, ("seed", "name"))
        self.name = name or automatic_name("SeedGenerator")
        self._initial_seed = seed
        if seed is None:
            seed = make_default_seed()
        if not isinstance(seed, int):
            raise InvalidArgumentError(
                "SeedGenerator: the seed must be an integer",
                where="keras.random.SeedGenerator",
                got=repr(seed),
                wanted="an int or None",
                fix="SeedGenerator(42)",
            )
        state: Any = Variable(np.array([seed, 0], "int64"), trainable=False, name="seed_generator_state")
        state.path = f"{self.name}/{state.name}"
        self.state: Variable = state

    @property
    def variables(self) -> list[Variable]:
        return [self.state]

    def next(self, ordered: bool = True) -> Tensor:
        """The current seed as the stateless functions take it (int32 (2,), below 2³¹ − 2); then it moves on.

        With ordered=False it moves in jumps, as the generator of calls without a seed does.
        """
        return seed_next(self.state, ordered)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        return cls(**config)


def global_seed_generator() -> SeedGenerator:
    """The generator of all calls without a seed; made at the first of them."""
    if not _global:
        _global.append(SeedGenerator())
    return _global[0]


def forget_global_generator() -> None:
    """Make a new one at the next call without a seed."""
    _global.clear()


def draw_seed(seed: int | SeedGenerator | None) -> Tensor:
    """The seed for one call, as TensorFlow's generator takes it: int32 (2,).

    Raises:
        InvalidArgumentError: for anything but an int, a SeedGenerator or None.
    """
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, int):
        return convert(np.array([seed % _SEED_LIMIT, 0], "int32"))
    if seed is None:
        return global_seed_generator().next(ordered=False)
    raise InvalidArgumentError(
        "a seed must be an integer or a SeedGenerator",
        where="keras.random",
        got=repr(seed),
        wanted="an int, keras.random.SeedGenerator(...) or None",
        fix="seed=42",
    )


def _float_dtype(function: str, dtype) -> Any:
    found = as_dtype(dtype or config.floatx())
    if not found.is_floating:
        raise DTypeError(
            f"keras.random.{function} draws floating-point numbers",
            where=f"keras.random.{function}",
            got=f"dtype={found.name}",
            wanted="float32 or float64",
            fix="leave dtype out, or use randint",
        )
    return found


def uniform(shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype=None, seed=None) -> Tensor:
    """Numbers evenly spread over [minval, maxval)."""
    dtype = _float_dtype("uniform", dtype)
    # Keras's bounds pass through float32, whatever the dtype.
    low, high = float(np.float32(minval)), float(np.float32(maxval))
    return ops.stateless_random_uniform(shape, draw_seed(seed), minval=low, maxval=high, dtype=dtype)


def normal(shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype=None, seed=None) -> Tensor:
    """Numbers of a normal distribution."""
    dtype = _float_dtype("normal", dtype)
    return ops.stateless_random_normal(shape, draw_seed(seed), mean=mean, stddev=stddev, dtype=dtype)


def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype=None, seed=None
) -> Tensor:
    """Numbers of a normal distribution; those beyond two standard deviations are drawn again."""
    dtype = _float_dtype("truncated_normal", dtype)
    return ops.stateless_truncated_normal(shape, draw_seed(seed), mean=mean, stddev=stddev, dtype=dtype)


def randint(shape: Sequence[int], minval: int, maxval: int, dtype="int32", seed=None) -> Tensor:
    """Integers evenly spread over minval … maxval − 1."""
    dtype = as_dtype(dtype)
    if not dtype.is_integer:
        raise DTypeError(
            "keras.random.randint draws integers",
            where="keras.random.randint",
            got=f"dtype={dtype.name}",
            wanted="an integer dtype",
            fix="dtype='int32', or use uniform",
        )
    drawn = dtype if dtype.name in ("int32", "int64") else as_dtype("int64")
    numbers = ops.stateless_random_uniform(
        shape, draw_seed(seed), minval=int(minval), maxval=int(maxval), dtype=drawn
    )
    return numbers if drawn is dtype else ops.cast(numbers, dtype)


def dropout(inputs, rate: float, noise_shape: Sequence[int | None] | None = None, seed=None) -> Tensor:
    """Zeros a share `rate` of the elements, and scales the others by 1 / (1 − rate) to keep the sum's mean.

    A size of None in `noise_shape` is the input's; a size of 1 zeros whole slices together. With a rate of 0
    or 1 no seed is drawn.
    """
    inputs = convert(inputs, name="inputs")
    if rate == 0:
        return inputs
    if rate == 1:
        return ops.zeros_like(inputs)
    return ops.stateless_dropout(inputs, rate, draw_seed(seed), noise_shape=noise_shape)


def categorical(logits, num_samples: int, dtype="int32", seed=None) -> Tensor:
    """`num_samples` class numbers for every row of logits (rows, classes), drawn by their probabilities."""
    return ops.stateless_categorical(logits, num_samples, draw_seed(seed), dtype)


def shuffle(x, axis: int = 0, seed=None) -> Tensor:
    """The slices of x along `axis` in random order."""
    x = convert(x, name="x")
    if not x.shape:
        raise ShapeError(
            "keras.random.shuffle: a scalar cannot be shuffled",
            where="keras.random.shuffle",
            got="shape ()",
            wanted="at least one axis",
            fix="pass a vector",
        )
    keys = ops.stateless_random_uniform([x.shape[axis]], draw_seed(seed))
    return ops.gather(x, ops.argsort(keys, stable=True), axis=axis)


def __getattr__(name: str):
    raise missing_name("keras.random", name, ("SeedGenerator", "categorical", "dropout", "normal", "randint",
                                              "shuffle", "truncated_normal", "uniform"))
