"""Effects a program has outside itself: `print` shows numbers while it runs, `Assert` stops it.

Both are carried out in Python: the tape stops there and goes on afterwards. An assertion that holds costs
two jumps.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minigraph.errors import DTypeError, InvalidArgumentError, UnsupportedError
from minigraph.graph import Node, Value, current_graph
from minigraph.ops.dispatch import apply, convert
from minigraph.ops.registry import Op
from minigraph.tensor import Tensor

__all__ = ["Assert", "print"]

#: Digits that always tell a float16, float32 or float64 from its neighbours, and digits that often do.
_DIGITS = {
    "float16": (9, 6),
    "float32": (9, 6),
    "float64": (17, 15),
    "complex64": (9, 6),
    "complex128": (17, 15),
}


class Print(Op):
    """shows x while the program runs"""

    arguments = ("x",)
    stateful = True
    eager_on_host = True
    no_gradient = "it is printed"

    def infer(self, specs, attrs):
        return []

    def emit(self, emitter, node):
        attrs = node.attrs
        emitter.host(lambda arrays: self.reference(arrays, attrs), node.inputs, [])

    def reference(self, inputs, attrs):
        texts = iter([format_array(array, attrs["summarize"]) for array in inputs])
        parts = [_fill(part, texts) for part in attrs["template"]]
        _write(attrs["output_stream"], attrs["sep"].join(parts) + attrs["end"])
        return []

    def shows_attr(self, key, value):
        return False

    def tensorflow(self, tf, inputs, attrs):
        # Only numbers and effects on variables are compared with TensorFlow.
        return []


class AssertTrue(Op):
    """stops the program unless x holds everywhere"""

    arguments = ("condition", "shown in the message")
    stateful = True
    eager_on_host = True
    no_gradient = "it is only checked"

    def infer(self, specs, attrs):
        if not specs[0].dtype.is_bool:
            raise DTypeError(
                "an assertion checks truth values",
                where="tf.Assert",
                got=repr(specs[0]),
                wanted="bool",
                fix="compare: x > 0",
            )
        return []

    def emit(self, emitter, node):
        condition, attrs = node.inputs[0], node.attrs
        if condition.spec.size == 1:
            failed, end = emitter.label(), emitter.label()
            emitter.jump(failed, unless=emitter.ref(condition))
            emitter.jump(end)
            emitter.place(failed)
            emitter.host(lambda arrays: self._check(arrays, attrs, node), node.inputs, [])
            emitter.place(end)
        else:
            emitter.host(lambda arrays: self._check(arrays, attrs, node), node.inputs, [])

    def reference(self, inputs, attrs):
        self._check(inputs, attrs, None)
        return []

    @staticmethod
    def _check(inputs: Sequence[np.ndarray], attrs: dict, node) -> None:
        if inputs[0].all():
            return
        texts = iter([format_array(array, attrs["summarize"]) for array in inputs[1:]])
        data = " ".join(_fill(part, texts) for part in attrs["template"])
        raise InvalidArgumentError(
            "an assertion does not hold",
            where="tf.Assert" if node is None else f"op Assert ({node.name!r})",
            got=data or "False",
            wanted="True",
            fix="look at the values above and where they come from",
            source=None if node is None else node.source,
        )

    def shows_attr(self, key, value):
        return False

    def tensorflow(self, tf, inputs, attrs):
        tf.debugging.Assert(inputs[0], list(inputs[1:]) or ["an assertion does not hold"])
        return []


# ------------------------------------------------------------------------------------------------ text


def format_array(array: np.ndarray, summarize: int = 3) -> str:
    """Numbers as TensorFlow prints them: at most the first and last `summarize` along each axis (-1: all).

    >>> format_array(np.arange(10))
    '[0 1 2 ... 7 8 9]'
    """
    if array.ndim == 0:
        return _format_number(array)
    items: list[Any] = list(array)
    if summarize >= 0 and len(items) > 2 * summarize:
        items = [*items[:summarize], None, *items[len(items) - summarize :]]
    texts = ["..." if item is None else format_array(np.asarray(item), summarize) for item in items]
    if array.ndim == 1:
        return "[" + " ".join(texts) + "]"
    # Every line begins below the first number's bracket.
    lines = [re.sub(r"\n(?!\n)", "\n ", text) for text in texts]
    return "[" + ("\n" * (array.ndim - 1) + " ").join(lines) + "]"


def _format_number(array: np.ndarray) -> str:
    name, number = array.dtype.name, array[()]
    if name == "bool":
        return str(int(number))
    if array.dtype.kind == "c":
        parts = [_format_float(p, *_DIGITS[name]) for p in (number.real, number.imag)]
        return f"{parts[0]}{'' if parts[1][0] in '+-' else '+'}{parts[1]}j"
    if array.dtype.kind == "f":
        return _format_float(number, *_DIGITS[name])
    return str(number)


def _format_float(number: Any, enough: int, often: int) -> str:
    short = f"{float(number):.{often}g}"
    # TensorFlow looks at a float16 as a float32.
    kind = np.float32 if isinstance(number, np.float16) else type(number)
    same = number != number or kind(short) == kind(number)
    return short if same else f"{float(number):.{enough}g}"


class _Slot:
    """Where in a nest a tensor's numbers go."""

    def __init__(self, texts):
        self.texts = texts

    def __repr__(self) -> str:
        return next(self.texts)


def _fill(part: Any, texts) -> str:
    """One printed argument as text; tensors in it are taken from `texts` in order."""

    def place(item: Any) -> Any:
        if item is _Slot:
            return _Slot(texts)
        if isinstance(item, dict):
            return {key: place(value) for key, value in item.items()}
        if isinstance(item, (list, tuple)):
            return type(item)([place(value) for value in item])
        return item

    return part if isinstance(part, str) else repr(place(part))


def _template(item: Any, tensors: list[Tensor]) -> Any:
    """`item` with `_Slot` in place of tensors, which are collected."""
    if isinstance(item, Tensor):
        tensors.append(item)
        return _Slot
    if isinstance(item, Mapping):
        return {key: _template(item[key], tensors) for key in sorted(item)}
    if isinstance(item, (list, tuple)):
        return (list if isinstance(item, list) else tuple)([_template(value, tensors) for value in item])
    return item


def _write(stream: Any, text: str) -> None:
    if isinstance(stream, str):
        with open(stream.removeprefix("file://"), "a", encoding="utf-8") as file:
            file.write(text)
        return
    # The name is looked up now, so that a replaced sys.stdout (a notebook, a test) gets the text.
    target = {sys.__stdout__: sys.stdout, sys.__stderr__: sys.stderr, None: sys.stderr}.get(
        stream, stream
    )
    target.write(text)
    target.flush()


def print(
    *inputs: Any,
    output_stream: Any = None,
    summarize: int = 3,
    sep: str = " ",
    end: str = os.linesep,
    name: str | None = None,
) -> Node | None:
    """Show tensors and other things when the program gets here (Python's print shows them while it is being
    built).

    Args:
        output_stream: sys.stderr by default, sys.stdout, or "file://path" to append to a file.
        summarize: how many numbers to show at the beginning and end of each axis; -1 shows all.

    >>> import sys
    >>> import minigraph as tf
    >>> tf.print("x =", tf.constant([1.0, 2.5]), output_stream=sys.stdout)
    x = [1 2.5]
    """
    if (
        output_stream is not None
        and not hasattr(output_stream, "write")
        and not (isinstance(output_stream, str) and output_stream.startswith("file://"))
    ):
        raise UnsupportedError(
            "print: this output_stream is not supported",
            where="tf.print",
            got=repr(output_stream)[:60],
            wanted="sys.stdout, sys.stderr or 'file://path'",
            fix="leave output_stream out",
        )
    tensors: list[Tensor] = []
    template = tuple(_template(item, tensors) for item in inputs)
    return _run(
        "print",
        tensors,
        {
            "template": template,
            "output_stream": output_stream,
            "summarize": -1 if summarize is None else summarize,
            "sep": sep,
            "end": end,
        },
        name,
    )


def Assert(
    condition: Any, data: Sequence[Any], summarize: int | None = None, name: str | None = None
) -> Node | None:
    """Stop with an InvalidArgumentError that shows `data` unless `condition` holds.

    Raises:
        InvalidArgumentError: when the program gets here and the condition does not hold.
    """
    tensors: list[Tensor] = []
    template = tuple(_template(item, tensors) for item in data)
    return _run(
        "assert_true",
        [convert(condition, name="condition"), *tensors],
        {"template": template, "summarize": 3 if summarize is None else summarize},
        name,
    )


def _run(op: str, tensors: Sequence[Tensor], attrs: dict, name: str | None) -> Node | None:
    """Call an op without outputs: gives its node in a graph, None eagerly."""
    graph = current_graph() or next((t.graph for t in tensors if isinstance(t, Value)), None)
    apply(op, tensors, attrs, name)
    return None if graph is None else graph.nodes[-1]
