"""Masks: which steps of a sequence count. A mask is a bool tensor (N, T), True for the steps that count.

A layer that makes a mask (`Embedding`, `Masking`) leaves it on its output, as `_keras_mask`; a layer called
on that tensor finds it there, uses it where its `call` has an argument `mask`, and passes it on where
`supports_masking` says so. Losses and metrics find the last one on the model's output. What a layer does with
its mask is not known here.
"""

from __future__ import annotations

import warnings
from typing import Any

from minigraph import ops
from minigraph.keras.symbolic import KerasTensor
from minigraph.tensor import Tensor
from minigraph.tree import flatten, map_structure


def get_mask(tensor: Any) -> Any:
    """The mask a tensor carries, or None."""
    return getattr(tensor, "_keras_mask", None)


def set_mask(tensor: Any, mask: Any) -> Any:
    """`tensor`, which from now on carries `mask`."""
    tensor._keras_mask = mask
    return tensor


def keep_mask(tensor: Any, source: Any) -> Any:
    """`tensor`, carrying the mask of `source`, which it was made from."""
    mask = get_mask(source)
    return tensor if mask is None else set_mask(tensor, mask)


def masks_of(nest: Any) -> Any:
    """The masks of a nest of tensors, in its structure."""
    return map_structure(get_mask, nest)


def has_mask(masks: Any) -> bool:
    """Whether any entry of a nest of masks is one."""
    return any(mask is not None for mask in flatten(masks))


def found_mask(arguments: list) -> Any:
    """The mask for a layer whose call was given none: that of its only tensor argument.

    With a second one beside it (an initial state, say) no mask is looked for, as in Keras.
    """
    tensors = [a for a in arguments if _is_tensors(a)]
    if len(tensors) != 1:
        return None
    masks = masks_of(tensors[0])
    return masks if isinstance(tensors[0], (list, tuple, dict)) or masks is not None else None


def _is_tensors(argument: Any) -> bool:
    leaves = flatten(argument)
    return bool(leaves) and all(isinstance(x, (Tensor, KerasTensor)) for x in leaves)


def pass_on(layer: Any, inputs: Any, outputs: Any, masks: Any) -> None:
    """Leave on a layer's outputs the masks its `compute_mask` gives for those of its inputs.

    A layer that does not support masking warns where it loses one.
    """
    if not layer.supports_masking:
        if has_mask(masks):
            warnings.warn(
                f"layer {layer.name!r} ({type(layer).__name__}) does not support masking: the mask of its "
                "input ends here, and later layers, losses and metrics count every step",
                stacklevel=3,
            )
        return
    leaves = flatten(outputs)
    if all(get_mask(x) is not None for x in leaves):
        return
    found = layer.compute_mask(inputs, masks)
    if found is None:
        return
    for tensor, mask in zip(leaves, flatten(found), strict=False):
        if mask is not None and get_mask(tensor) is None:
            set_mask(tensor, mask)


def either(masks: list) -> Any:
    """True where any of the masks is; None when one of them is missing."""
    if any(mask is None for mask in masks):
        return None
    from minigraph.keras import ops as keras_ops

    found = masks[0]
    for mask in masks[1:]:
        found = keras_ops.logical_or(found, mask)
    return found


def beside_channels(mask: Tensor, x: Tensor) -> Tensor:
    """A mask (N, T) as one number per element of x (N, T, C)."""
    return ops.broadcast_to(ops.expand_dims(ops.cast(mask, "bool"), -1), ops.shape(x))
