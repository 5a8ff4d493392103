"""Running random graphs every way there is and comparing: `python -m tests.fuzz.batch --first 0 --seconds
10`.

A process of its own, so that a crash is a result and not the end of the test run: each seed is printed before
it runs, and at the end how many graphs had something to compare. `--seed N` repeats one and prints its graph;
`--against lowering` and `--against gradients` compare with TensorFlow instead of NumPy.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

import minigraph.run.eager  # noqa: F401 - installs eager execution
from minigraph.compile.checked import CheckedRunner
from minigraph.compile.program import Program, compile_graph
from minigraph.graph import Graph, Value
from minigraph.ops import dispatch
from minigraph.run.interpret import interpret
from tests.fuzz.graphs import Case, Maker, Number

#: Cases whose memory is at most this many bytes also run with every instruction watched.
CHECKED_BYTES = 2_000_000


class Different(AssertionError):
    """Two ways of running the same graph give different numbers."""


def by_reference(graph: Graph, inputs: list[Value], arrays: list[np.ndarray]) -> dict[int, np.ndarray]:
    """Every value of the graph, node by node in NumPy."""
    known = {id(v): np.ascontiguousarray(a).reshape(a.shape) for v, a in zip(inputs, arrays, strict=True)}
    for node in graph.nodes:
        if node.op.name == "placeholder":
            continue
        given = [known[id(v)] for v in node.inputs]
        if node.op.name == "const":
            found = [np.asarray(node.attrs["value"])]
        elif node.op.name in ("cond", "while_loop"):
            found = [
                np.asarray(t)
                for t in node.op.interpret([dispatch.eager_tensor(a) for a in given], node.attrs)
            ]
        else:
            found = node.op.reference(given, node.attrs)
        known.update({id(v): np.asarray(a) for v, a in zip(node.outputs, found, strict=True)})
    return known


def compare(way: str, number: Number, found: np.ndarray, expected: np.ndarray) -> None:
    """Shape, dtype, and numbers within what rounding may do."""
    name = number.value.name
    if found.shape != expected.shape or found.dtype != number.value.dtype.numpy_dtype:
        raise Different(
            f"{way}: {name} is {found.dtype}{found.shape}, the reference {expected.dtype}{expected.shape}"
        )
    if not found.size or number.error == np.inf:
        return
    if number.error == 0:
        wrong = found != expected
    else:
        wrong = ~(np.abs(found.astype("d") - expected) <= 32 * number.error + 1e-30)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise Different(
            f"{way}: {name}{list(at)} is {found[at]!r}, the reference {expected[at]!r} "
            f"({np.count_nonzero(wrong)} of {wrong.size} differ; allowed {32 * number.error:.3g})"
        )


def same_bits(way: str, found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for a, b in zip(found, expected, strict=True):
        if a.tobytes() != b.tobytes():
            raise Different(f"{way}: other bits than before")


def check(case: Case) -> bool:
    """Compare all ways of running a case. Returns whether there was anything to compare."""
    values = [n.value for n in case.fetches]
    known = by_reference(case.graph, case.inputs, case.arrays)
    expected = [known[id(v)] for v in values]

    def program(**options) -> Program:
        return compile_graph(case.graph, values, case.inputs, **options)

    for way, options in (("fused, two threads", {"threads": 2}), ("fused, one thread", {"threads": 1}),
                         ("node by node, two threads", {"threads": 2, "fusing": False})):
        runner = program(**options)
        first = runner.run(case.arrays)
        for number, found, wanted in zip(case.fetches, first, expected, strict=True):
            compare(way, number, found, wanted)
        same_bits(f"{way}, once more", runner.run(case.arrays), first)
        if runner.memory.unshared_bytes <= CHECKED_BYTES:
            runner._run = CheckedRunner(runner, bounds=False)
            same_bits(f"{way}, watched", runner.run(case.arrays), first)
    tensors = {v: dispatch.eager_tensor(np.array(a)) for v, a in zip(case.inputs, case.arrays, strict=True)}
    eager = interpret(case.graph, tensors)
    for number, wanted in zip(case.fetches, expected, strict=True):
        compare("eager", number, np.asarray(eager[id(number.value)]), wanted)
    return any(number.error < np.inf and 0 not in number.shape for number in case.fetches)


def choose(against: str) -> tuple[Callable[[Case], bool], dict]:
    """The comparison of this name, and how its graphs are made."""
    if against == "reference":
        return check, {}
    from tests.fuzz import beside_tensorflow
    return beside_tensorflow.COMPARISONS[against]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seconds", type=float, default=5.0, help="go on until then")
    parser.add_argument("--seed", type=int, help="run this seed only and print its graph")
    parser.add_argument("--against", choices=("reference", "lowering", "gradients"), default="reference")
    options = parser.parse_args()
    compare_all, how = choose(options.against)
    if options.seed is not None:
        case = Maker(np.random.default_rng(options.seed), **how).make()
        print(case.text())
        compare_all(case)
        return 0
    deadline, seed, compared = time.monotonic() + options.seconds, options.first, 0
    while time.monotonic() < deadline:
        print(seed, flush=True)
        case = Maker(np.random.default_rng(seed), **how).make()
        try:
            compared += compare_all(case)
        except Exception:
            print(case.text(), file=sys.stderr)
            raise
        seed += 1
    print(f"compared {compared}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
