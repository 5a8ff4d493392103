"""Images of any size to one size: stretched, cut to the target's proportions, or padded to them.

Knows arrays [H,W,C] or [N,H,W,C]; nothing of files.
"""

from __future__ import annotations

import numpy as np

from minigraph.keras.arguments import one_of

METHODS = ("bilinear", "nearest")


def resize(pixels: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """As `tf.image.resize`: float32 for "bilinear", the dtype of `pixels` for "nearest".

    Calls the kernel itself: the op would keep a compiled program for every size a folder has images of.
    """
    from kernels import resize as kernels

    extents = list(zip(pixels.shape[-3:-1], size, strict=True))
    if method == "nearest":
        rows, columns = (kernels.nearest(n, to).index for n, to in extents)
        return pixels[..., rows, :, :][..., columns, :]
    from kernels.run import run_calls

    x = np.ascontiguousarray(pixels, np.float32)
    out = np.empty((*x.shape[:-3], *size, x.shape[-1]), np.float32)
    shape = (1, *x.shape)[-4:]
    run_calls(kernels.interpolate_calls(x, out, shape, size, "float32", threads=1, constant=lambda a: a))
    return out


def resize_cropped(pixels: np.ndarray, size: tuple[int, int], method: str, where: str) -> np.ndarray:
    """The largest middle part of the target's proportions, resized."""
    one_of(where, "interpolation", method, METHODS)
    height, width = pixels.shape[-3:-1]
    cut_height = max(min(height, width * size[0] // size[1]), 1)
    cut_width = max(min(width, height * size[1] // size[0]), 1)
    top, left = (height - cut_height) // 2, (width - cut_width) // 2
    return resize(pixels[..., top : top + cut_height, left : left + cut_width, :], size, method)


def resize_padded(pixels: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """The whole image [H,W,C] in its own proportions, with zeros around it."""
    extent = np.array(pixels.shape[:2], np.float32)
    target = np.array(size, np.float32)
    # In float32 as in TensorFlow: the result is rounded down, so the last bit can decide about a pixel.
    exact = extent / (extent / target).max()
    # A long thin image would vanish; TensorFlow refuses it then.
    inner = np.maximum(np.floor(exact), 1).astype(int)
    resized = resize(pixels, (int(inner[0]), int(inner[1])), method)
    top, left = np.maximum(np.floor((target - exact) / 2), 0).astype(int)
    padded = np.zeros((*size, pixels.shape[2]), resized.dtype)
    padded[top : top + inner[0], left : left + inner[1]] = resized
    return padded
