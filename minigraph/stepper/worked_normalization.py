"""One cell of a normalization worked out: the mean, the variance, and the number they make.

Plain text from recorded numbers, as in `worked`, which asks for it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigraph.stepper.events import Event, Named
from minigraph.stepper.worked import _at, _few, _sum, _telling, in_formula, number


def _batch_norm_cell(event: Event, out: Named) -> list[str]:
    x, gamma, beta, *given = (named.value for named in event.inputs)
    index = _telling(out.value)
    c = index[-1:]
    mean, variance = (a[c] for a in given or (event.outputs[1].value, event.outputs[2].value))
    lines = [] if given else _statistics(_at(c), x[..., index[-1]].ravel(), mean, variance)
    return [*lines, _normalized(event, out, index, mean, variance, gamma[c], beta[c])]


def _layer_norm_cell(event: Event, out: Named) -> list[str]:
    x, gamma, beta = (named.value for named in event.inputs)
    index = _telling(out.value)
    row, feature = index[: x.ndim - gamma.ndim], index[x.ndim - gamma.ndim :]
    values, mean = x[row].ravel(), event.outputs[1].value[row].ravel()[0]
    variance = np.square(values - mean).mean()
    return [
        *_statistics(_at(row), values, mean, variance),
        _normalized(event, out, index, mean, variance, gamma[feature], beta[feature]),
    ]


def _statistics(at: str, values: np.ndarray, mean, variance) -> list[str]:
    """How the mean and the variance of these numbers come about."""
    squares = [f"({number(v)} − {in_formula(mean)})²" for v in values]
    return [
        f"mean{at} = ({_sum([in_formula(v) for v in values])}) / {len(values)} = {number(mean)}",
        f"variance{at} = ({' + '.join(_few(squares))}) / {len(values)} = {number(variance)}",
    ]


def _normalized(event: Event, out: Named, index: tuple[int, ...], mean, variance, gamma, beta) -> str:
    centred = f"({number(event.inputs[0].value[index])} − {in_formula(mean)})"
    root = f"√({number(variance)} + {dict(event.settings)['epsilon']})"
    value = number(out.value[index])
    return f"{out.name}{_at(index)} = {centred} / {root} · {in_formula(gamma)} + {in_formula(beta)} = {value}"


CELLS: dict[str, Callable[[Event, Named], list[str]]] = {
    "batch_norm": _batch_norm_cell,
    "batch_norm_inference": _batch_norm_cell,
    "layer_norm": _layer_norm_cell,
}
