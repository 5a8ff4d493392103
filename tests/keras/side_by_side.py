"""Running one script with Keras and with minigraph, and comparing everything it returns.

A script is a function of (keras, tf): the two modules of one library. Both start from the same seed and with
fresh names, so weights, masks and orders are equal, and so must be what the script returns.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import minigraph
from minigraph import keras as ours
from minigraph.keras.naming import reset_names


def same(script: Callable, rtol: float = 1e-5, seed: int = 3) -> Any:
    """Run `script` both ways; returns what minigraph gave.

    Numbers must agree to `rtol` (float32 sums taken in another order); shapes, dtypes, names and the order of
    dict keys exactly.
    """
    tf = pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
    reset_names()
    ours.utils.set_random_seed(seed)
    got = script(ours, minigraph)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    compare(script(keras, tf), got, rtol, "result")
    return got


def compare(wanted: Any, got: Any, rtol: float, place: str) -> None:
    """Fail, naming the place in the nest, where `got` is not `wanted`."""
    if isinstance(wanted, Mapping):
        assert list(got) == list(wanted), place
        for key in wanted:
            compare(wanted[key], got[key], rtol, f"{place}[{key!r}]")
    elif isinstance(wanted, (list, tuple)):
        assert isinstance(got, (list, tuple)), place
        assert len(got) == len(wanted), f"{place}: {got} instead of {wanted}"
        for i, (w, g) in enumerate(zip(wanted, got, strict=True)):
            compare(w, g, rtol, f"{place}[{i}]")
    elif wanted is None or isinstance(wanted, (str, bool)):
        assert got == wanted, place
    else:
        w, g = np.asarray(wanted), np.asarray(got)
        assert g.shape == w.shape, place
        assert g.dtype == w.dtype, place
        np.testing.assert_allclose(g, w, rtol=rtol, atol=1e-6, err_msg=place)


def weights_of(model: Any) -> list:
    """Paths, names and shapes of a model's weights, in order."""
    return [[v.path, v.name, tuple(v.shape)] for v in model.weights]
