"""Errors that help: what is wrong, where, what was got and wanted, and what to do.

Every error a user can cause is one of these classes. Each is also the built-in class a Python or TensorFlow
user would expect to catch (ValueError, TypeError, ...). Knows nothing of graphs or kernels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from minigraph.source import SourceLine, user_line


class MinigraphError(Exception):
    """Base of all errors. `str(error)` shows the parts that were given, one per line."""

    def __init__(self, what: str, *, where: str = "", got: str = "", wanted: str = "", fix: str = "",
                 source: SourceLine | None = None):
        self.what, self.where, self.got, self.wanted, self.fix = what, where, got, wanted, fix
        self.source = source or user_line()
        super().__init__(self._text())

    def _text(self) -> str:
        place = self.where
        if self.source is not None:
            text = self.source.text
            line = f"{self.source.file}:{self.source.line}" + (f": {text}" if text else "")
            place = f"{place}, at {line}" if place else line
        rows = [("where", place), ("got", self.got), ("wanted", self.wanted), ("fix", self.fix)]
        return "\n".join([self.what, *(f"  {label + ':':<8}{text}" for label, text in rows if text)])


    def restate(self, **parts: str) -> None:
        """Replace parts (what, where, got, wanted, fix) by ones that say more, where more is known."""
        for part, text in parts.items():
            setattr(self, part, text)
        self.args = (self._text(),)


class InvalidArgumentError(MinigraphError, ValueError):
    """A value an operation cannot work with."""


class ShapeError(InvalidArgumentError):
    """Shapes or axes that do not fit together."""


class DTypeError(MinigraphError, TypeError):
    """dtypes that do not fit together."""


class IndexRangeError(InvalidArgumentError, IndexError):
    """An index, class or label outside its range."""

    #: The position along axis 0 of the tensor it is in, where that is known.
    row: int | None = None


class UnsupportedError(MinigraphError, NotImplementedError):
    """Something TensorFlow or Keras has and minigraph does not."""


class FailedPreconditionError(MinigraphError, RuntimeError):
    """Something that must happen first has not: a variable not initialised, a session closed, a model not
    compiled."""


class UnconnectedError(InvalidArgumentError):
    """A gradient was asked for along a path that does not exist."""


class NumericError(InvalidArgumentError, ArithmeticError):
    """A NaN or infinity where there must be none."""


class UnknownNameError(MinigraphError, ValueError):
    """A name that nothing here has."""


class MissingNameError(UnsupportedError, AttributeError):
    """A name looked up in a namespace that does not have it. Python's `hasattr` takes it for False."""


def missing_name(namespace: str, name: str, known: Iterable[str], instead: Mapping[str, str] | None = None
                 ) -> Exception:
    """What a module's `__getattr__` raises for a name it does not have.

    Classes (capitalised) and the names of `instead`, which says what to use, are an UnsupportedError:
    `from ... import` shows it as it is. Others are a MissingNameError, of which `from ... import` makes its
    own ImportError; names with an underscore in front, which only Python and its tools look for, a plain
    AttributeError.
    """
    if name.startswith("_"):
        return AttributeError(f"{namespace} has no attribute {name!r}")
    # A long list hides the rest of the message.
    fix = (instead or {}).get(name) or did_you_mean(name, known, listed=30)
    if name[:1].isupper() or name in (instead or {}):
        return UnsupportedError(f"{namespace}.{name} is not supported", where=namespace, got=name,
                                wanted="a supported name", fix=fix)
    return MissingNameError(f"{namespace} has no attribute {name!r}", where=namespace, got=name,
                            wanted="a supported name", fix=fix)


def did_you_mean(name: str, known: Iterable[str], listed: int | None = None) -> str:
    """A fix line for a misspelt name: the closest known one, and all of them, or where to look for them when
    there are more than `listed`.

    >>> did_you_mean("relv", ["relu", "tanh"])
    "did you mean 'relu'? known: relu, tanh"
    """
    import difflib
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    short = listed is None or len(known) <= listed
    listing = "known: " + ", ".join(known) if short else "the README says what is supported"
    return f"did you mean {close[0]!r}? {listing}" if close else listing


#: What TensorFlow calls errors that are other classes here.
_INSTEAD = {
    "OpError": "catch tf.errors.MinigraphError, the base of all errors",
    "NotFoundError": "a file that is not there is Python's FileNotFoundError",
    "OutOfRangeError": "a dataset ends by itself: for batch in dataset",
}


if not TYPE_CHECKING:  # A type checker is to find misspelt names itself.
    def __getattr__(name: str):
        raise missing_name("tf.errors", name, [key for key in globals() if key.endswith("Error")], _INSTEAD)
