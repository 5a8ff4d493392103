"""The vectorised mathematics against NumPy in higher precision: accuracy in ULP and special values."""

import math

import numpy as np
import pytest

from kernels.elementwise import elementwise_calls
from kernels.run import run_calls

# What NumPy lacks, in whatever precision it is given.
EXTRA = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "erfc": np.vectorize(math.erfc, otypes=[np.float64]),
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
}
# Function: (largest error in ULP, ranges to draw from).
FUNCTIONS = {
    "exp": (1.5, [(-80, 80), (-1, 1)]),
    "expm1": (2, [(-20, 80), (-1, 1), (-1e-3, 1e-3)]),
    "log": (1.5, [(0, 3), (0, 1e30), (0.9, 1.1)]),
    "log1p": (2, [(-1, 3), (-0.01, 0.01), (0, 1e20)]),
    "tanh": (3, [(-10, 10), (-1, 1), (-0.01, 0.01)]),
    "sigmoid": (2.5, [(-80, 20), (-2, 2)]),
    "softplus": (2, [(-80, 80), (-2, 2)]),
    "erf": (1.5, [(-4.5, 4.5), (-1, 1)]),
    "erfc": (5, [(-4, 0), (0, 9), (-0.6, 0.6)]),
    "sin": (2, [(-7, 7), (-6e4, 6e4), (-0.1, 0.1)]),
    "cos": (2, [(-7, 7), (-6e4, 6e4)]),
    "tan": (4, [(-7, 7), (-6e4, 6e4)]),
    "atan": (3, [(-3, 3), (-100, 100)]),
    "asin": (3, [(-1, 1)]),
    "acos": (2, [(-1, 1)]),
    "sinh": (3, [(-85, 85), (-1.5, 1.5), (-0.01, 0.01)]),
    "cosh": (2, [(-85, 85), (-1, 1)]),
    "asinh": (2, [(-5, 5), (-1e20, 1e20)]),
    "acosh": (3, [(1, 1.1), (1, 10), (1, 1e20)]),
    "atanh": (3, [(-1, 1), (-0.01, 0.01)]),
}


def ours(name: str, *operands: np.ndarray) -> np.ndarray:
    out = np.empty_like(operands[0])
    assert run_calls(elementwise_calls(name, operands, out, out.size, (out.dtype.name,), 1)) == 0
    return out


def truth(name: str, x: np.ndarray) -> np.ndarray:
    """The function in the next wider format."""
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        return EXTRA.get(name, getattr(np, name, None))(x.astype(wide))


def ulp_errors(got: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Errors in units of the last place; infinite where only one is NaN or infinite."""
    with np.errstate(all="ignore"):
        rounded = wanted.astype(got.dtype)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        unit = np.spacing(np.maximum(np.abs(rounded), np.finfo(got.dtype).tiny))
        errors = (np.abs(got - wanted) / unit).astype(np.float64)
    return np.where(same & ~np.isfinite(rounded), 0, np.where(np.isfinite(errors), errors, np.inf))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name, dtype):
    """Close to the last place everywhere in the usual ranges."""
    limit, ranges = FUNCTIONS[name]
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(low, high, 4000) for low, high in ranges]).astype(dtype)
    errors = ulp_errors(ours(name, x), truth(name, x))
    assert errors.max() <= limit, f"{name}({x[errors.argmax()]!r}) is off by {errors.max():.2f} ULP"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_kind_of_float32(name):
    """Floats from all over the format: subnormal, huge, infinite and NaN."""
    bits = np.arange(0, 1 << 32, 50021, dtype=np.uint64).astype(np.uint32)
    special = np.array([0, -0.0, 1, -1, np.inf, -np.inf, np.nan], np.float32)
    x = np.concatenate([bits.view(np.float32), special])
    wanted = truth(name, x)
    got = ours(name, x)
    # Subnormal results may lose bits (they count in units of the smallest normal number's last place).
    errors = ulp_errors(got, wanted)
    # A wider format does not overflow where float32 does.
    with np.errstate(over="ignore"):
        overflow = np.isinf(wanted.astype(np.float32)) & (got == wanted.astype(np.float32))
    errors[overflow] = 0
    assert errors.max() <= max(4, FUNCTIONS[name][0]), (
        f"{name}({x[errors.argmax()]!r}) = {got[errors.argmax()]!r}"
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, dtype):
    x = np.array([0, -0.0, 1, -1, 2, -2, 1e30, -1e30, np.inf, -np.inf, np.nan], dtype)
    errors = ulp_errors(ours(name, x), truth(name, x))
    assert errors.max() <= 4, f"{name}({x[errors.argmax()]!r})"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pow(dtype):
    """C's rules for every combination of special values, and accuracy elsewhere."""
    special = np.array([0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1e30, -1e30, np.inf, -np.inf, np.nan], dtype)
    x, y = (a.ravel() for a in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(ours("pow", x, y), np.power(x, y), rtol=4 * np.finfo(dtype).eps)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 10, 5000).astype(dtype), rng.uniform(-20, 20, 5000).astype(dtype)
    wide = np.float64 if dtype == "float32" else np.longdouble
    assert ulp_errors(ours("pow", x, y), x.astype(wide) ** y).max() <= 1.5


def test_large_angles():
    """Angles beyond the fast range are reduced exactly, also beside small ones."""
    x = np.array([0.5, 65537.0, 1e6, 1e10, 1e30, -3e38], np.float32)
    for name in ("sin", "cos", "tan"):
        np.testing.assert_allclose(ours(name, x), truth(name, x), rtol=1e-6)
