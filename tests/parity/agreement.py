"""Tests over a part of the case table. With `-m "not slow"` only the first case of each op is run, in the two
common ways."""

import pytest

from parity.case import Case
from parity.run import run_case


def parameters(cases: list[Case]) -> list:
    """The cases as test parameters; all but the first of each op are slow."""
    seen: set[str] = set()
    found = []
    for case in cases:
        found.append(pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.op in seen else []))
        seen.add(case.op)
    return found


def assert_agrees(case: Case, request: pytest.FixtureRequest) -> None:
    """`case` gives what TensorFlow gives, in every way it can be run."""
    quick = "not slow" in request.config.option.markexpr
    result = run_case(case, quick)
    assert result.passed, result.explain()
