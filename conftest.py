"""Loads minigraph before pytest loads single modules of it for their doctests: ops register themselves
once."""

import minigraph  # noqa: F401
