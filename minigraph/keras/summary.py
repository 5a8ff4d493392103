"""`model.summary()`: the table of layers, printed as Keras prints it."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from minigraph.errors import InvalidArgumentError, MinigraphError, UnknownNameError, did_you_mean
from minigraph.rich_import import import_rich


def _size(count: int, bytes_each: int = 4) -> str:
    size = float(count * bytes_each)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.2f} {unit}"
        size /= 1024
    raise AssertionError


def _count(variables: Sequence) -> tuple[int, int]:
    """(number of elements, bytes)."""
    return sum(v.spec.size for v in variables), sum(v.spec.nbytes for v in variables)


def _line(label: str, variables: Sequence) -> str:
    count, nbytes = _count(variables)
    return f" {label}: {count:,} ({_size(nbytes, 1)})"


def _shape_text(layer: Any) -> str:
    try:
        if layer.is_input:
            return str(layer.batch_shape)
        if layer.calls:
            outputs = layer.calls[-1].outputs
            return str(outputs[0].shape) if len(outputs) == 1 else str([o.shape for o in outputs])
        if layer._built_on is not None:
            return str(layer.compute_output_shape(layer._built_on))
        return str(layer.output_shape)
    except MinigraphError:
        return "?"


def _parameters(layer: Any) -> str:
    if not layer.built and not layer.is_input:
        return "0 (unbuilt)"
    return f"{layer.count_params():,}"


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Print the summary of `model`; the arguments are those of Keras's `Model.summary`.

    Args:
        line_length: width of the table; by default 88 columns (108 with connections, 12 more with
        `show_trainable`), or
            what the terminal has.
        positions: where each column ends, as fractions of the width.
        print_fn: called with the text instead of printing it.
        layer_range: names (regular expressions) of the first and last layer to show.
    """
    import_rich()
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    connected = hasattr(model, "_layer_calls") and not _is_chain(model)
    width, ends = (108, [0.3, 0.56, 0.74, 1.0]) if connected else (88, [0.45, 0.80, 1.0])
    ends = list(positions or ends)
    headers: list[tuple[str, Any]] = [
        ("Layer (type)", "left"),
        ("Output Shape", "left"),
        ("Param #", "right"),
    ]
    if connected:
        headers.append(("Connected to", "left"))
    if show_trainable:
        width, ends = width + 12, [0.9 * end for end in ends] + [1.0]
        headers.append(("Trainable", "center"))
    terminal = shutil.get_terminal_size().columns
    width = line_length or min(width, terminal - 4)
    table = Table(width=width, header_style="bold", show_lines=True)
    for (header, side), size in zip(headers, _widths(ends, width), strict=True):
        table.add_column(header, justify=side, width=size)
    layers = model._layers if hasattr(model, "_layer_calls") else model.layers
    for depth, layer in _rows(_range(layers, layer_range), expand_nested):
        kind = getattr(layer, "kind", type(layer).__name__)
        row = [
            escape(f"{'   ' * depth + '└ ' if depth else ''}{layer.name} ({kind})"),
            escape(_shape_text(layer)),
            _parameters(layer),
        ]
        if connected:
            row.append(escape(_connections(model, layer)))
        if show_trainable:
            row.append(("Y" if layer.trainable else "N") if layer.weights else "-")
        table.add_row(*row)
    console = Console(width=max(width, terminal), highlight=False, record=True, file=io.StringIO())
    console.print(f'[bold]Model: "{escape(model.name)}"[/bold]')
    console.print(table)
    optimizer = getattr(model, "optimizer", None)
    optimizer_variables = list(optimizer.variables) if optimizer is not None and optimizer.built else []
    console.print(_line("Total params", [*model.weights, *optimizer_variables]))
    console.print(_line("Trainable params", model.trainable_weights))
    console.print(_line("Non-trainable params", model.non_trainable_weights))
    if optimizer_variables:
        console.print(_line("Optimizer params", optimizer_variables))
    text = "\n".join(line.rstrip() for line in console.export_text(styles=False).splitlines())
    (print_fn or print)(text)


def _widths(ends: Sequence[float], width: int) -> list[int]:
    """Columns' widths from where each ends, as fractions of the whole."""
    stops = [0, *(int(end * width) for end in ends)]
    sizes = [stop - start for start, stop in zip(stops, stops[1:], strict=False)]
    if min(sizes) < 4:
        raise InvalidArgumentError(
            "summary: there is no room for the columns",
            where="model.summary",
            got=f"{width} characters",
            wanted="a column of at least 4 characters",
            fix="give a larger line_length",
        )
    return sizes


def _rows(layers: Sequence, expand: bool, depth: int = 0):
    """(depth, layer) for every row of the table."""
    for layer in layers:
        yield depth, layer
        if expand and hasattr(layer, "layers"):
            yield from _rows(layer.layers, expand, depth + 1)


def _is_chain(model: Any) -> bool:
    """Every layer has one input and feeds one layer: no 'Connected to' column is needed."""
    calls = model._layer_calls
    return len(model.inputs) == 1 and all(
        len(call.inputs) == 1 and (i == 0 or call.inputs[0].call is calls[i - 1])
        for i, call in enumerate(calls)
    )


def _connections(model: Any, layer: Any) -> str:
    names = [
        f"{x.call.layer.name}[{x.call.number}][{x.index}]"
        for call in sorted(model._layer_calls, key=lambda call: call.number)
        if call.layer is layer
        for x in call.inputs
    ]
    return ", ".join(names) or "-"


def _range(layers: Sequence, layer_range: Sequence[str] | None) -> Sequence:
    """The layers from the first that matches layer_range[0] to the last that matches layer_range[1]."""
    if layer_range is None:
        return layers
    if len(layer_range) != 2:
        raise InvalidArgumentError(
            "summary: layer_range is a pair of names",
            where="model.summary",
            got=repr(layer_range),
            wanted="[first, last]",
            fix="give two layer names",
        )
    names = [layer.name for layer in layers]
    found = [[i for i, name in enumerate(names) if re.match(pattern, name)] for pattern in layer_range]
    for pattern, places in zip(layer_range, found, strict=True):
        if not places:
            raise UnknownNameError(
                f"summary: no layer is called {pattern!r}",
                where="model.summary",
                got=pattern,
                fix=did_you_mean(pattern, names),
            )
    first, last = found
    if first[0] > last[-1]:
        first, last = last, first
    return layers[first[0] : last[-1] + 1]
