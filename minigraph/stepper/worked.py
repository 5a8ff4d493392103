"""Events in words and numbers: equations filled in, one cell worked out by hand, the state of every gradient.

Plain text for any face (terminal, page, notebook); knows nothing of colours, layout or keys.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minigraph.dtypes import as_dtype
from minigraph.ops.elementwise import Elementwise
from minigraph.ops.registry import OPS
from minigraph.spec import describe
from minigraph.stepper.events import Contribution, Event, GradientSum, Named, Recording

#: Sums longer than this are shown with their first and last terms.
_MAX_TERMS = 6
_SUPERSCRIPTS = {"⁻ˣ": "^−x", "ˣ": "^x"}


# ------------------------------------------------------------------------------------------------ numbers


def number(value) -> str:
    """One number, short: whole numbers without a point, others with four digits.

    >>> number(42.0), number(1 / 3), number(1e-7), number(True)
    ('42', '0.3333', '1e-07', 'True')
    """
    value = np.asarray(value)[()]
    if isinstance(value, np.bool_):
        return str(bool(value))
    if isinstance(value, np.complexfloating):
        return f"{value:.4g}"
    if np.isfinite(value) and value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{float(value):.4g}"


def in_formula(value) -> str:
    """One number as it stands behind an operator: negative ones in parentheses."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text


def spec_text(array: np.ndarray) -> str:
    """dtype and shape as graphs print them: `f32[2,3]`."""
    return describe(array.shape, as_dtype(array.dtype))


def array_lines(array: np.ndarray, width: int = 72) -> list[str]:
    """An array in a few lines: small ones in full, large ones as their range and first numbers.

    >>> array_lines(np.array([[1.0, 2.5], [3.0, 4.0]]))
    ['[[1, 2.5], [3, 4]]']
    """
    if array.size == 0:
        return [f"no numbers (shape {array.shape})"]
    if array.size > 64:
        first = ", ".join(number(v) for v in array.ravel()[:4])
        if array.dtype == bool:
            return [f"[{first}, …]  {int(array.sum())} of {array.size} true"]
        return [
            f"[{first}, …]  {array.size} numbers from {number(array.min())} to {number(array.max())}, "
            f"mean {number(array.mean())}"
        ]
    flat = _nested(array)
    if len(flat) <= width or array.ndim < 2:
        return [flat]
    rows = [[number(v) for v in row] for row in array.reshape(-1, array.shape[-1])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "[" + ", ".join(cell.rjust(n) for cell, n in zip(row, widths, strict=True)) + "]" for row in rows
    ]
    return lines if max(map(len, lines)) <= width else [_cut(line, width) for line in lines]


def _nested(array: np.ndarray) -> str:
    if array.ndim == 0:
        return number(array)
    return "[" + ", ".join(_nested(part) for part in array) + "]"


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 2].rpartition(",")[0] + ", …"


# ------------------------------------------------------------------------------------------------ equations


def _sides(event: Event) -> tuple[str, str, str]:
    """Left side, sign and right side of the op's equation, without remarks and citations."""
    text = re.sub(r"\s*\([A-Z][^()]*\d{4}\)", "", event.equation.partition(";")[0])
    for old, new in _SUPERSCRIPTS.items():
        text = text.replace(old, new)
    for sign in (" ← ", " = "):
        left, found, right = text.partition(sign)
        if found:
            return left, sign, right
    return "", "", text


def _names_of_inputs(event: Event) -> dict[str, int]:
    """What the equation calls each input -> its position; the last name repeats for further inputs."""
    names = event.arguments
    if len(event.inputs) == 1 and names and not re.search(rf"\b{re.escape(names[0])}\b", _sides(event)[2]):
        names = ("x",)
    return {name: i for i, name in enumerate(names[: len(event.inputs)])}


def _substitute(text: str, replacements: Mapping[str, str]) -> str:
    if not replacements:
        return text
    names = "|".join(sorted(map(re.escape, replacements), key=len, reverse=True))
    pattern = rf"(?<![A-Za-z0-9_/])({names})(?![A-Za-z0-9_/(])"

    def put(match: re.Match) -> str:
        new = replacements[match[1]]
        before = match.string[: match.start()]
        # Behind an opening bracket or a comma, or alone, a negative number needs no parentheses.
        if (
            new.startswith("(-")
            and new.endswith(")")
            and (not before.strip() or before.rstrip()[-1] in "(,|")
        ):
            return new[1:-1]
        return new

    return re.sub(pattern, put, text)


def _transposed(event: Event, name: str, argument: str) -> str:
    return f"{name}ᵀ" if dict(event.settings).get(f"transpose_{argument}") == "True" else name


def equation(event: Event) -> str:
    """The op's equation with the run's own names: `mul_1 = mul · y`."""
    left, sign, right = _sides(event)
    inputs = _names_of_inputs(event)
    replacements = {
        argument: _transposed(event, event.inputs[i].name, argument) for argument, i in inputs.items()
    }
    if event.after:
        replacements["variable"] = event.after[0].name
        if len(assignments(event)) > 1 or event.op.endswith("_update"):
            return f"{event.after[0].name} ← {event.op}"
    name = event.node if event.outputs or not event.after else event.after[0].name
    if sign == " ← ":
        return _substitute(f"{left} ← {right}", replacements)
    if len(event.inputs) > len(event.arguments) or not sign:
        return f"{name} = {event.op}({', '.join(x.name for x in event.inputs)}): {_plain(event)}"
    return f"{name} = {_substitute(right, replacements)}"


def _plain(event: Event) -> str:
    return event.equation.partition(";")[0]


def assignments(event: Event) -> list[str]:
    """The formulas of an op that writes variables, one for each thing it writes: `v ← …`.

    >>> from minigraph.stepper.events import Event
    >>> assignments(Event("update", "w", "u", "m ← m + (g − m), p ← p − m", (), ()))
    ['m ← m + (g − m)', 'p ← p − m']
    """
    return [
        part.strip()
        for part in re.split(r",\s+(?=[^,]* ← )", event.equation.partition(";")[0])
        if "←" in part
    ]


def changes_nothing(event: Event) -> bool:
    """Whether a step of a gradient rule only guards against broadcasting, of which there was none."""
    return event.op == "sum_to_shape_of" and event.inputs[0].value.shape == event.outputs[0].value.shape


def filled(event: Event) -> str:
    """The equation's right side with numbers and the result, for scalars: `9 · 4 = 36`; "" for arrays."""
    if any(x.value.ndim for x in (*event.inputs, *event.outputs)) or not event.inputs:
        return ""
    _, sign, right = _sides(event)
    inputs = _names_of_inputs(event)
    if not sign or len(event.inputs) > len(event.arguments) or len(assignments(event)) > 1:
        return ""
    numbers = {argument: in_formula(event.inputs[i].value) for argument, i in inputs.items()}
    if sign == " ← ":
        if not event.before:
            return f"{number(event.after[0].value)}" if event.after else ""
        return (
            f"{_substitute(right, {**numbers, 'variable': in_formula(event.before[0].value)})} = "
            f"{number(event.after[0].value)}"
        )
    expression = _substitute(right, numbers)
    result = number(event.outputs[0].value)
    return result if expression == result else f"{expression} = {result}"


# ------------------------------------------------------------------------------------------------ one cell


def _at(index: Sequence[int]) -> str:
    return "[" + ", ".join(map(str, index)) + "]" if len(index) else ""


def _telling(array: np.ndarray) -> tuple[int, ...]:
    """The place of the first element that is not 0: an example with zeros only shows nothing."""
    flat = int(np.argmax(array.ravel() != 0))
    return tuple(int(i) for i in np.unravel_index(flat, array.shape)) if array.ndim else ()


def _read(array: np.ndarray, index: Sequence[int]):
    """The element of `array` that lies under `index` of the broadcast result."""
    own = index[len(index) - array.ndim :]
    return array[tuple(0 if n == 1 else i for n, i in zip(array.shape, own, strict=True))]


def _sum(terms: Sequence[str], joiner: str = " + ") -> str:
    terms = [
        terms[0].removeprefix("(").removesuffix(")") if re.fullmatch(r"\([^()]*\)", terms[0]) else terms[0],
        *terms[1:],
    ]
    return joiner.join(_few(terms))


def _few(terms: Sequence[str]) -> Sequence[str]:
    """The terms, or of many the first three and the last."""
    if len(terms) <= _MAX_TERMS:
        return terms
    return [*terms[:3], f"… ({len(terms) - 4} more) …", terms[-1]]


def _elementwise_cell(event: Event, out: Named) -> list[str]:
    _, sign, right = _sides(event)
    inputs = _names_of_inputs(event)
    if (
        not sign
        or len(event.inputs) > len(event.arguments)
        or any(np.broadcast_shapes(x.value.shape, out.value.shape) != out.value.shape for x in event.inputs)
    ):
        return []
    right = re.sub(r", (along|with|accurate) .*", "", right)
    index = _telling(out.value)
    numbers = {argument: in_formula(_read(event.inputs[i].value, index)) for argument, i in inputs.items()}
    return [f"{out.name}{_at(index)} = {_substitute(right, numbers)} = {number(out.value[index])}"]


def _matmul_cell(event: Event, out: Named) -> list[str]:
    settings = dict(event.settings)
    a, b = (
        np.swapaxes(x.value, -1, -2) if settings.get(f"transpose_{side}") == "True" else x.value
        for x, side in zip(event.inputs, "ab", strict=True)
    )
    index = _telling(out.value)
    batch, i, j = index[:-2], index[-2], index[-1]
    row = a[
        tuple(0 if n == 1 else k for n, k in zip(a.shape[:-2], batch[len(batch) - a.ndim + 2 :], strict=True))
    ][i]
    column = b[
        tuple(0 if n == 1 else k for n, k in zip(b.shape[:-2], batch[len(batch) - b.ndim + 2 :], strict=True))
    ][:, j]
    terms = [f"{in_formula(x)}·{in_formula(y)}" for x, y in zip(row, column, strict=True)]
    return [f"{out.name}{_at(index)} = {_sum(terms)} = {number(out.value[index])}"]


def _softmax_cell(event: Event, out: Named) -> list[str]:
    x, y = event.inputs[0].value, out.value
    row = (0,) * (x.ndim - 1)
    powers = np.exp(x[row].astype(np.float64))
    terms = [f"exp({number(v)})" for v in x[row]]
    cell = _at((*row, 0))
    return [
        f"{out.name}{cell} = {terms[0]} / ({_sum(terms)})",
        f"{' ' * len(out.name + cell)} = {number(powers[0])} / {number(powers.sum())} = {number(y[row][0])}",
    ]


def _log_softmax_cell(event: Event, out: Named) -> list[str]:
    x = event.inputs[0].value
    row = (0,) * (x.ndim - 1)
    terms = [f"exp({number(v)})" for v in x[row]]
    return [
        f"{out.name}{_at((*row, 0))} = {number(x[row][0])} − ln({_sum(terms)}) = {number(out.value[row][0])}"
    ]


def _sparse_cross_entropy_cell(event: Event, out: Named) -> list[str]:
    labels, probabilities = event.inputs[1].value, event.outputs[1].value
    row = (0,) * labels.ndim
    label = int(labels[row])
    return [
        f"{out.name}{_at(row)} = −ln(probability of label {label}) = "
        f"−ln({number(probabilities[row][label])}) = {number(out.value[row])}"
    ]


def _cross_entropy_cell(event: Event, out: Named) -> list[str]:
    labels, probabilities = event.inputs[1].value, event.outputs[1].value
    row = (0,) * (labels.ndim - 1)
    terms = [f"{number(t)}·ln {number(p)}" for t, p in zip(labels[row], probabilities[row], strict=True)]
    return [f"{out.name}{_at(row)} = −({_sum(terms)}) = {number(out.value[row])}"]


def _cross_entropy_grad_cell(event: Event, out: Named) -> list[str]:
    dloss, probabilities, labels = (x.value for x in event.inputs)
    index = _telling(out.value)
    row, k = index[:-1], index[-1]
    hot = labels[index] if labels.ndim == probabilities.ndim else float(labels[row] == k)
    difference = f"({number(probabilities[index])} − {number(hot)})"
    return [f"{out.name}{_at(index)} = {in_formula(dloss[row])} · {difference} = {number(out.value[index])}"]


def _reduction_cell(symbol: str) -> Callable[[Event, Named], list[str]]:
    def cell(event: Event, out: Named) -> list[str]:
        x = event.inputs[0].value
        axis = ast.literal_eval(dict(event.settings).get("axis", "None"))
        axes = tuple(range(x.ndim)) if axis is None else tuple(a % x.ndim for a in np.atleast_1d(axis))
        index = _telling(out.value)
        kept = iter(i for k, i in enumerate(index) if out.value.ndim < x.ndim or k not in axes)
        values = x[tuple(slice(None) if k in axes else next(kept) for k in range(x.ndim))].ravel()
        terms = [in_formula(v) if symbol in ("+", "mean") else number(v) for v in values]
        text = {"+": _sum(terms), "mean": f"({_sum(terms)}) / {len(terms)}"}.get(
            symbol, f"{symbol}({_sum(terms, ', ')})"
        )
        return [f"{out.name}{_at(index)} = {text} = {number(out.value[index])}"]

    return cell


def _sum_to_shape_cell(event: Event, out: Named) -> list[str]:
    x, like = event.inputs[0].value, out.value
    index = _telling(like)
    stretched = (None,) * (x.ndim - like.ndim) + tuple(
        None if n == 1 else i for n, i in zip(like.shape, index, strict=True)
    )
    values = x[tuple(slice(None) if i is None else i for i in stretched)].ravel()
    return [f"{out.name}{_at(index)} = {_sum([in_formula(v) for v in values])} = {number(like[index])}"]


_CELLS: dict[str, Callable[[Event, Named], list[str]]] = {
    "matmul": _matmul_cell,
    "softmax": _softmax_cell,
    "log_softmax": _log_softmax_cell,
    "sparse_softmax_cross_entropy": _sparse_cross_entropy_cell,
    "softmax_cross_entropy": _cross_entropy_cell,
    "sparse_softmax_cross_entropy_grad": _cross_entropy_grad_cell,
    "softmax_cross_entropy_grad": _cross_entropy_grad_cell,
    "reduce_sum": _reduction_cell("+"),
    "reduce_mean": _reduction_cell("mean"),
    "reduce_max": _reduction_cell("max"),
    "reduce_min": _reduction_cell("min"),
    "sum_to_shape_of": _sum_to_shape_cell,
}


def worked_cell(event: Event) -> list[str]:
    """One element of an array result, worked out from recorded numbers; [] where no rule is known."""
    if (
        not event.inputs
        or not event.outputs
        or not any(x.value.ndim for x in (*event.inputs, *event.outputs))
    ):
        return []
    out = event.outputs[0]
    if not all(x.value.size for x in (*event.inputs, *event.outputs)):
        return []
    # Built on this module.
    from minigraph.stepper.worked_convolution import CELLS as CONVOLUTION
    from minigraph.stepper.worked_normalization import CELLS as NORMALIZATION
    from minigraph.stepper.worked_pooling import CELLS as POOLING

    rule = {**_CELLS, **CONVOLUTION, **NORMALIZATION, **POOLING}.get(event.op)
    if rule is not None:
        return rule(event, out)
    computes = isinstance(OPS.get(event.op), Elementwise) and event.op != "broadcast_like"
    return _elementwise_cell(event, out) if computes else []


def worked_update(event: Event) -> list[str]:
    """One element of an optimizer's update, computed by hand; [] where no rule is known."""
    if event.op not in ("adam_update", "sgd_update") or not event.after or not event.after[0].value.size:
        return []
    settings = dict(event.settings)
    gradient, rate, *squares = (given.value for given in event.inputs)
    p = event.before[0].value
    index = _telling(gradient)
    name, at = event.after[0].name, _at(index)
    g, lr, new = in_formula(gradient[index]), number(rate), number(event.after[0].value[index])
    if "weight_decay" in settings:
        return []
    if event.op == "sgd_update":
        if len(event.after) > 2:
            mu = settings["momentum"]
            v, after = event.before[1].value[index], event.after[1].value[index]
            lines = [f"v{at} = {mu} · {in_formula(v)} − {lr} · {g} = {number(after)}"]
            step = (
                f"{mu} · {in_formula(after)} − {lr} · {g}"
                if settings.get("nesterov") == "True"
                else in_formula(after)
            )
            return [*lines, f"{name}{at} = {in_formula(p[index])} + {step} = {new}"]
        return [f"{name}{at} = {in_formula(p[index])} − {lr} · {g} = {new}"]
    b1, b2, epsilon = settings["beta_1"], settings["beta_2"], settings["epsilon"]
    t = int(event.after[-1].value)
    m, v = (x.value[index] for x in event.before[1:3])
    m_new, v_new = (x.value[index] for x in event.after[1:3])
    top = event.after[3].value[index] if settings.get("amsgrad") == "True" else v_new
    square = number(squares[0][index]) if squares else f"{g}²"
    return [
        f"m{at} = {number(m)} + ({number(gradient[index])} − {in_formula(m)})·(1 − {b1}) = {number(m_new)}",
        f"v{at} = {number(v)} + ({square} − {in_formula(v)})·(1 − {b2}) = {number(v_new)}",
        f"{name}{at} = {number(p[index])} − {lr} · √(1 − {b2}^{t}) / (1 − {b1}^{t}) · "
        f"{in_formula(m_new)} / (√{number(top)} + {epsilon})",
        f"{' ' * len(name + at)} = {new}",
    ]


# ------------------------------------------------------------------------------------------------ gradients


@dataclass(frozen=True)
class GradientSoFar:
    """What is known of a gradient at some moment of the way back. `total` is None while terms are missing."""

    target: str
    terms: tuple[Contribution, ...]
    count: int
    total: np.ndarray | None

    def text(self) -> str:
        """`12 + 12 = 24`, or what is still missing."""
        if self.total is None:
            return f"not yet ({len(self.terms)} of {self.count} terms)"
        return sum_text(self.terms, self.total)


def sum_text(terms: Sequence[Contribution], total: np.ndarray) -> str:
    """A complete gradient as the sum of its terms."""
    if total.ndim == 0 and len(terms) > 1:
        parts = [number(terms[0].value), *(in_formula(term.value) for term in terms[1:])]
        return f"{' + '.join(parts)} = {number(total)}"
    return array_lines(total, 10**6)[0]


def gradients_so_far(recording: Recording, count: int) -> list[GradientSoFar]:
    """Every gradient of the recording, as known after its first `count` events."""
    expected: dict[str, int] = {}
    terms: dict[str, list[Contribution]] = {}
    totals: dict[str, np.ndarray] = {}
    for position, event in enumerate(recording.events):
        for contribution in event.contributions:
            expected.setdefault(contribution.target, contribution.count)
            if position < count:
                if contribution.number == 1:
                    terms[contribution.target], _ = [], totals.pop(contribution.target, None)
                terms[contribution.target].append(contribution)
        if position < count:
            totals.update({done.target: done.total for done in event.sums})
    return [
        GradientSoFar(target, tuple(terms.get(target, ())), n, totals.get(target))
        for target, n in expected.items()
    ]


# ------------------------------------------------------------------------------------------------ short names


def with_short_names(recording: Recording) -> Recording:
    """The same recording with short names that still differ: the last two parts of a path, or three."""
    full = {name for event in recording.events for name in _all_names(event)}
    short: dict[str, str] = {}
    taken: dict[str, int] = {}
    for count in (3, 2, 1):
        candidates = {name: "/".join(name.split("/")[-count:]) for name in full}
        taken = {}
        for candidate in candidates.values():
            taken[candidate] = taken.get(candidate, 0) + 1
        for name, candidate in candidates.items():
            if taken[candidate] == 1 and (count > 1 or len(short.get(name, name)) > 40):
                short[name] = candidate
    return replace(recording, events=[_renamed(event, short) for event in recording.events])


def _all_names(event: Event) -> set[str]:
    named = (*event.inputs, *event.outputs, *event.arrived, *event.before, *event.after)
    names = {x.name.removeprefix("gradient of ") for x in named} | {event.node}
    return names.union(*(_all_names(step) for term in event.contributions for step in term.steps))


def _renamed(event: Event, names: Mapping[str, str]) -> Event:
    def rename(name: str) -> str:
        target = name.removeprefix("gradient of ")
        return name[: len(name) - len(target)] + names.get(target, target)

    def all_of(values: tuple[Named, ...]) -> tuple[Named, ...]:
        return tuple(Named(rename(x.name), x.value) for x in values)

    def term(given: Contribution) -> Contribution:
        return replace(
            given,
            source=rename(given.source),
            target=rename(given.target),
            steps=tuple(_renamed(step, names) for step in given.steps),
        )

    return replace(
        event,
        node=rename(event.node),
        inputs=all_of(event.inputs),
        outputs=all_of(event.outputs),
        arrived=all_of(event.arrived),
        before=all_of(event.before),
        after=all_of(event.after),
        contributions=tuple(map(term, event.contributions)),
        sums=tuple(GradientSum(rename(s.target), tuple(map(term, s.terms)), s.total) for s in event.sums),
    )
