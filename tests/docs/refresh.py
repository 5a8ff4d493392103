"""Writes into the README what its scripts print now: `python -m tests.docs.refresh`; then read the diff.

For changes of output that are meant; `test_readme` finds the others. Knows the README by its marks only.
"""

import tempfile
from pathlib import Path

from tests.docs.markdown import blocks
from tests.docs.test_readme import README, scripts, shown


def main() -> None:
    """Run every shown command and replace the block below it."""
    lines = README.read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for script, block in scripts().items():
            (folder / script).write_text(block.text, encoding="utf-8")
        # From the last block to the first, so that the numbers of the lines above stay right.
        for block in reversed(blocks(README)):
            if block.mark.startswith("prints: "):
                new = shown(block.mark.removeprefix("prints: "), folder).splitlines()
                lines[block.line - 1:block.line - 1 + len(block.text.splitlines())] = new
    README.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
