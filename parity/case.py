"""What a case is: a function written once for both libraries, and the numbers it is given."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.draw import Draw, Fixed, Strided


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        op: what it is about, by TensorFlow's dotted name; the report has one line for each.
        function: `function(tf, *tensors)`, where `tf` is minigraph or TensorFlow; gives a tensor or a list.
        draws: one recipe per input.
        variant: what sets it apart from the other cases of the op.
        wrt: numbers of the inputs that gradients are taken by; all floating ones by default.
        flat: why there is no gradient to compare, or "" where gradients must not be all zero.
        second: whether second derivatives are compared; they must not be all zero either.
        sums: outputs are sums of many terms, whose rounding error follows the largest terms, not the result.
        vacuous: a made-up case may have gradients that are all zero; the table's must not.
        slack: ULP granted beyond the rule, to made-up cases whose ops may cancel each other's digits.
        edge: an input at the edge (empty, ties, special values), or an object with variables: run in fewer
            ways.
        static: the function needs sizes that are known while the graph is built.
        layer: `layer(tf, dtype)` makes a Keras layer, which the function is given behind `tf`; both
        libraries' layers
            get the same weights, and gradients are taken by these as well.
        python: the function has Python's if, while or for on tensors, which AutoGraph rewrites in a
        `function`.
    """

    op: str
    function: Callable[..., Any]
    draws: tuple[Draw, ...]
    variant: str = ""
    wrt: tuple[int, ...] | None = None
    flat: str = ""
    second: bool = True
    sums: bool = False
    vacuous: bool = False
    slack: float = 0.0
    edge: bool = False
    static: bool = False
    layer: Callable[[Any, str], Any] | None = None
    python: bool = False

    @property
    def name(self) -> str:
        return f"{self.op}[{self.variant}]" if self.variant else self.op

    def arrays(self, dtype: str) -> list[np.ndarray]:
        """The inputs; `dtype` is that of the floats that are not fixed."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        return [draw(rng, dtype) for draw in self.draws]

    @property
    def follows_dtype(self) -> bool:
        """Whether some input takes the dtype of the run; otherwise one run says everything."""
        return any(not isinstance(d.draw if isinstance(d, Strided) else d, Fixed) for d in self.draws)

    def differentiated(self, arrays: Sequence[np.ndarray]) -> list[int]:
        """The numbers of the inputs that gradients are taken by."""
        if self.flat:
            return []
        if self.wrt is not None:
            return list(self.wrt)
        return [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]


def call(name: str, **arguments: Any) -> Callable[..., Any]:
    """`function(tf, *tensors)` that calls the function of this dotted name.

    >>> call("math.exp")
    tf.math.exp
    """
    return _Call(name, arguments)


class _Call:
    def __init__(self, name: str, arguments: dict):
        self.name, self.arguments = name, arguments

    def __call__(self, tf: Any, *tensors: Any) -> Any:
        found = tf
        for part in self.name.split("."):
            found = getattr(found, part)
        return found(*tensors, **self.arguments)

    def __repr__(self) -> str:
        return f"tf.{self.name}"
