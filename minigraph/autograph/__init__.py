"""AutoGraph: Python's `if`, `while`, `for`, `and`, `or`, `not` on symbolic tensors become graph control flow.

Rewriting the source is done by the kept library malt (the AutoGraph of TensorFlow, as a package of its
own); what the rewritten statements do is `operators`.
"""

from __future__ import annotations

import dis
import functools
import importlib.util
import inspect
import threading
import types
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from minigraph.errors import missing_name
from minigraph.source import register_rewritten

__all__ = ["convert", "experimental", "is_rewritten", "to_code"]

#: malt marks functions and lambdas that a rewritten function defines: they are rewritten already.
_INSIDE_REWRITTEN = "autograph_info__"
_lock = threading.RLock()
_converted: weakref.WeakKeyDictionary[Callable, Callable] = weakref.WeakKeyDictionary()


def __getattr__(name: str) -> Any:
    if name == "experimental":
        return importlib.import_module("minigraph.autograph.experimental")
    raise missing_name("tf.autograph", name, __all__)


@functools.cache
def _transpiler() -> tuple[Any, Any]:
    """malt's rewriter, with minigraph's operators in place of its own."""
    from malt.core import converter
    from malt.impl import api

    from minigraph.autograph import operators

    class Transpiler(api.PyToPy):
        def get_extra_locals(self):
            if self._extra_locals is None:
                super().get_extra_locals()["ag__"].__dict__.update(operators.REPLACED)
            return self._extra_locals

    options = converter.ConversionOptions(
        recursive=True, user_requested=True, optional_features=converter.Feature.ASSERT_STATEMENTS
    )
    return Transpiler(), converter.ProgramContext(options=options)


def convert(function: Callable) -> Callable:
    """`function` with its control flow rewritten; it behaves the same on Python values.

    A function whose source cannot be read stays as it is, with a warning if it has control flow.
    """
    if getattr(function, "_minigraph_do_not_convert", False):
        return function
    if isinstance(function, functools.partial):
        return functools.partial(convert(function.func), *function.args, **function.keywords)
    if inspect.ismethod(function):
        return types.MethodType(convert(function.__func__), function.__self__)
    if (
        not isinstance(function, types.FunctionType)
        or is_rewritten(function)
        or hasattr(function, _INSIDE_REWRITTEN)
    ):
        return function
    with _lock:
        found = _converted.get(function)
        if found is None:
            found = _rewrite(function)
            if found is not function:
                _converted[function] = found
        return found


def is_rewritten(function: Callable) -> bool:
    """Whether AutoGraph made this function."""
    return hasattr(function, "ag_module")


def _rewrite(function: types.FunctionType) -> Callable:
    jumps, calls = _jumps_and_calls(function.__code__)
    if not jumps and not calls:
        return function
    transpiler, context = _transpiler()
    try:
        rewritten, module, source_map = transpiler.transform(function, context)
    except Exception as error:  # noqa: BLE001 - malt raises whatever it meets in the source
        if jumps:
            warnings.warn(
                f"AutoGraph cannot rewrite {function.__qualname__} ({first_line(error)}); it runs as it is, "
                "so an if, while or for on a tensor in it is an error. Define it in a file or notebook cell, "
                "or use tf.cond and tf.while_loop.",
                stacklevel=2,
            )
        return function
    register_rewritten(
        module.__file__,
        {
            location.lineno: (origin.loc.filename, origin.loc.lineno)
            for location, origin in source_map.items()
        },
    )
    rewritten.ag_module = module
    return rewritten


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, or its kind where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _jumps_and_calls(code: types.CodeType) -> tuple[bool, bool]:
    """Whether a function has statements to rewrite, and whether it calls functions that may."""
    names = [i.opname for i in dis.get_instructions(code)]
    return (
        any("JUMP" in name or name in ("FOR_ITER", "SEND", "UNARY_NOT") for name in names),
        any("CALL" in name for name in names),
    )


def to_code(entity: Callable) -> str:
    """The source of `entity` as AutoGraph rewrites it."""
    rewritten = convert(entity)
    return inspect.getsource(getattr(rewritten, "ag_module", rewritten))
