"""Text that fits a terminal: cut at its width, and in ASCII where it shows nothing else."""

from __future__ import annotations

from collections.abc import Iterator

#: For terminals that cannot show anything but ASCII.
_ASCII = str.maketrans(
    {
        "·": "*",
        "−": "-",
        "→": "->",
        "←": "<-",
        "…": "...",
        "×": "x",
        "Σ": "sum ",
        "Π": "product ",
        "√": "sqrt ",
        "²": "^2",
        "³": "^3",
        "ᵀ": "^T",
        "ᵗ": "^t",
        "ˣ": "^x",
        "⁻": "^-",
        "₁": "1",
        "₂": "2",
        "α": "alpha",
        "β": "beta",
        "μ": "mu",
        "ρ": "rho",
        "ε": "epsilon",
        "π": "pi",
        "Φ": "Phi",
        "φ": "phi",
        "≥": ">=",
        "≤": "<=",
        "≠": "!=",
        "∞": "inf",
        "⌊": "floor(",
        "⌋": ")",
        "ₓ": "x",
        "∫": "integral",
        "▸": ">",
        "◂": "<",
        "∂": "d",
        "‖": "|",
        "✎": "*",
        "█": "#",
    }
)


def plain(text: str) -> str:
    """`text` in ASCII.

    >>> plain("∂L/∂h = 2·x")
    'dL/dh = 2*x'
    """
    return text.translate(_ASCII).encode("ascii", "replace").decode()


def wrapped(line: str, width: int, indent: int) -> Iterator[str]:
    """A line cut at spaces, the rest indented."""
    while len(line) > width:
        cut = line.rfind(" ", indent + 1, width)
        cut = width if cut <= indent else cut
        yield line[:cut]
        line = " " * indent + line[cut:].lstrip()
    yield line
