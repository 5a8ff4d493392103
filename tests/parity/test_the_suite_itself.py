"""The parity suite catches what it is there for: wrong ops are named, empty comparisons fail, nothing is left
out."""

import importlib
import json
import types
from pathlib import Path

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
    "categorical",  # a stream too
    "stateless_random_normal", "stateless_random_uniform",  # under tf.random
    "unique", "unique_with_counts",  # eager only: tests/ops
    "is_tensor",  # says nothing about numbers: tests/ops
}


def test_every_public_op_has_a_case():
    covered = {case.op.rpartition(".")[2] for case in TABLE}
    assert sorted(set(mg.ops.__all__) - covered - NO_CASE) == []
    assert sorted(NO_CASE & covered) == [], "has a case after all"


@pytest.mark.parametrize(
    "module", ["layers", "losses", "metrics", "regularizers", "constraints", "initializers", "optimizers"]
)
def test_every_keras_class_has_a_case(module):
    base = {
        "layers": {"Input", "InputLayer", "InputSpec", "Layer", "Lambda", "Wrapper"},
        "losses": {"Loss", "LossFunctionWrapper"},
        "metrics": {"Metric", "MeanMetricWrapper"},
        "regularizers": {"Regularizer"},
        "constraints": {"Constraint"},
        "optimizers": {"Optimizer"},
        "initializers": {"Initializer", "RandomInitializer", "VarianceScaling", "Orthogonal"},
    }[module]
    keras_module = getattr(mg.keras, module)
    # By the classes' own names: some have two.
    ours = {value.__name__ for name, value in vars(keras_module).items() if name[0].isupper() and isinstance(
        value, type) and value.__module__.startswith(f"minigraph.keras.{module}")}
    covered = {case.op.rpartition(".")[2] for case in TABLE if case.op.startswith(f"keras.{module}.")}
    assert sorted(ours - covered - base) == []


FUSED = "the compiler makes it of others: the way 'function' runs it, 'unfused' does not"
UPDATE = "trains: the optimizers' cases follow it for a hundred steps"
STATE = "changes a variable or a stream: no function of tensors"
#: Registered op -> why it stands in no graph of a case.
NOT_IN_A_CASE = {
    **dict.fromkeys(["dense", "fused", "fused_conv2d"], FUSED),
    **dict.fromkeys([name for name in OPS if name.endswith("_update") and "scatter" not in name], UPDATE),
    **dict.fromkeys(["advance", "clip_gradients"], UPDATE),
    **dict.fromkeys(["assign_sub", "seed_next", "stream_next"], STATE),
    **dict.fromkeys(["shuffle_order", "take_rows"], "takes the batches in fit"),
    **dict.fromkeys(["assert_true", "print"], "an effect"),
}


def test_every_keras_activation_has_a_case():
    from minigraph.keras import activations
    # By the functions' own names: some have two.
    names = {value.__name__ for value in vars(activations).values() if getattr(
        value, "__module__", "") == activations.__name__ and isinstance(value, types.FunctionType)}
    helpers = {"get", "serialize", "deserialize", "remember_logits"}
    covered = {case.op.rpartition(".")[2] for case in TABLE if case.op.startswith("keras.activations.")}
    assert sorted({n for n in names if not n.startswith("_")} - helpers - covered) == []
    assert len(covered) > 15


def test_every_keras_schedule_has_a_case():
    from minigraph.keras.optimizers import schedules
    names = {name for name, value in vars(schedules).items() if isinstance(value, type) and issubclass(
        value, schedules.LearningRateSchedule) and value.__module__ == schedules.__name__ and name[0] != "_"}
    names.discard("LearningRateSchedule")
    prefix = "keras.optimizers.schedules."
    assert {case.op.removeprefix(prefix) for case in TABLE if case.op.startswith(prefix)} == names


def test_a_new_file_of_cases_is_part_of_the_table():
    """Every file has its CASES, and the table has nothing else."""
    import parity.cases
    folder = Path(parity.cases.__file__).parent
    files = [file for file in folder.glob("*.py") if file.stem != "__init__"]
    assert len(files) > 10
    found = [row for file in files for row in importlib.import_module(f"parity.cases.{file.stem}").CASES]
    assert {row.name for row in found} == {row.name for row in TABLE} and len(found) == len(TABLE)


@pytest.mark.slow
def test_every_op_of_the_engine_is_reached():
    """Each registered op stands in the graph of some case, or says why not."""
    reached: set[str] = set()

    def note(graph):
        for node in graph.nodes:
            reached.add(node.op.name)
            for value in node.attrs.values():
                if hasattr(value, "graph") and hasattr(value, "results"):
                    note(value.graph)
    # Other tests of the same run may have registered ops of their own.
    ours = {name for name, op in OPS.items() if type(op).__module__.startswith("minigraph.")}
    wanted = ours - set(NOT_IN_A_CASE)
    # The first case of an op reaches most; layers take longer, and whole networks longest.
    first = {case.op: case for case in reversed(CASES)}
    for case in sorted(CASES, key=lambda case: (
            case.layer is not None, not case.op.startswith("keras.layers."), case is not first[case.op])):
        if case.python or wanted <= reached:
            continue
        asked = question(case, "float32")
        note(build(asked, known_sizes=True).graph)
        if case.layer is None and not case.edge:
            note(build(asked).graph)
    assert sorted(wanted - reached) == []
    assert sorted(set(NOT_IN_A_CASE) & reached) == [], "is reached after all"
    assert sorted(set(NOT_IN_A_CASE) - ours) == [], "is no op any more"


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


def test_the_command_names_the_first_wrong_op_with_both_values(monkeypatch, tmp_path, capsys):
    """The sine of a longer computation is made a cosine; what comes after it inherits the difference."""
    monkeypatch.setattr(OPS["sin"], "function", "cos")
    monkeypatch.setattr("minigraph.run.eager._programs", {})
    monkeypatch.setattr("parity.cases.TABLE", (
        Case("chain", lambda tf, x: tf.exp(tf.sin(tf.square(x)) * 2.0), (numbers([0.0, 1.0]),)),
        Case("innocent", lambda tf, x: tf.exp(x), (numbers([0.5]),)),
    ))
    file = tmp_path / "report.json"
    assert main(["--json", str(file)]) == 1
    printed = capsys.readouterr().out
    assert "1 differ" in printed and "2 cases, 1 agree, 1 differ" in printed
    told = printed[printed.index("first op that diverges"):]
    assert told.startswith("first op that diverges: op 'sin' in sin: f64[2] = sin(square)")
    assert "input 0: float64[2] [0., 1.]" in told
    assert "ours:       float64[2] [1.       , 0.5403023]" in told
    assert "TensorFlow: float64[2] [0.      , 0.841471]" in told
    assert "worst at [0]: ours np.float64(1.0), TensorFlow np.float64(0.0)" in told
    report = json.loads(file.read_text())
    assert report["failed"] == 1
    assert "op 'sin'" in report["ops"][0]["failures"][0] and report["ops"][1]["failures"] == []


def test_the_report_fits_100_columns(capsys):
    """Nothing is cut: the longest names, the largest numbers, the networks' curves."""
    from rich.console import Console

    from parity import report
    from parity.result import QUANTITIES, Curve, Result
    results = [Result(row) for row in TABLE]
    for result in results:
        for quantity in QUANTITIES:
            result.note(quantity, 99.94, 123.4)
    results[0].problems.append("  made up")
    results[-1].curve = Curve(200, 1.23e-7, (59, 137))
    report.show(results, Console(width=100))
    printed = capsys.readouterr().out.splitlines()
    assert max(map(len, printed)) <= 100
    assert not any("…" in line for line in printed)
    for op in {row.op for row in TABLE}:
        assert any(line.startswith(f"{op} ") for line in printed), op
    assert any(line.split()[-4:] == ["1.2e-07", "1e-05", "59,", "137"] for line in printed)
    assert "1 differ" in "\n".join(printed)


def test_an_unknown_name_is_an_error_that_suggests(capsys):
    assert main(["--only", "maximun"]) == 2
    assert "did you mean 'maximum'?" in capsys.readouterr().out


def test_fixed_inputs_run_once():
    assert not Case("a", lambda tf, x: x, (fixed([1], "int32"),)).follows_dtype
    assert Case("a", lambda tf, x: x, (normal(2),)).follows_dtype
