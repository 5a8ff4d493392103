"""`model.summary()`: the table of layers, printed as Keras prints it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any

from minigraph.errors import UnknownNameError, UnsupportedError, did_you_mean


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
        return str(layer.output_shape)
    except Exception:
        return "?"


def _parameters(layer: Any) -> str:
    if not layer.built and not layer.is_input:
        return "0 (unbuilt)"
    return f"{layer.count_params():,}"


def print_summary(model: Any, line_length: int | None = None, positions: Sequence[float] | None = None,
                  print_fn: Callable[[str], Any] | None = None, expand_nested: bool = False,
                  show_trainable: bool = False, layer_range: Sequence[str] | None = None) -> None:
    """Print the summary of `model`; the arguments are those of Keras's `Model.summary`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if positions is not None:
        raise UnsupportedError("summary: positions is not supported", where="model.summary", got=repr(positions),
                               fix="use line_length")
    sequential = type(model).__name__ == "Sequential"
    connected = not sequential and hasattr(model, "_layer_calls") and not _is_chain(model)
    table = Table(width=line_length, header_style="bold", show_lines=True, expand=line_length is None)
    table.add_column("Layer (type)")
    table.add_column("Output Shape")
    table.add_column("Param #", justify="right")
    if connected:
        table.add_column("Connected to")
    if show_trainable:
        table.add_column("Trai…", justify="center")
    for depth, layer in _rows(model, expand_nested, 0):
        if layer_range is not None and not _within(model, layer, layer_range):
            continue
        row = [escape(f"{'   ' * depth}{layer.name} ({type(layer).__name__})"), escape(_shape_text(layer)),
               _parameters(layer)]
        if connected:
            row.append(escape(_connections(model, layer)))
        if show_trainable:
            row.append("Y" if layer.trainable and layer.trainable_weights else "N" if layer.weights else "-")
        table.add_row(*row)
    width = line_length or max(80, min(shutil.get_terminal_size((80, 24)).columns, 120)) if print_fn is None else \
        line_length or 80
    console = Console(width=width, highlight=False, record=True, file=_Nowhere())
    console.print(f"[bold]Model: \"{escape(model.name)}\"[/bold]")
    console.print(table)
    weights, trainable = model.weights, model.trainable_weights
    other = model.non_trainable_weights
    optimizer = getattr(model, "optimizer", None)
    optimizer_variables = list(optimizer.variables) if optimizer is not None and optimizer.built else []
    console.print(_line("Total params", [*weights, *optimizer_variables]))
    console.print(_line("Trainable params", trainable))
    console.print(_line("Non-trainable params", other))
    if optimizer_variables:
        console.print(_line("Optimizer params", optimizer_variables))
    text = console.export_text(styles=False)
    (print_fn or print)(text.rstrip("\n"))


class _Nowhere:
    """A file that forgets: the console only records."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


def _rows(model: Any, expand: bool, depth: int):
    layers = model._layers if hasattr(model, "_layer_calls") else model.layers
    for layer in layers:
        yield depth, layer
        if expand and hasattr(layer, "layers"):
            yield from _rows(layer, expand, depth + 1)


def _is_chain(model: Any) -> bool:
    """Every layer has one input and feeds one layer: no 'Connected to' column is needed."""
    calls = model._layer_calls
    return len(model.inputs) == 1 and all(
        len(call.inputs) == 1 and (i == 0 or call.inputs[0].call is calls[i - 1]) for i, call in enumerate(calls))


def _connections(model: Any, layer: Any) -> str:
    names = [f"{x.call.layer.name}[{x.call.number}][{x.index}]" for call in model._layer_calls if call.layer is layer
             for x in call.inputs]
    return ", ".join(names) or "-"


def _within(model: Any, layer: Any, layer_range: Sequence[str]) -> bool:
    names = [item.name for item in model.layers]
    for name in layer_range:
        if name not in names:
            raise UnknownNameError(f"summary: no layer is called {name!r}", where="model.summary", got=name,
                                   fix=did_you_mean(name, names))
    return layer.name in names and (names.index(layer_range[0]) <= names.index(layer.name)
                                    <= names.index(layer_range[1]))
