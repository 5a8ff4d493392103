"""AutoGraph: Python's `if`, `while`, `for`, `and`, `or`, `not` on symbolic tensors become graph control flow.

Rewriting the source is done by the kept library malt (the AutoGraph of TensorFlow, as a package of its own); what the
rewritten statements do is `operators`.
"""

from __future__ import annotations

import functools
import importlib.util  # noqa: F401 - malt uses it without importing it
import inspect
import threading
import types
from collections.abc import Callable

from minigraph.errors import UnsupportedError
from minigraph.source import register_rewritten

__all__ = ["convert", "do_not_convert", "to_code"]

_lock = threading.RLock()
_converted: dict[object, Callable] = {}
#: Set on functions that are to run as they are.
_KEEP = "_minigraph_do_not_convert"


@functools.cache
def _transpiler():
    """malt's rewriter, with minigraph's operators in place of its own."""
    from malt.core import converter
    from malt.impl import api

    from minigraph.autograph import operators

    class Transpiler(api.PyToPy):
        def get_extra_locals(self):
            if self._extra_locals is None:
                super().get_extra_locals()["ag__"].__dict__.update(operators.REPLACED)
            return self._extra_locals

    options = converter.ConversionOptions(recursive=True, user_requested=True, optional_features=None)
    return Transpiler(), converter.ProgramContext(options=options)


def convert(function: Callable) -> Callable:
    """`function` with its control flow rewritten; it behaves the same on Python values.

    Raises:
        UnsupportedError: when the source cannot be read or rewritten but it contains control flow that may need it.
    """
    if getattr(function, _KEEP, False):
        return function
    if isinstance(function, functools.partial):
        return functools.partial(convert(function.func), *function.args, **function.keywords)
    if inspect.ismethod(function):
        return types.MethodType(convert(function.__func__), function.__self__)
    if not isinstance(function, types.FunctionType):
        return function
    with _lock:
        key = function.__code__, id(function)
        if key not in _converted:
            # The function is kept, so that its id stays its own.
            _converted[key] = _rewrite(function), function
        return _converted[key][0]


def _rewrite(function: types.FunctionType) -> Callable:
    code = function.__code__
    if not _has_control_flow(code):
        return function
    transpiler, context = _transpiler()
    try:
        rewritten, module, source_map = transpiler.transform(function, context)
    except Exception as error:
        from minigraph.autograph.operators import first_line
        raise UnsupportedError(
            f"AutoGraph cannot rewrite {function.__qualname__}", where=f"function {function.__qualname__}",
            got=first_line(error), wanted="a function whose source is in a file",
            fix="define it in a .py file or notebook cell; or @tf.function(autograph=False) and tf.cond / tf.while_loop") from error
    lines = {}
    for location, origin in source_map.items():
        lines[location.lineno] = (origin.loc.filename, origin.loc.lineno)
    register_rewritten(module.__file__, lines)
    rewritten.__wrapped__ = function
    return rewritten


def _has_control_flow(code: types.CodeType) -> bool:
    """Whether a function jumps, or contains functions that do: others need no rewriting."""
    import dis
    jumps = any("JUMP" in i.opname or i.opname in ("FOR_ITER", "SEND") for i in dis.get_instructions(code))
    calls = any(i.opname in ("CALL", "PRECALL", "CALL_FUNCTION", "CALL_METHOD", "CALL_FUNCTION_EX", "UNARY_NOT")
                for i in dis.get_instructions(code))
    return jumps or calls


def do_not_convert(function: Callable) -> Callable:
    """Keep AutoGraph away from a function (TensorFlow's `tf.autograph.experimental.do_not_convert`)."""
    setattr(function, _KEEP, True)
    return function


def to_code(function: Callable) -> str:
    """The rewritten source of `function`."""
    return inspect.getsource(convert(function))


class experimental:  # noqa: N801 - TensorFlow's name
    """`tf.autograph.experimental`."""

    do_not_convert = staticmethod(do_not_convert)
