"""tf.image's random changes of images, for data pipelines: mirrored, in other light and colours, cut.

`random_*` draw other numbers at each call (`seed` and `tf.random.set_seed` as of `tf.random.uniform`),
`stateless_random_*` those of a seed of two numbers. Both are TensorFlow's. What is done with the number is
in `image_functions` and `image_colours`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from minigraph import ops
from minigraph.errors import InvalidArgumentError, ShapeError
from minigraph.ops.dispatch import convert
from minigraph.ops.image_colours import adjust_hue, adjust_saturation
from minigraph.ops.image_functions import adjust_brightness, adjust_contrast, as_images
from minigraph.tensor import Tensor

__all__ = ["random_brightness", "random_contrast", "random_crop", "random_flip_left_right",
           "random_flip_up_down", "random_hue", "random_saturation", "stateless_random_brightness",
           "stateless_random_contrast", "stateless_random_crop", "stateless_random_flip_left_right",
           "stateless_random_flip_up_down", "stateless_random_hue", "stateless_random_saturation"]

#: Draws uniform numbers: (shape, lowest, highest).
_Draw = Callable[..., Tensor]


def _stateful(seed: int | None) -> _Draw:
    return partial(ops.random_uniform, seed=seed)


def _stateless(seed: Any) -> _Draw:
    return lambda shape, low=0, high=1.0, **more: ops.stateless_random_uniform(shape, seed, low, high, **more)


# ------------------------------------------------------------------------------------------------ mirrored

def _flipped(op: str, image: Any, axis: int, draw: _Draw) -> Tensor:
    x = as_images(image, op)
    if len(x.shape) == 3:
        return ops.where(draw([], 0, 1.0) < 0.5, ops.reverse(x, [axis]), x)
    # As TensorFlow decides for batches: by rounding.
    drawn = ops.round(ops.reshape(draw([ops.shape(x)[0]], 0, 1.0), [-1, 1, 1, 1]))
    return ops.where(drawn > 0, ops.reverse(x, [axis]), x)


def random_flip_left_right(image: Any, seed: int | None = None) -> Tensor:
    """The image [H,W,C], or each of [N,H,W,C], mirrored in one of two cases."""
    return _flipped("random_flip_left_right", image, -2, _stateful(seed))


def random_flip_up_down(image: Any, seed: int | None = None) -> Tensor:
    """The image [H,W,C], or each of [N,H,W,C], upside down in one of two cases."""
    return _flipped("random_flip_up_down", image, -3, _stateful(seed))


def stateless_random_flip_left_right(image: Any, seed: Any) -> Tensor:
    """`random_flip_left_right` as `seed`, two whole numbers, says."""
    return _flipped("stateless_random_flip_left_right", image, -2, _stateless(seed))


def stateless_random_flip_up_down(image: Any, seed: Any) -> Tensor:
    """`random_flip_up_down` as `seed`, two whole numbers, says."""
    return _flipped("stateless_random_flip_up_down", image, -3, _stateless(seed))


# ------------------------------------------------------------------------------------------------ light

def _around_zero(op: str, max_delta: float, draw: _Draw, largest: float | None = None) -> Tensor:
    if max_delta < 0 or (largest is not None and max_delta > largest):
        raise InvalidArgumentError(f"{op}: max_delta cannot be {max_delta}", where=f"op {op}",
                                   got=f"max_delta={max_delta}",
                                   wanted="a number of at least 0" + ("" if largest is None else
                                                                      f" and at most {largest}"),
                                   fix="max_delta=0.1 draws from -0.1 to 0.1")
    return draw([], -max_delta, max_delta)


def _factor(op: str, lower: float, upper: float, draw: _Draw) -> Tensor:
    if not 0 <= lower < upper:
        raise InvalidArgumentError(f"{op}: lower must be below upper, and at least 0", where=f"op {op}",
                                   got=f"lower={lower}, upper={upper}", wanted="0 <= lower < upper",
                                   fix="lower=0.8, upper=1.2")
    return draw([], lower, upper)


def random_brightness(image: Any, max_delta: float, seed: int | None = None) -> Tensor:
    """`adjust_brightness` by a number from [−max_delta, max_delta)."""
    return adjust_brightness(image, _around_zero("random_brightness", max_delta, _stateful(seed)))


def stateless_random_brightness(image: Any, max_delta: float, seed: Any) -> Tensor:
    """`random_brightness` as `seed`, two whole numbers, says."""
    return adjust_brightness(image, _around_zero("stateless_random_brightness", max_delta, _stateless(seed)))


def random_contrast(image: Any, lower: float, upper: float, seed: int | None = None) -> Tensor:
    """`adjust_contrast` by a factor from [lower, upper)."""
    return adjust_contrast(image, _factor("random_contrast", lower, upper, _stateful(seed)))


def stateless_random_contrast(image: Any, lower: float, upper: float, seed: Any) -> Tensor:
    """`random_contrast` as `seed`, two whole numbers, says."""
    return adjust_contrast(image, _factor("stateless_random_contrast", lower, upper, _stateless(seed)))


def random_saturation(image: Any, lower: float, upper: float, seed: int | None = None) -> Tensor:
    """`adjust_saturation` by a factor from [lower, upper)."""
    return adjust_saturation(image, _factor("random_saturation", lower, upper, _stateful(seed)))


def stateless_random_saturation(image: Any, lower: float, upper: float, seed: Any = None) -> Tensor:
    """`random_saturation` as `seed`, two whole numbers, says."""
    return adjust_saturation(image, _factor("stateless_random_saturation", lower, upper, _stateless(seed)))


def random_hue(image: Any, max_delta: float, seed: int | None = None) -> Tensor:
    """`adjust_hue` by a number from [−max_delta, max_delta), max_delta at most 0.5."""
    return adjust_hue(image, _around_zero("random_hue", max_delta, _stateful(seed), 0.5))


def stateless_random_hue(image: Any, max_delta: float, seed: Any) -> Tensor:
    """`random_hue` as `seed`, two whole numbers, says."""
    return adjust_hue(image, _around_zero("stateless_random_hue", max_delta, _stateless(seed), 0.5))


# ------------------------------------------------------------------------------------------------ cut

def _cropped(op: str, value: Any, size: Sequence[int], draw: _Draw, name: str | None) -> Tensor:
    x, wanted = convert(value, name="value"), tuple(int(n) for n in size)
    if len(wanted) != len(x.shape) or any(
            n is not None and n < m for n, m in zip(x.shape, wanted, strict=True)):
        raise ShapeError(f"{op}: the part does not fit into the whole", where=f"op {op}",
                         got=f"size={wanted} of shape {tuple(x.shape)}",
                         wanted="a size for each axis, the channels' too, at most as large",
                         fix="for an RGB image: size=(height, width, 3)")
    limit = ops.shape(x) - ops.constant(wanted, "int32") + 1
    start = ops.mod(draw([len(wanted)], 0, 2**31 - 1, dtype="int32"), limit)
    return ops.slice(x, ops.unstack(start), wanted, name=name)


def random_crop(value: Any, size: Sequence[int], seed: int | None = None, name: str | None = None) -> Tensor:
    """A part of `size` of the tensor, from a place drawn evenly.

    Args:
        size: one number for each axis, known while a graph is built.
    """
    return _cropped("random_crop", value, size, _stateful(seed), name)


def stateless_random_crop(value: Any, size: Sequence[int], seed: Any, name: str | None = None) -> Tensor:
    """`random_crop` as `seed`, two whole numbers, says."""
    return _cropped("stateless_random_crop", value, size, _stateless(seed), name)
