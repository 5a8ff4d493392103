"""Recurrent kernels against the NumPy reference in float64, forward and backward: odd sizes, masks, ways of
cutting, and products in pairs of steps on any CPU."""

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import recurrent_pairs
from kernels.lane_activations import CODES
from kernels.recurrent import GATES, Sequence, recurrent_calls
from kernels.recurrent_gradient import recurrent_gradient_calls
from kernels.recurrent_panels import RecurrentShape
from kernels.reference import recurrent as reference
from tests.kernels.guarded import Memory

CELLS = tuple(GATES)
DTYPES = ("float32", "float64")
FORWARD = ("y", "h_last", "c_last", "gates", "before_h", "before_c", "inner")
BACKWARD = ("dz", "dsum", "dh0", "dc0")
#: Cells that have an operand, where not all do.
ONLY = {**dict.fromkeys(("c0", "c_last", "before_c", "dc_last", "dc0"), ("lstm",)), "bias": ("gru",),
        "inner": ("gru", "gru_reset_first"), "dsum": ("gru",)}


@contextmanager
def products(paired: bool):
    """Layers multiply in pairs of steps wherever their states allow it, or never."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recurrent_pairs, "adds_beside_products", lambda: paired)
        patch.setattr(recurrent_pairs, "PAIRED_UNITS", 1)
        patch.setattr(recurrent_pairs, "PAIRED_SAMPLES", 1)
        yield


class Layer:
    """A recurrent layer with operands in guarded memory, and its answers."""

    def __init__(self, cell, samples, steps, units, dtype="float32", activation="tanh",
                 recurrent_activation="sigmoid", masked=False, state=True,
                 arrives=("dy", "dh_last", "dc_last"), seed=0, shift=0, z=None, **how):
        rng = np.random.default_rng(seed)
        self.cell, self.dtype, self.memory, self.shift = cell, dtype, Memory(), shift
        self.shape = RecurrentShape(samples, steps, units, GATES[cell], dtype)
        self.sequence = Sequence(cell, self.shape, activation, recurrent_activation, **how)
        every = how.get("every", True)
        columns = GATES[cell] * units
        sizes = {"z": (samples, steps, columns), "u": (units, columns), "bias": (columns,),
                 "h0": (samples, units), "c0": (samples, units),
                 "dy": (samples, steps, units) if every else (samples, units), "dh_last": (samples, units),
                 "dc_last": (samples, units)}
        self.given = {}
        for name, size in sizes.items():
            if cell not in ONLY.get(name, CELLS) or (name in ("h0", "c0") and not state) or (
                    name[0] == "d" and name not in arrives):
                continue
            numbers = rng.standard_normal(size) * {"u": units**-0.5, "h0": state}.get(name, 1)
            if name == "z" and z is not None:
                numbers = z
            self.given[name] = self.memory.put(numbers, dtype, shift=shift)
        mask = rng.random((samples, steps)) < 0.6 if masked else None
        if masked:
            self.given["mask"] = self.memory.put(mask)
        exact = {name: array.astype("float64") for name, array in self.given.items() if name != "mask"}
        options = (activation, recurrent_activation)
        self.kept = reference.forward(cell, exact["z"], exact["u"], exact.get("bias"), exact.get("h0"),
                                      exact.get("c0"), mask, *options, **how)
        self.back = reference.backward(cell, self.kept, exact["u"], mask, exact.get("dy"),
                                       exact.get("dh_last"), exact.get("dc_last"), *options, **how)

    def _results(self, names, answers) -> dict:
        return {name: self.memory.empty(answers[name].shape, self.dtype, self.shift) for name in names
                if self.cell in ONLY.get(name, CELLS)}

    def run(self, threads=1, checked=False, in_place=False) -> dict[str, np.ndarray]:
        """Results of the way forward and back, by name."""
        memory, given = self.memory, self.given
        inputs = {name: array for name, array in given.items() if name in ("bias", "h0", "c0", "mask")}
        z = memory.put(given["z"], shift=self.shift)
        found = self._results(FORWARD, self.kept)
        if in_place:
            found["gates"] = z
        calls = recurrent_calls(self.sequence, z, given["u"], {**inputs, **found}, threads, memory.scratch)
        assert memory.run(calls, checked) == 0
        kept = {name: found[name] for name in ("gates", "before_h", "before_c", "inner") if name in found}
        back = self._results(BACKWARD, self.back)
        results = {name: np.array(array) for name, array in found.items()}
        if in_place:
            back["dz"] = found["gates"]
        arrived = {name: given[name] for name in ("dy", "dh_last", "dc_last", "mask") if name in given}
        calls = recurrent_gradient_calls(self.sequence, given["u"], {**arrived, **kept, **back}, threads,
                                         memory.scratch)
        assert memory.run(calls, checked) == 0
        return {**results, **{name: np.array(array) for name, array in back.items()}}

    def check(self, **how) -> dict[str, np.ndarray]:
        found = self.run(**how)
        steps = self.shape.steps * self.shape.units
        for name, got in found.items():
            answer = {**self.kept, **self.back}[name]
            # Errors of early steps travel through all later ones.
            bound = (40 + steps) * np.finfo(self.dtype).eps * (1 + abs(answer).max())
            np.testing.assert_allclose(got, answer, rtol=0, atol=bound, err_msg=f"{name} of {self.sequence}")
        return found


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 2, 100), (3, 7, 3), (33, 2, 50), (5, 3, 17), (2, 4, 32)])
def test_forward_and_backward(cell, dtype, sizes) -> None:
    Layer(cell, *sizes, dtype).check()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_random_layers(data) -> None:
    draw = data.draw
    with products(paired=draw(st.booleans(), "paired")):
        check_random_layer(draw)


def check_random_layer(draw) -> None:
    every = draw(st.booleans(), "every")
    arrives = tuple(name for name in ("dy", "dh_last", "dc_last") if draw(st.booleans(), name)) or ("dy",)
    layer = Layer(
        draw(st.sampled_from(CELLS)), draw(st.integers(1, 20)), draw(st.integers(1, 5)),
        draw(st.integers(1, 40)), draw(st.sampled_from(DTYPES)), draw(st.sampled_from(("tanh", "relu"))),
        masked=draw(st.booleans(), "masked"), state=draw(st.booleans(), "state"), arrives=arrives,
        seed=draw(st.integers(0, 99)), shift=draw(st.integers(0, 3)), every=every,
        reverse=draw(st.booleans(), "reverse"), zeros=draw(st.booleans(), "zeros"))
    one = layer.check(in_place=draw(st.booleans(), "in place"))
    for name, array in layer.run(threads=draw(st.integers(2, 5), "threads")).items():
        np.testing.assert_array_equal(array, one[name], err_msg=name)


@pytest.mark.parametrize("activation", CODES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_activations(activation, dtype) -> None:
    for cell in CELLS:
        Layer(cell, 3, 4, 9, dtype, activation, "hard_sigmoid").check()
    Layer("gru", 3, 4, 9, dtype, "tanh", activation).check()


@pytest.mark.parametrize("cell", CELLS)
def test_threads_share_the_samples(cell) -> None:
    """Enough work for several parts, in blocks of several tiles."""
    layer = Layer(cell, 61, 3, 64, masked=True)
    one = layer.check()
    assert layer.shape.parts(3) == 3
    for name, array in layer.check(threads=3).items():
        np.testing.assert_array_equal(array, one[name], err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
def test_many_units_come_in_blocks(cell) -> None:
    """Sums cut into blocks of their depth, weights fetched ahead, samples in several blocks."""
    layer = Layer(cell, 70, 2, 430)
    assert layer.shape.fetches_panels or cell == "simple_rnn"
    assert layer.shape.depth_block < GATES[cell] * 430
    layer.check(threads=1)


@pytest.mark.checked
@pytest.mark.parametrize("cell", ("lstm", "gru"))
@pytest.mark.parametrize("paired", (False, True))
def test_indices(cell, paired) -> None:
    with products(paired):
        Layer(cell, 3, 3, 18, state=False, masked=True, reverse=True).check(checked=True)


PAIRED = recurrent_pairs.PAIRED_CELLS


@pytest.mark.parametrize("cell", PAIRED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_in_pairs_round_hardly_more(cell, dtype) -> None:
    """One product of many terms with states of one sign, whose pairs would otherwise add up."""
    errors = {}
    for paired in (False, True):
        with products(paired):
            layer = Layer(cell, 40, 2, 384, dtype, state=False)
            layer.given["z"][:, 0] = 1
            layer = Layer(cell, 40, 2, 384, dtype, state=False, z=layer.given["z"])
            found = layer.run()
            errors[paired] = np.sqrt(np.mean((found["y"] - layer.kept["y"]) ** 2))
    assert 0 < errors[True] < 2 * errors[False]


@pytest.mark.parametrize("cell", PAIRED)
def test_who_multiplies_in_pairs(cell) -> None:
    """States that may be large do not, nor do layers that gain nothing."""
    def in_pairs(samples=16, steps=2, units=128, activation="tanh", gates="sigmoid", state=False, mask=False):
        shape = RecurrentShape(samples, steps, units, GATES[cell], "float32")
        return recurrent_pairs.multiplies_in_pairs(Sequence(cell, shape, activation, gates), state, mask)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recurrent_pairs, "adds_beside_products", lambda: True)
        assert in_pairs() and in_pairs(mask=True)
        assert in_pairs(state=True) == (cell == "lstm")
        assert not in_pairs(state=True, mask=True)
        assert not in_pairs(activation="relu") and not in_pairs(gates="relu")
        assert not in_pairs(samples=15) and not in_pairs(units=127) and not in_pairs(steps=1)
        patch.setattr(recurrent_pairs, "adds_beside_products", lambda: False)
        assert not in_pairs()


@pytest.mark.parametrize("cell", PAIRED)
def test_zeros_leave_nothing(cell) -> None:
    """A state of zeros takes no part, whatever the weights; weights of zero do not, whatever the state."""
    found = {}
    for paired in (False, True):
        with products(paired):
            layer = Layer(cell, 20, 3, 40, state=False)
        given = layer.given
        given["z"][:5], given["u"][:, ::3] = 0, 0
        if cell == "gru":
            given["bias"][...] = 0
        with products(paired):
            np.testing.assert_array_equal(layer.run()["y"][:5], 0)
            given["u"][...] = 0
            found[paired] = layer.run()["y"]
    np.testing.assert_array_equal(found[True], found[False])


@pytest.mark.parametrize("cell", PAIRED)
@pytest.mark.parametrize("size", (1e-42, 1e-30, 1e30, np.inf, -np.inf, np.nan))
def test_weights_of_any_size(cell, size) -> None:
    """Tiny and huge weights beside usual ones, and those that are not finite, as in a plain product."""
    found = {}
    for paired in (False, True):
        with products(paired):
            layer = Layer(cell, 18, 3, 50, state=False)
            layer.given["u"][7, ::5] = size
            found[paired] = layer.run()["y"]
    np.testing.assert_allclose(found[True], found[False], rtol=0, atol=1e-6)


def test_an_initial_state_may_be_large() -> None:
    with products(paired=True):
        layer = Layer("lstm", 20, 4, 50, state=1e4)
        layer.check()


@pytest.mark.parametrize("cell", PAIRED)
def test_a_sample_that_is_not_a_number_stays_alone(cell) -> None:
    with products(paired=True):
        layer = Layer(cell, 20, 4, 33, state=False)
        before = layer.run()["y"]
        layer.given["z"][3, 1, 2] = np.nan
        after = layer.run()["y"]
    assert np.isnan(after[3, 3]).all()
    others = np.arange(20) != 3
    np.testing.assert_array_equal(after[others], before[others])


@pytest.mark.parametrize("cell", CELLS)
def test_extreme_sums(cell) -> None:
    """Gates that saturate stay finite, and NaN stays NaN in its own sample."""
    layer = Layer(cell, 3, 2, 5, state=False)
    z = layer.given["z"]
    z[0], z[1], z[2, 0, 0] = 1e30, -1e30, np.nan
    found = layer.run()
    assert np.isfinite(found["y"][:2]).all()
    assert np.isnan(found["y"][2, 1]).any()


def test_results_nobody_needs_are_left_out() -> None:
    layer = Layer("lstm", 3, 4, 5)
    y = layer.memory.empty((3, 4, 5), "float32")
    given = {name: layer.given[name] for name in ("h0", "c0")}
    layer.memory.run(recurrent_calls(layer.sequence, layer.given["z"], layer.given["u"], {**given, "y": y}, 1,
                                     layer.memory.scratch))
    np.testing.assert_allclose(y, layer.kept["y"], atol=1e-5)


def test_what_it_does_not_have() -> None:
    with pytest.raises(ValueError, match="'swish' is not one of"):
        Sequence("lstm", RecurrentShape(1, 1, 1, 4, "float32"), "swish")
    empty = Sequence("gru", RecurrentShape(2, 0, 3, 3, "float32"), "tanh", "sigmoid")
    with pytest.raises(ValueError, match="nothing to compute"):
        recurrent_calls(empty, 0, 0, {}, 1, lambda size: 0)
