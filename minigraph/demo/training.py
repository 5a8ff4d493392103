"""What both trainings of the demo share: a progress bar over epochs, and a confusion matrix as a table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from minigraph import keras


def fit(
    console: Console, model: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int, **arguments: Any
) -> None:
    """Train with a progress bar, and say what came out and how long it took."""
    started = time.perf_counter()
    with Progress(
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[numbers]}"),
        console=console,
    ) as bar:
        task = bar.add_task("", total=epochs, numbers="")

        def show(epoch: int, logs: dict) -> None:
            numbers = "  ".join(f"{name} {value:.3f}" for name, value in logs.items() if name != "val_loss")
            bar.update(task, completed=epoch + 1, numbers=numbers)

        model.fit(
            x,
            y,
            epochs=epochs,
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=show)],
            **arguments,
        )
    console.print(f"trained on {len(x)} samples for {epochs} epochs in {time.perf_counter() - started:.1f} s")


def report(console: Console, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> None:
    """Accuracy on a test set, and scikit-learn's confusion matrix as a table."""
    from sklearn.metrics import accuracy_score, confusion_matrix

    matrix = confusion_matrix(labels, predicted)
    wrong = int(np.sum(labels != predicted))
    console.print(
        f"test set: {accuracy_score(labels, predicted):.1%} of {len(labels)} right, {wrong} wrong\n"
    )
    ascii_only = console.options.ascii_only
    table = Table(
        title="confusion matrix",
        caption="rows: what it is; columns: what the network says",
        box=box.ASCII if ascii_only else box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for i, name in enumerate(names):
        table.add_row(f"[bold]{name}", *(_cell(n, i == j) for j, n in enumerate(matrix[i])))
    console.print(table)


def _cell(count: int, right: bool) -> str:
    if right:
        return f"[green]{count}"
    return f"[red]{count}" if count else "[dim]."
