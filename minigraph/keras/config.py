"""Keras's two global numbers: the default float type and the small constant that keeps logs and divisions
finite.
"""

from __future__ import annotations

from minigraph.errors import InvalidArgumentError, missing_name

#: Float types Keras accepts as a default; only the first two have native kernels.
_FLOATS = ("float32", "float64", "float16")
_settings: dict = {"floatx": "float32", "epsilon": 1e-7}


def floatx() -> str:
    """The default float type of weights and losses: "float32" unless `set_floatx` changed it."""
    return _settings["floatx"]


def set_floatx(value: str) -> None:
    """Make `value` the default float type.

    Raises:
        InvalidArgumentError: for anything that is not a float type's name.
    """
    if value not in _FLOATS:
        raise InvalidArgumentError(
            f"unknown floatx {value!r}",
            where="keras.config.set_floatx",
            got=repr(value),
            wanted="one of " + ", ".join(_FLOATS),
            fix="keras.config.set_floatx('float32')",
        )
    _settings["floatx"] = value


def epsilon() -> float:
    """The small constant of losses and metrics: 1e-7 unless `set_epsilon` changed it."""
    return _settings["epsilon"]


def set_epsilon(value: float) -> None:
    """Make `value` the small constant."""
    _settings["epsilon"] = float(value)


def __getattr__(name: str):
    raise missing_name("keras.config", name, ("epsilon", "floatx", "set_epsilon", "set_floatx"))
