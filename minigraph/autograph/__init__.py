"""AutoGraph: Python's `if`, `while`, `for`, `and`, `or`, `not` on symbolic tensors become graph control flow.

Rewriting the source is done by the kept library malt (the AutoGraph of TensorFlow, as a package of its own); what the
rewritten statements do is `operators`.
"""

from __future__ import annotations

import dis
import functools
import importlib.util  # noqa: F401 - malt uses it without importing it
import inspect
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

from minigraph.errors import UnsupportedError
from minigraph.source import register_rewritten

__all__ = ["convert", "experimental", "is_rewritten", "to_code"]

#: malt marks functions and lambdas that a rewritten function defines: they are rewritten already.
_INSIDE_REWRITTEN = "autograph_info__"
_lock = threading.RLock()
_converted: weakref.WeakKeyDictionary[Callable, Callable] = weakref.WeakKeyDictionary()


def __getattr__(name: str) -> Any:
    if name == "experimental":
        return importlib.import_module("minigraph.autograph.experimental")
    raise AttributeError(f"module 'minigraph.autograph' has no attribute {name!r}")


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

    options = converter.ConversionOptions(recursive=True, user_requested=True,
                                          optional_features=converter.Feature.ASSERT_STATEMENTS)
    return Transpiler(), converter.ProgramContext(options=options)


def convert(function: Callable) -> Callable:
    """`function` with its control flow rewritten; it behaves the same on Python values.

    Raises:
        UnsupportedError: when the source cannot be read or rewritten but it contains control flow that may need it.
    """
    if getattr(function, "_minigraph_do_not_convert", False):
        return function
    if isinstance(function, functools.partial):
        return functools.partial(convert(function.func), *function.args, **function.keywords)
    if inspect.ismethod(function):
        return types.MethodType(convert(function.__func__), function.__self__)
    if not isinstance(function, types.FunctionType) or is_rewritten(function) or hasattr(function, _INSIDE_REWRITTEN):
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
    if not _may_need_it(function.__code__):
        return function
    transpiler, context = _transpiler()
    try:
        rewritten, module, source_map = transpiler.transform(function, context)
    except Exception as error:
        raise UnsupportedError(
            f"AutoGraph cannot rewrite {function.__qualname__}", where=f"function {function.__qualname__}",
            got=first_line(error), wanted="a function whose source is in a file or notebook cell",
            fix="define it in a .py file; or @tf.function(autograph=False) with tf.cond and tf.while_loop") from error
    register_rewritten(module.__file__, {
        location.lineno: (origin.loc.filename, origin.loc.lineno) for location, origin in source_map.items()})
    rewritten.ag_module = module
    return rewritten


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, or its kind where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _may_need_it(code: types.CodeType) -> bool:
    """Whether a function jumps, negates, or calls functions that may: others need no rewriting."""
    return any("JUMP" in i.opname or i.opname in ("FOR_ITER", "SEND", "UNARY_NOT") or "CALL" in i.opname
               for i in dis.get_instructions(code))


def to_code(entity: Callable) -> str:
    """The source of `entity` as AutoGraph rewrites it."""
    rewritten = convert(entity)
    return inspect.getsource(rewritten.ag_module if is_rewritten(rewritten) else rewritten)
