"""Checks of Keras arguments: an argument is honoured or refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minigraph.errors import InvalidArgumentError, UnknownNameError, UnsupportedError, did_you_mean


def refuse_unsupported(where: str, **given: tuple[Any, Any]) -> None:
    """Raise UnsupportedError for the first argument, given as name=(value, default), that is not at its
    default.
    """
    for name, (value, default) in given.items():
        if value is not default and value != default:
            raise UnsupportedError(
                f"{where}: the argument {name} is not supported",
                where=where,
                got=f"{name}={value!r}",
                wanted=f"{name}={default!r}",
                fix=f"leave {name} out",
            )


def refuse_unknown(
    where: str,
    given: Mapping[str, Any],
    known: tuple[str, ...] | list[str],
    hints: Mapping[str, str] | None = None,
) -> None:
    """Raise UnknownNameError for keyword arguments that do not exist; `hints` explains old ones."""
    for name, value in given.items():
        fix = (hints or {}).get(name) or did_you_mean(name, known)
        raise UnknownNameError(
            f"{where} has no argument {name!r}",
            where=where,
            got=f"{name}={value!r}"[:100],
            wanted=f"an argument of {where}",
            fix=fix,
        )


def one_of(where: str, name: str, value: Any, allowed: tuple) -> Any:
    """`value`, which must be one of `allowed`.

    Raises:
        InvalidArgumentError: naming the argument and its possible values.
    """
    if value not in allowed:
        from difflib import get_close_matches

        close = get_close_matches(str(value), [a for a in allowed if isinstance(a, str)], n=1)
        fix = f"did you mean {close[0]!r}?" if close else f"pass one of the values above as {name}"
        raise InvalidArgumentError(
            f"{where}: {name} cannot be {value!r}",
            where=where,
            got=repr(value),
            wanted="one of " + ", ".join(map(repr, allowed)),
            fix=fix,
        )
    return value


def whole_numbers(layer: Any, argument: str, value: Any, count: int, least: int) -> tuple[int, ...]:
    """`count` whole numbers of at least `least` from one number for all, or one for each.

    Raises:
        InvalidArgumentError: naming the layer's argument.
    """
    listed = (value,) * count if isinstance(value, int) else value
    if (
        not isinstance(listed, (tuple, list))
        or len(listed) != count
        or any(type(n) is not int or n < least for n in listed)
    ):
        many = "" if count == 1 else f", or {count} of them"
        raise InvalidArgumentError(
            f"{type(layer).__name__}: {argument} cannot be {value!r}",
            where=f"layer {layer.name!r}",
            got=f"{argument}={value!r}",
            wanted=f"a whole number of at least {least}{many}",
            fix=f"for example {argument}={2 if count == 1 else (2,) * count}",
        )
    return tuple(listed)
