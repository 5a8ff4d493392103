"""Pillow and SciPy's image functions, imported when they are needed; says what to install when they are not
there.
"""

from __future__ import annotations

import importlib
from typing import Any

from minigraph.errors import FailedPreconditionError


def pillow(module: str, where: str) -> Any:
    """A module of Pillow, such as "Image"."""
    return _installed(f"PIL.{module}", "Pillow", "pillow", where)


def ndimage(where: str) -> Any:
    """scipy.ndimage."""
    return _installed("scipy.ndimage", "SciPy", "scipy", where)


def _installed(module: str, library: str, package: str, where: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise FailedPreconditionError(
            f"{where} needs {library}, which is not installed",
            where=where,
            got=str(error),
            wanted=f"{library} in this Python environment",
            fix=f"pip install {package}, or pip install 'minigraph[learn]' for all that examples use",
        ) from None
