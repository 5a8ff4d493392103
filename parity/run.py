"""Running cases and judging them: equal to TensorFlow within the tolerances, never vacuous, failures
explained."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from minigraph.errors import MinigraphError
from parity.case import Case
from parity.cases.networks import Network
from parity.cases.optimizers import OptimizerCase
from parity.divergence import first_divergence
from parity.libraries import tensorflow
from parity.result import QUANTITIES, Result
from parity.tolerances import FACTOR, differs, few, logic, ulps
from parity.training import run_network, run_optimizer
from parity.ways import OURS, Numbers, Question, build, question, tensorflow_eager, tensorflow_function

#: The ways an edge case goes, and every case in a quick run.
QUICK = ("eager", "function")


def run(case: Case | Network | OptimizerCase, quick: bool = False) -> Result:
    """Run any row of the table on both libraries and judge it.

    Args:
        quick: cases only eagerly and as a function, beside TensorFlow's eager mode; training for fewer steps.
    """
    if isinstance(case, Network):
        return run_network(case, quick)
    if isinstance(case, OptimizerCase):
        return run_optimizer(case, quick)
    return run_case(case, quick)


def run_case(case: Case, quick: bool = False, ways: Sequence[str] = ()) -> Result:
    """Run `case` on both libraries and judge it.

    Args:
        quick: only eagerly and as a function, beside TensorFlow's eager mode.
        ways: these ways instead, beside TensorFlow's eager mode.
    """
    result = Result(case)
    started = time.perf_counter()
    light = quick or case.edge or bool(ways)
    chosen = ways or (QUICK if light or case.python else (*QUICK, "lowered") if case.layer else OURS)
    narrow = question(case, "float32")
    theirs = (tensorflow_eager if light else tensorflow_function)(narrow)
    truths = [theirs]
    if case.follows_dtype:
        wide = question(case, "float64")
        exact = tensorflow_eager(wide)
        truths = [exact]
        for name in QUICK:
            found = _attempt(result, name, wide, OURS[name])
            if found is not None:
                _judge(result, f"{name}, float64", wide, found, exact, truths[:1])
                truths.append(found)
    _refuse_vacuous(result, narrow, theirs)
    if result.problems:
        truths = truths[:1]
    for name in chosen:
        found = _attempt(result, name, narrow, OURS[name])
        if found is not None:
            _judge(result, f"{name}, float32", narrow, found, theirs, truths)
    if any("vacuous" not in problem for problem in result.problems):
        result.divergence = _explain(case, result)
    result.seconds = time.perf_counter() - started
    return result


def _attempt(
    result: Result, name: str, asked: Question, way: Callable[[Question], Numbers]
) -> Numbers | None:
    """What a way gives; an error is a problem of the case, not of the run."""
    try:
        return way(asked)
    except (MinigraphError, ArithmeticError, AttributeError, LookupError, NotImplementedError, RuntimeError,
            TypeError, ValueError, tensorflow().errors.OpError) as error:
        result.problems.append(f"  {name}, {asked.dtype}: {type(error).__name__}: {error}")
        return None


def _refuse_vacuous(result: Result, asked: Question, theirs: Numbers) -> None:
    """A comparison of nothing but zeros, or of NaN with NaN, shows nothing."""
    values = [v for v in theirs.values if v is not None]
    if asked.case.vacuous or all(v.size == 0 for v in values):
        return
    filled = all(a.size for a in asked.arrays)
    if filled and all(v.dtype.kind == "f" and np.isnan(v).all() for v in values):
        result.problems.append("  vacuous: every output is NaN")
    followed = [s for s, v in zip(asked.sources, asked.directions, strict=True) if v.size]
    zero = [s for s, g in zip(asked.sources, theirs.gradients, strict=True) if s in followed and not _any(g)]
    # At an edge (one element, a tie) a gradient may go one way only.
    if zero and (not asked.case.edge or zero == followed):
        result.problems.append(f"  vacuous: the gradient of {', '.join(zero)} is all 0")
    if followed and asked.case.second and not any(_any(s) for s in theirs.seconds):
        result.problems.append("  vacuous: all second derivatives are 0")


def _any(array: np.ndarray | None) -> bool:
    return array is not None and bool(np.any(array))


def _judge(
    result: Result, way: str, asked: Question, ours: Numbers, theirs: Numbers, truths: list[Numbers]
) -> None:
    """Compare everything one way gave. The truths are float64 results that agree with each other to LOGIC."""
    sums = asked.case.sums
    for k, (quantity, mine, other) in enumerate(zip(QUANTITIES, _parts(ours), _parts(theirs), strict=True)):
        exact = list(zip(*(_parts(truth)[k] for truth in truths), strict=True))
        whole = sums or quantity != "value"
        names = [f"output {i}" for i in range(len(mine))] if quantity == "value" else [
            f"{quantity} of {source}" for source in asked.sources[:len(mine)]]
        for name, a, b, c in zip(names, mine, other, exact, strict=True):
            if quantity == "second":
                # None and zeros say the same here; libraries differ in which they give.
                a, b = _filled(a, b), _filled(b, a)
                c = tuple(_filled(t, a) for t in c)
            if a is None or b is None:
                if (a is None) != (b is None):
                    result.problems.append(f"  {way}: {name} is {'None' if a is None else 'not None'}, "
                                           f"TensorFlow's is {'None' if b is None else 'not None'}")
                continue
            problem = _compare(result, asked.case.slack, quantity, whole, a, b, c)
            if problem:
                result.problems.append(f"  {way}: {name}: {problem}")


def _parts(numbers: Numbers) -> tuple[list, list, list]:
    return numbers.values, numbers.gradients, numbers.seconds


def _filled(array: np.ndarray | None, like: np.ndarray | None) -> np.ndarray | None:
    return np.zeros_like(like) if array is None and like is not None else array


def _compare(result: Result, slack: float, quantity: str, whole: bool, ours: np.ndarray, theirs: np.ndarray,
             truths: Sequence[np.ndarray]) -> str:
    """What is wrong with one tensor, or ""."""
    op = result.case.op
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return f"{ours.dtype}{list(ours.shape)}, TensorFlow's is {theirs.dtype}{list(theirs.shape)}"
    if ours.dtype.kind == "c":
        ours, theirs = ours.view(ours.real.dtype), theirs.view(theirs.real.dtype)
        truths = [t.view(t.real.dtype) for t in truths]
    if ours.dtype.kind != "f":
        return _place(ours, theirs, ours != theirs)
    if ours.dtype == np.float64:
        relative, of_largest = logic(op)
        return _place(ours, theirs, differs(ours, theirs, relative, of_largest))
    if ours.dtype == np.float16:
        unit = np.spacing(np.maximum(np.abs(theirs), np.finfo(np.float16).tiny))
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        return _place(ours, theirs, ~same & ~(np.abs(ours - theirs) <= few(op, quantity) * unit))
    exact = [t.astype(np.float64) for t in truths]
    mine, other = (np.min([ulps(found, t, whole) for t in exact], axis=0) for found in (ours, theirs))
    # Where TensorFlow is infinitely far from the truth (it overflows earlier, say), doing as TensorFlow is
    # right.
    as_theirs = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    mine = np.where(as_theirs, np.minimum(mine, other), mine)
    finite = np.isfinite(mine) & np.isfinite(other)
    worst, their_worst = mine[finite].max(initial=0.0), other[finite].max(initial=0.0)
    result.note(quantity, float(worst), float(their_worst))
    limit = FACTOR * their_worst + few(op, quantity) + slack
    far = np.where(as_theirs, False, mine > limit)
    if not far.any():
        return ""
    return (f"{mine[far].max():.1f} ULP from float64, TensorFlow {their_worst:.1f}, allowed {limit:.1f}; "
            + _place(ours, theirs, far, exact[0]))


def _place(ours: np.ndarray, theirs: np.ndarray, wrong: np.ndarray, truth: np.ndarray | None = None) -> str:
    if not wrong.any():
        return ""
    place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    at = f"at {[int(i) for i in place]} ours {ours[place]!r}, TensorFlow {theirs[place]!r}"
    at += f", truth {truth[place]!r}" if truth is not None else ""
    return f"{at} ({int(wrong.sum())} of {wrong.size} differ)"


def _explain(case: Case, result: Result) -> str:
    """The first op that diverges, in the dtype in which the case failed."""
    dtype = "float64" if case.follows_dtype and any("float64" in p for p in result.problems) else "float32"
    try:
        asked = question(case, dtype)
        found = first_divergence(build(asked, known_sizes=True))
    except (MinigraphError, NotImplementedError, TypeError, ValueError) as error:
        return f"  the graph cannot be walked: {type(error).__name__}: {error}"
    if found is None:
        return (
            "  every op and every gradient rule agrees with TensorFlow for the same inputs: the function "
            "puts them together differently"
        )
    return "  " + str(found).replace("\n", "\n  ")
