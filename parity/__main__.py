"""`python -m parity`: run the cases, print the report; the exit code says whether everything agrees."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parity cases. Returns 0 when all agree, 1 when some differ, 2 for an unknown name."""
    parser = argparse.ArgumentParser(prog="minigraph parity", description="Our numbers beside TensorFlow's.")
    parser.add_argument("--only", nargs="+", default=[], metavar="OP", help="only these ops or cases")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON too")
    parser.add_argument("--quick", action="store_true", help="only eagerly and as a function")
    options = parser.parse_args(argv)

    from rich.console import Console
    from rich.progress import track

    from minigraph.errors import MinigraphError
    from parity import report
    from parity.cases import select
    from parity.libraries import tensorflow
    from parity.run import run
    console = Console()
    try:
        tensorflow()
        cases = select(options.only)
    except MinigraphError as error:
        console.print(str(error), markup=False)
        return 2
    results = [run(case, options.quick) for case in track(
        cases, "comparing with TensorFlow", console=Console(stderr=True), transient=True)]
    report.show(results, console)
    if options.json:
        options.json.write_text(json.dumps(report.as_json(results), indent=2), encoding="utf-8")
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
