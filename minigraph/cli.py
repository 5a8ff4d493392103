"""The command line: `minigraph --help`. A command imports what it needs when it runs, so help is quick."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import platform
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minigraph import __version__
from minigraph.errors import MinigraphError

if TYPE_CHECKING:
    from minigraph.stepper.events import Recording

app = typer.Typer(
    name="minigraph",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Deep learning you can step through: runs TensorFlow and Keras course scripts and shows every step.",
)

#: Everything behind the command's own options goes on unchanged.
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"minigraph {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    mnist: Annotated[
        Path | None,
        typer.Option(
            help="Train on the digits of this mnist.npz instead of scikit-learn's.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    interactive: Annotated[
        bool | None,
        typer.Option(
            "--interactive/--all",
            help="Step with single keys, or print everything. By default keys where there is a terminal.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Train for fewer epochs.")] = False,
) -> None:
    """Train two networks, then walk through one function, one training step and one step of an LSTM."""
    from minigraph.demo import run

    run(mnist=mnist, interactive=interactive, quick=quick)


@app.command(context_settings={"ignore_unknown_options": True})
def step(
    script: Annotated[
        Path,
        typer.Argument(
            help="A Python script that uses minigraph; or lstm, gru or simple_rnn: one training step of a "
            "small one.",
            dir_okay=False,
        ),
    ],
    arguments: Annotated[list[str] | None, typer.Argument(
        help="Arguments of the script; what follows -- goes to it even if it looks like an option below."
    )] = None,
    interactive: Annotated[
        bool | None,
        typer.Option(
            "--interactive/--all",
            help="Step with single keys, or print everything. By default keys where there is a terminal.",
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(min=1, help="Training steps to record before the script is stopped.")
    ] = 1,
    limit: Annotated[int, typer.Option(min=1, help="Stop the script after this many operations.")] = 2000,
    time_step: Annotated[
        int | None,
        typer.Option(
            help="Print only what recurrent layers do at this time step (-1: the last), gate by gate, and "
            "what comes back to them."
        ),
    ] = None,
) -> None:
    """Run a script, recording its first training step, and show it forwards and backwards.

    The script may use gradient tapes, functions, sessions or model.fit. It is stopped when a second training
    step begins.
    """
    from minigraph.errors import InvalidArgumentError
    from minigraph.stepper.script import record_script
    from minigraph.stepper.terminal import show
    from minigraph.stepper.terminal_through_time import show_step

    if interactive and time_step is not None:
        raise typer.BadParameter("one time step is printed, not walked through", param_hint="'--interactive'")
    try:
        if script.exists():
            recording, stopped = record_script(script, arguments or [], steps, limit)
        else:
            recording, stopped = _record_walk(str(script), arguments or []), False
    except typer.BadParameter:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the script raises is shown as Python shows it
        _print_script_error(error, script)
        raise typer.Exit(1) from None
    if not recording.events:
        typer.echo(f"{script.name} ran, but no minigraph operation was seen.")
        if "tensorflow" in sys.modules or "keras" in sys.modules:
            typer.echo(
                "It imports tensorflow or keras: change that to `import minigraph as tf` and "
                "`from minigraph import keras`."
            )
        raise typer.Exit(1)
    if time_step is None:
        show(recording, interactive)
    else:
        try:
            show_step(recording, time_step)
        except InvalidArgumentError as error:
            message = f"{error.what} ({error.where}): wanted {error.wanted}"
            if stopped:
                message += f"; {script.name} was stopped early: --limit {limit} says how much is recorded"
            raise typer.BadParameter(message, param_hint="'--time-step'") from None
    if stopped:
        typer.echo(f"{script.name} was stopped here: --steps and --limit say how much is recorded.")


def _record_walk(name: str, arguments: Sequence[str]) -> Recording:
    """The recording of one of the walks that come with minigraph."""
    from minigraph.demo.stepping import RECURRENT, recurrent_training_step

    if name not in RECURRENT:
        raise typer.BadParameter(
            f"File {name!r} does not exist, and it is none of {', '.join(RECURRENT)}.", param_hint="'SCRIPT'"
        )
    if arguments:
        raise typer.BadParameter(f"{name} is no script and takes no arguments", param_hint="'ARGUMENTS'")
    return recurrent_training_step(name)


def _print_script_error(error: BaseException, script: Path) -> None:
    """The traceback as Python would print it for the script alone."""
    trace = error.__traceback__
    while trace is not None and Path(trace.tb_frame.f_code.co_filename) != script:
        trace = trace.tb_next
    traceback.print_exception(error.with_traceback(trace or error.__traceback__))


@app.command(context_settings=_PASS_ON)
def bench(context: typer.Context) -> None:
    """Time minigraph beside every peer installed (`minigraph bench --help`)."""
    _forward("benchmarks", context.args)


@app.command(context_settings=_PASS_ON)
def parity(context: typer.Context) -> None:
    """Compare minigraph's numbers with TensorFlow's (`minigraph parity --help`)."""
    if importlib.util.find_spec("tensorflow") is None:
        typer.echo(
            "minigraph parity compares with TensorFlow, which is not installed: pip install "
            "'minigraph[tensorflow]'",
            err=True,
        )
        raise typer.Exit(2)
    _forward("parity", context.args)


def _forward(package: str, arguments: Sequence[str]) -> None:
    """Run `python -m package arguments...` in this process."""
    if importlib.util.find_spec(package) is None:
        typer.echo(
            f"the package {package!r} is not part of this installation; run minigraph from a clone", err=True
        )
        raise typer.Exit(2)
    raise typer.Exit(importlib.import_module(f"{package}.__main__").main(list(arguments)))


@app.command()
def warmup(
    again: Annotated[
        bool, typer.Option("--again", help="Compile kernels that are stored already, too.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--everything", help="All kernels, not only those of dense networks.")
    ] = False,
) -> None:
    """Compile kernels ahead of their first use."""
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kernels import warmup as warming

    wanted = warming.worth_compiling(everything)
    started = time.perf_counter()
    with Progress(
        TextColumn("compiling kernels"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}"),
    ) as bar:
        task = bar.add_task("", total=None, name="")
        try:
            compiled = warming.warm_up(
                wanted,
                again,
                progress=lambda done, total, name: bar.update(
                    task, completed=done, total=total or 1, name=name
                ),
            )
        except KeyboardInterrupt:
            compiled = None
        if not compiled:
            bar.remove_task(task)
    if compiled is None:
        typer.echo("interrupted; what was compiled so far is kept, and the next run goes on from there")
        raise typer.Exit(130)
    typer.echo(
        f"{compiled} kernels compiled in {time.perf_counter() - started:.0f} s"
        if compiled
        else f"all {len(wanted)} kernels are compiled already"
    )
    typer.echo(f"kept in {_cache()}")


@app.command()
def info() -> None:
    """Versions, this machine, and where compiled kernels are kept."""
    from rich.console import Console
    from rich.table import Table

    from kernels.tape import thread_count

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("minigraph", __version__)
    table.add_row("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in ("numpy", "numba", "llvmlite"):
        table.add_row(package, importlib.metadata.version(package))
    table.add_row("processor", _processor())
    table.add_row("vectors", _vectors())
    table.add_row("threads", f"{thread_count()} (MINIGRAPH_NUM_THREADS sets it)")
    table.add_row("kernel cache", f"{_cache()} (MINIGRAPH_CACHE_DIR sets it)")
    for peer in ("tensorflow", "keras", "torch", "jax", "scikit-learn"):
        table.add_row(peer, _installed(peer))
    Console(highlight=False).print(table)


def _cache() -> str:
    """Where compiled kernels are kept, and how much that is."""
    from kernels import jit

    directory = jit.store().directory
    if directory is None:
        return "none: kernels are compiled again in every process"
    files = list(directory.glob("*.o"))
    return f"{directory}: {len(files)} files, {sum(file.stat().st_size for file in files) / 2**20:.1f} MiB"


def _installed(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _vectors() -> str:
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    for feature, text in (
        ("avx512f", "512 bits (AVX-512)"),
        ("avx2", "256 bits (AVX2)"),
        ("neon", "128 bits (NEON)"),
    ):
        if features.get(feature):
            return f"{text}, {llvm.get_host_cpu_name()}"
    return f"128 bits, {llvm.get_host_cpu_name()}"


def main() -> None:
    """The entry point: errors of minigraph's own are printed, not traced."""
    try:
        app()
    except MinigraphError as error:
        typer.echo(f"minigraph: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
