"""The parity suite catches what it is there for: wrong ops are named, empty comparisons fail, nothing is left
out."""

import json

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import minigraph as mg  # noqa: E402 - after TensorFlow is known to be there
from minigraph.ops.registry import OPS  # noqa: E402
from parity import tolerances  # noqa: E402
from parity.__main__ import main  # noqa: E402
from parity.case import Case  # noqa: E402
from parity.cases import CASES, TABLE, networks, select  # noqa: E402
from parity.cases.optimizers import OptimizerCase  # noqa: E402
from parity.draw import fixed, normal, numbers, uniform  # noqa: E402
from parity.run import run_case  # noqa: E402
from parity.tolerances import differs, ulps  # noqa: E402
from parity.training import run_network, run_optimizer  # noqa: E402
from parity.ways import build, question  # noqa: E402

pytestmark = pytest.mark.parity


# ---------------------------------------------------------------------------------- wrong ops are named
# The shapes are used nowhere else: eager programs of an op are kept per shape.


def test_a_wrong_value_is_caught_and_its_op_named(monkeypatch):
    monkeypatch.setattr(OPS["exp"], "function", "expm1")
    case = Case("wrong", lambda tf, x: tf.sqrt(tf.exp(x) + 1.0) * 2.0, (uniform(0, 1, 3, 19),))
    result = run_case(case)
    assert not result.passed
    assert "first op that diverges: op 'exp'" in result.divergence
    assert "ours:" in result.divergence and "TensorFlow:" in result.divergence
    assert "# test_the_suite_itself.py" in result.divergence


def test_a_wrong_gradient_rule_is_caught_and_its_op_named(monkeypatch):
    rule = OPS["sigmoid"].gradient
    monkeypatch.setattr(OPS["sigmoid"], "gradient", lambda call, dy: [g * 1.001 for g in rule(call, dy)])
    result = run_case(Case("wrong", lambda tf, x: tf.sigmoid(tf.tanh(x) * 3.0), (normal(3, 23),)))
    assert not result.passed
    assert "gradient rule for input 0 of 'sigmoid'" in result.divergence


def test_a_wrong_fused_node_is_named(monkeypatch):
    from minigraph.compile.fuse import Fused
    emit = Fused.emit

    def swapped(self, emitter, node):
        node.attrs["members"][-1].inputs = node.attrs["members"][-1].inputs[::-1]
        emit(self, emitter, node)
        node.attrs["members"][-1].inputs = node.attrs["members"][-1].inputs[::-1]
    monkeypatch.setattr(Fused, "emit", swapped)
    result = run_case(
        Case("wrong", lambda tf, x, y: tf.tanh(x) - y, (normal(3, 29), normal(3, 29)), flat="unused")
    )
    assert [p for p in result.problems if "function" in p] and not [
        p for p in result.problems if "unfused" in p
    ]
    assert "op 'fused'" in result.divergence


def test_a_wrong_lowering_is_caught(monkeypatch):
    monkeypatch.setattr(OPS["tanh"], "tensorflow", lambda tf, inputs, attrs: tf.sin(inputs[0]))
    result = run_case(Case("wrong", lambda tf, x: tf.tanh(x), (normal(3, 31),)))
    assert any("lowered" in problem for problem in result.problems)
    assert "op 'tanh'" in result.divergence


def test_a_wrong_shape_and_dtype_are_caught(monkeypatch):
    monkeypatch.setattr(mg, "transpose", mg.identity)
    assert not run_case(Case("wrong", lambda tf, x: tf.transpose(x), (normal(2, 3),)), quick=True).passed
    monkeypatch.setattr(mg, "rank", lambda x: mg.constant(2, mg.int64))
    assert not run_case(
        Case("wrong", lambda tf, x: tf.rank(x), (normal(2, 3),), flat="a size"), quick=True
    ).passed


def test_an_error_is_a_failure_with_its_text(monkeypatch):
    def refuse(x):
        raise mg.errors.UnsupportedError("tanh is on holiday")
    monkeypatch.setattr(mg, "tanh", refuse)
    result = run_case(Case("wrong", lambda tf, x: tf.tanh(x), (normal(2, 3),)))
    assert "tanh is on holiday" in result.problems[0]


def test_a_wrong_optimizer_is_caught(monkeypatch):
    from minigraph.keras.optimizers import Adagrad
    monkeypatch.setattr(Adagrad, "update_step", lambda self, gradient, variable, rate: variable.assign_sub(
        gradient * rate), raising=False)
    monkeypatch.setattr(Adagrad, "update_all", mg.keras.optimizers.Optimizer.update_all)
    assert not run_optimizer(OptimizerCase("Adagrad", {}), quick=True).passed


def test_a_wrong_network_is_caught_and_its_op_named(monkeypatch):
    monkeypatch.setattr(OPS["relu"], "gradient", lambda call, dy: [dy])
    result = run_network(networks.NETWORKS[0], quick=True)
    assert any("part at step" in problem for problem in result.problems)
    assert "'relu'" in result.divergence


# ---------------------------------------------------------------------------------- nothing vacuous


def test_a_gradient_of_zeros_fails():
    result = run_case(Case("dead", lambda tf, x: tf.nn.relu(x - 100.0), (normal(3, 4),)), quick=True)
    assert any("vacuous" in problem and "gradient" in problem for problem in result.problems)


def test_a_missing_gradient_fails():
    result = run_case(Case("unconnected", lambda tf, x, y: x * 2.0, (normal(3), normal(3))), quick=True)
    assert any("vacuous" in problem for problem in result.problems)


def test_outputs_of_nothing_but_nan_fail():
    result = run_case(Case("nan", lambda tf, x: tf.sqrt(x), (numbers([-1, -2]),), flat="NaN"), quick=True)
    assert any("vacuous" in problem for problem in result.problems)


def test_second_derivatives_of_zeros_fail():
    # tf.cast to an integer and back lets no gradient through at all.
    case = Case("flat", lambda tf, x: tf.floor(x) + tf.stop_gradient(x), (normal(3),))
    assert not run_case(case, quick=True).passed


# ---------------------------------------------------------------------------------- counting errors


def test_ulps():
    one = np.float64(1)
    step = np.spacing(np.float32(1)).astype(np.float64)
    assert ulps(np.float32([1 + 2 * step]), np.array([one]), whole=False).tolist() == [2]
    assert ulps(np.float32([1, 1024]), np.array([1 + step, 1024]), whole=True).max() < 0.01
    nan, inf = np.nan, np.inf
    assert ulps(np.float32([nan, inf, 1, inf]), np.array([nan, 1e39, nan, -inf]), False).tolist() == [
        0,
        0,
        inf,
        inf,
    ]
    assert ulps(np.zeros(0, np.float32), np.zeros(0), True).size == 0
    # A result below the smallest normal number may be flushed to 0.
    assert ulps(np.float32([0]), np.array([1e-40]), False)[0] < 1


def test_differs():
    assert differs(np.array([1 + 1e-11, 1]), np.array([1.0, 1.0]), 1e-12, 0).tolist() == [True, False]
    assert differs(np.array([np.nan, np.inf, 1]), np.array([np.nan, -np.inf, np.nan]), 1, 1).tolist() == [
        False, True, True]


def test_every_wider_tolerance_belongs_to_an_op_and_says_why():
    ops = {case.op for case in TABLE}
    wider = {op: w for (op, _), w in tolerances.WIDER_ULP.items()} | tolerances.WIDER_LOGIC
    assert set(wider) <= ops
    assert all(len(w.reason) > 20 for w in wider.values())


# ---------------------------------------------------------------------------------- nothing left out

# Not functions of tensors that both libraries have, or of shapes only known eagerly.
NO_CASE = {
    "Assert", "print",  # effects
    "default_graph", "reset_default_graph", "placeholder", "set_seed",  # state
    "broadcast_like", "reshape_like", "sum_to_shape_of", "broadcast_static_shape",  # minigraph's own helpers
    "get_item", "tensor_equals", "tensor_not_equals",  # operators, under "getitem" and "operators"
    "random_normal", "random_uniform", "random_shuffle", "truncated_normal", "dropout",  # streams: tests/ops
    "stateless_random_normal", "stateless_random_uniform",  # under tf.random
    "unique", "unique_with_counts",  # eager only: tests/ops
}


def test_every_public_op_has_a_case():
    covered = {case.op.rpartition(".")[2] for case in TABLE}
    assert sorted(set(mg.ops.__all__) - covered - NO_CASE) == []
    assert sorted(NO_CASE & covered) == [], "has a case after all"


@pytest.mark.parametrize(
    "module", ["layers", "losses", "regularizers", "constraints", "initializers", "optimizers"]
)
def test_every_keras_class_has_a_case(module):
    base = {
        "layers": {"Input", "InputLayer", "InputSpec", "Layer", "Lambda"},
        "losses": {"Loss", "LossFunctionWrapper"},
        "regularizers": {"Regularizer"},
        "constraints": {"Constraint"},
        "optimizers": {"Optimizer"},
        "initializers": {"Initializer", "RandomInitializer", "VarianceScaling", "Orthogonal"},
    }[module]
    keras_module = getattr(mg.keras, module)
    ours = {name for name in dir(keras_module) if name[0].isupper() and isinstance(
        getattr(keras_module, name), type) and getattr(keras_module, name).__module__.startswith(
            f"minigraph.keras.{module}")}
    covered = {case.op.rpartition(".")[2] for case in TABLE if case.op.startswith(f"keras.{module}.")}
    assert sorted(ours - covered - base) == []


@pytest.mark.slow
def test_every_op_of_the_engine_is_reached():
    """Each registered op stands in the graph of some case, or belongs to training, which has tests of its
    own."""
    reached: set[str] = set()

    def note(graph):
        for node in graph.nodes:
            reached.add(node.op.name)
            for value in node.attrs.values():
                if hasattr(value, "graph") and hasattr(value, "results"):
                    note(value.graph)
    for case in CASES:
        if not case.python:
            note(build(question(case, "float32"), known_sizes=True).graph)
    of_programs = {"dense", "fused", "shape_of", "size_of", "ones_like", "count_along"}
    of_training = {name for name in OPS if name.endswith(("_update", "_matches"))} | {
        "accumulate",
        "advance",
        "assign",
        "assign_add",
        "assign_sub",
        "clip_gradients",
        "seed_next",
        "stream_next",
        "shuffle_order",
        "take_rows",
    }
    of_effects = {"assert_true", "print"}
    # Other tests of the same run may have registered ops of their own.
    ours = {name for name, op in OPS.items() if type(op).__module__.startswith("minigraph.")}
    assert sorted(ours - reached - of_programs - of_training - of_effects) == []


def test_case_names_are_unique():
    names = [case.name for case in TABLE]
    assert len(names) == len(set(names))


def test_draws_are_the_same_every_time():
    for case in CASES[::50]:
        for a, b in zip(case.arrays("float32"), case.arrays("float32"), strict=True):
            np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------------------------- the command


def test_the_command_prints_a_line_per_op_and_writes_json(tmp_path, capsys):
    file = tmp_path / "report.json"
    assert main(["--only", "maximum", "SGD", "--quick", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "maximum" in printed and "agrees" in printed and "0 differ" in printed
    report = json.loads(file.read_text())
    assert report["failed"] == 0 and report["cases"] == len(select(["maximum", "SGD"]))
    line = next(op for op in report["ops"] if op["op"] == "maximum")
    assert line["passed"] and set(line["worst_ulp"]["value"]) == {"ours", "tensorflow"}


def test_the_command_fails_where_the_libraries_differ(monkeypatch, capsys):
    monkeypatch.setattr(mg, "one_hot", lambda *args, **kwargs: mg.constant(1.0))
    assert main(["--only", "one_hot[a scalar]", "--quick"]) == 1
    assert "differ" in capsys.readouterr().out


def test_an_unknown_name_is_an_error_that_suggests(capsys):
    assert main(["--only", "maximun"]) == 2
    assert "did you mean 'maximum'?" in capsys.readouterr().out


def test_fixed_inputs_run_once():
    assert not Case("a", lambda tf, x: x, (fixed([1], "int32"),)).follows_dtype
    assert Case("a", lambda tf, x: x, (normal(2),)).follows_dtype
