"""Shows a benchmark record as tables, as JSON and, where asked, as a picture; measures nothing."""

from __future__ import annotations

import json
from itertools import zip_longest
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.ceilings import Ceilings
from benchmarks.peers import OURS, PEERS
from benchmarks.run import Record, Row
from benchmarks.workloads import GRAPH_PEERS, TENSORFLOW_PEERS, PeakMemory, Target

#: Spread of the middle half of the samples, as a fraction of the median, from which a number is marked.
NOISY = 0.25
#: Characters for a workload's name, description and targets: with the other columns, a line of 100.
WORKLOAD_WIDTH = 33
#: Peers that are asked for together, and what they are called then.
RIVALS = {GRAPH_PEERS: "the fastest graph", TENSORFLOW_PEERS: "TensorFlow"}


def show(record: Record, console: Console) -> None:
    """The machine and its ceilings, then for each workload every library's median, first call, ratio and
    fraction.

    "first" is building and calling it once, less an ordinary call; "ours is" is how many times faster
    (or, for memory, smaller) minigraph is than that library; "of ceiling" is of the FMA peak or the triad
    bandwidth of all cores.
    """
    _show_machine(record, console)
    console.print(_table(record))
    console.print(f"~ half of the samples spread over {NOISY:.0%} of the median or more", style="dim")
    for row in record.rows:
        for peer, text in (row.failures | row.disagreements).items():
            line = f"{row.workload.name} on {peer}: {text}"
            console.print(line, style="red", highlight=False, markup=False)


def save_json(record: Record, path: Path) -> None:
    """Writes the whole record, samples summarized."""
    path.write_text(json.dumps(record.as_json(), indent=1) + "\n")


def save_picture(record: Record, path: Path) -> None:
    """Draws every workload's medians as multiples of the fastest (logarithmic). Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in record.rows if row.results]
    bests = [min(result.summary.median for result in row.results.values()) for row in rows]
    peers = [peer for peer in PEERS if any(peer in row.results for row in rows)]
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.35 * len(rows)), layout="constrained")
    for peer in peers:
        points = [(row.results[peer].summary.median / best, height)
                  for height, (row, best) in enumerate(zip(rows, bests, strict=True)) if peer in row.results]
        ours = peer == OURS
        axes.plot(*zip(*points, strict=True), linestyle="", marker="D" if ours else "o", label=peer,
                  markersize=9 if ours else 6, zorder=3 if ours else 2)
    axes.set_yticks(range(len(rows)), [row.workload.name for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("times the fastest (median; 1 is best)")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def time_text(seconds: float) -> str:
    """Three figures and a unit: 2.41 µs, 87.3 ms, 5.55 s."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * size:
            return f"{_three_figures(seconds / size)} {unit}"
    return f"{_three_figures(seconds / 1e-9)} ns"


def _three_figures(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _show_machine(record: Record, console: Console) -> None:
    machine, top = record.machine, record.ceilings
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, "
        f"{machine['system']}, Python {machine['python']}, {record.date}\n"
        f"Ceilings, all cores (one): FMA float32 {top.fma32_all:.0f} ({top.fma32_one:.0f}), "
        f"float64 {top.fma64_all:.0f} ({top.fma64_one:.0f}) GFLOP/s; "
        f"triad {top.triad_all:.1f} ({top.triad_one:.1f}), "
        f"with streaming stores {top.streaming_triad_all:.1f} ({top.streaming_triad_one:.1f}), "
        f"reading {top.read_all:.1f} ({top.read_one:.1f}) GB/s\n"
        + ", ".join(f"{name} {version}" for name, version in record.versions.items()),
        highlight=False,
    )
    if machine["load"] > 0.5:
        console.print(f"[yellow]The machine was busy at the start (load {machine['load']:.1f} on "
                      f"{machine['cores']} cores): the numbers are worse than they would be.[/yellow]")
    if top.fma32_all < 0.8 * top.threads * top.fma32_one:
        console.print(f"[yellow]All {top.threads} cores were never free at once: the ceilings are too low "
                      "and fractions of them too high.[/yellow]")


def _table(record: Record) -> Table:
    """A line for each peer, fastest first; name, description and targets of the workload beside them."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), header_style="bold")
    table.add_column("workload", max_width=WORKLOAD_WIDTH, overflow="fold")
    table.add_column("library", no_wrap=True, min_width=max(map(len, PEERS)))
    for heading in ("median", "first", "ours is", "of ceiling"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in record.rows:
        beside = [f"[bold]{row.workload.name}[/bold]", f"[dim]{row.workload.description}[/dim]",
                  *(_target_text(target, row, record.ceilings) for target in row.workload.targets)]
        lines = [_result_cells(row, peer, record.ceilings)
                 for peer in sorted(row.results, key=lambda peer: row.results[peer].summary.median)]
        lines += [(peer, "[red]failed[/red]", "", "", "") for peer in row.failures]
        for text, cells in zip_longest(beside, lines, fillvalue=""):
            table.add_row(text, *(cells or [""] * 5))
        table.add_section()
    return table


def _result_cells(row: Row, peer: str, ceilings: Ceilings) -> tuple[str, ...]:
    result = row.results[peer]
    median = result.summary.median
    ratio = ""
    if OURS in row.results and peer != OURS:
        ratio = f"{median / row.results[OURS].summary.median:.2f}×"
    noisy = result.summary.upper - result.summary.lower >= NOISY * median
    compiling = result.compile_seconds
    cells = (
        peer,
        ("~" if noisy else "")
        + (f"{median / 1e6:.0f} MB" if isinstance(row.workload.task, PeakMemory) else time_text(median)),
        time_text(compiling) if compiling else "",
        ratio,
        ", ".join(f"{fraction:.0%} {name}" for name, fraction in fractions(row, peer, ceilings).items()),
    )
    return tuple(f"[green]{cell}[/green]" if cell else "" for cell in cells) if peer == OURS else cells


def speedup(row: Row, peers: list[str]) -> tuple[float, str] | None:
    """How many times the fastest of the peers takes as long as minigraph, and which peer that is."""
    fastest = row.fastest(peer for peer in peers if peer != OURS)
    if OURS not in row.results or fastest is None:
        return None
    return row.results[fastest].summary.median / row.results[OURS].summary.median, fastest


def fractions(row: Row, peer: str, ceilings: Ceilings) -> dict[str, float]:
    """Fraction reached of the FMA peak and of the triad bandwidth (all cores), as the workload counts."""
    median = row.results[peer].summary.median
    counted = {
        "fma": (row.workload.flops, ceilings.fma32_all),
        "triad": (row.workload.bytes, ceilings.triad_all),
    }
    return {name: amount / median / 1e9 / top for name, (amount, top) in counted.items() if amount}


def _target_text(target: Target, row: Row, ceilings: Ceilings) -> str:
    wanted = {
        "speedup": f"≥ {target.bound:g}× {RIVALS.get(target.over) or ' or '.join(target.over)}",
        "fma": f"≥ {target.bound:.0%} fma",
        "triad": f"≥ {target.bound:.0%} triad",
        "seconds": f"< {time_text(target.bound)}",
        "bytes": f"< {target.bound / 1e6:.0f} MB",
    }[target.measure]
    reached = target_reached(target, row, ceilings)
    if reached is None:
        return wanted
    return f"[green]✓ {wanted}[/green]" if reached else f"[red]✗ {wanted}[/red]"


def target_reached(target: Target, row: Row, ceilings: Ceilings) -> bool | None:
    """Whether minigraph reached it; None without a result of ours, or of the peers to compare with."""
    if OURS not in row.results:
        return None
    match target.measure:
        case "speedup":
            found = speedup(row, list(target.over))
            return None if found is None else found[0] >= target.bound
        case "fma" | "triad":
            return fractions(row, OURS, ceilings)[target.measure] >= target.bound
        case "seconds" | "bytes":
            return row.results[OURS].summary.median < target.bound
