"""The command line of the benchmarks: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import inputs
from benchmarks.peers import PEERS
from benchmarks.workloads import WORKLOADS

#: Characters in a line of a report that goes to a file or a pipe: what the table needs.
COLUMNS = 100


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmarks asked for; 1 if a peer failed or computed something else, 2 for a wrong call."""
    parser = argparse.ArgumentParser("benchmarks", description="Times minigraph and its peers on one table.")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[],
                        help="workloads or groups by name (default: all); see --list")
    parser.add_argument("--peers", metavar="A,B", default=",".join(PEERS),
                        help="peers to run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="turns each peer gets (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save everything measured")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the result (needs matplotlib)")
    parser.add_argument("--mnist", type=Path, metavar="FILE", help="train on the digits of this mnist.npz")
    parser.add_argument("--list", action="store_true", help="list workloads and peers, and stop")
    options = parser.parse_args(arguments)
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = COLUMNS
    if options.list:
        for row in WORKLOADS.values():
            console.print(f"{row.name:25s} {row.group:15s} {row.description}", highlight=False)
        for peer in PEERS.values():
            state = "installed" if peer.installed else "not installed"
            console.print(f"{peer.name:25s} {'peer':15s} {state}", highlight=False)
        return 0
    known = {*WORKLOADS, *(row.group for row in WORKLOADS.values())}
    if unknown := [name for name in options.only if name not in known]:
        parser.error(f"no workload or group {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    peers = [name.strip() for name in options.peers.split(",")]
    if unknown := [name for name in peers if name not in PEERS]:
        parser.error(f"no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: at least 1 round is needed")
    if options.mnist:
        if not options.mnist.is_file():
            parser.error(f"--mnist {options.mnist}: no such file")
        os.environ[inputs.DIGITS_FILE] = str(options.mnist.resolve())
    chosen = [row for row in WORKLOADS.values()
              if not options.only or row.name in options.only or row.group in options.only]

    os.environ.setdefault("MINIGRAPH_QUIET", "1")  # progress of compiling would end up between the tables
    from benchmarks import report, run  # they import Numba; --help and --list need not wait

    record = run.measure(chosen, peers, options.rounds,
                         lambda line: console.print(line, style="dim", highlight=False, markup=False))
    report.show(record, console)
    if options.json:
        report.save_json(record, options.json)
    if options.picture:
        report.save_picture(record, options.picture)
    return 1 if any(row.failures or row.disagreements for row in record.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
