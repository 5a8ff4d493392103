"""Convolution kernels against the NumPy reference in float64: random geometries, ways of cutting,
epilogues."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import conv, depthwise, tiles
from kernels.conv import ConvShape
from kernels.reference import conv as reference
from tests.kernels.guarded import Memory

DTYPES = ("float32", "float64")
WHOLE = (conv.conv2d_calls, conv.conv2d_input_gradient_calls, conv.conv2d_filter_gradient_calls)
DEPTHWISE = (depthwise.depthwise_calls, depthwise.depthwise_input_gradient_calls,
             depthwise.depthwise_filter_gradient_calls)


def shape_of(batch, height, width, channels, kernel, filters, stride=(1, 1), dilation=(1, 1), before=(0, 0),
             after=(0, 0), groups=1) -> ConvShape:
    """The geometry whose output is as large as the padding before and after allows."""
    sizes = [(size + b + a - (k - 1) * d - 1) // s + 1 for size, b, a, k, d, s in
             zip((height, width), before, after, kernel, dilation, stride, strict=True)]
    return ConvShape(batch, height, width, channels, *kernel, filters, *sizes, stride, dilation, before,
    groups)


class Convolution:
    """One geometry with its operands in guarded memory and its float64 answers."""

    def __init__(self, shape: ConvShape, dtype="float32", kernels=WHOLE, activation=None, bias=False,
    scale=False,
                 shift=0, seed=0):
        self.shape, self.dtype, self.kernels, self.activation = shape, dtype, kernels, activation
        self.shift, self.memory = shift, Memory()
        rng = np.random.default_rng(seed)

        def operand(*sizes):
            return self.memory.put(rng.standard_normal(sizes), dtype, shift=shift)

        s = shape
        self.x = operand(s.batch, s.height, s.width, s.channels)
        self.w = operand(s.kernel_height, s.kernel_width, s.channels // s.groups, s.filters)
        self.dy = operand(s.batch, s.out_height, s.out_width, s.filters)
        self.bias = operand(s.filters) if bias else 0
        self.scale = operand(s.filters) if scale else 0

        x, w, dy = (array.astype("float64") for array in (self.x, self.w, self.dy))
        needed = [(count - 1) * step + (k - 1) * d + 1 for count, step, k, d in
                  zip((s.out_height, s.out_width), s.stride, w.shape, s.dilation, strict=False)]
        padding = [(before, max(0, covered - size - before)) for before, covered, size in
                   zip(s.padding, needed, x.shape[1:], strict=False)]
        how = {"stride": s.stride, "padding": padding, "dilation": s.dilation, "groups": s.groups}
        out = reference.conv2d(x, w, **how)[:, :s.out_height, :s.out_width]
        out = out * (self.scale if scale else 1) + (self.bias if bias else 0)
        limits = {None: (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6)}[activation]
        self.answers = (np.clip(out, *limits), reference.conv2d_input_gradient(dy, w, x.shape, **how),
                        reference.conv2d_filter_gradient(x, dy, w.shape, **how))
        # A few roundings per term, relative to the size of the terms.
        sizes = (reference.conv2d(abs(x), abs(w), **how)[:, :s.out_height, :s.out_width]
                 * (abs(self.scale) if scale else 1) + (abs(self.bias) if bias else 0),
                 reference.conv2d_input_gradient(abs(dy), abs(w), x.shape, **how),
                 reference.conv2d_filter_gradient(abs(x), abs(dy), w.shape, **how))
        terms = (s.depth, s.taps * s.filters, s.pixels)
        self.bounds = [(count + 4) * np.finfo(dtype).eps * size + 1e-300
                       for count, size in zip(terms, sizes, strict=True)]

    def run(self, threads: int = 1, checked: bool = False) -> list[np.ndarray]:
        """The output and both gradients."""
        memory = self.memory
        forward, input_gradient, filter_gradient = self.kernels
        out, dx, dw = (memory.empty(array.shape, self.dtype, self.shift)
                       for array in (self.dy, self.x, self.w))
        rest = (self.dtype, threads, memory.scratch)
        for calls in (forward(self.x, self.w, out, self.bias, self.shape, self.activation, *rest, self.scale),
                      input_gradient(self.dy, self.w, dx, self.shape, *rest),
                      filter_gradient(self.x, self.dy, dw, self.shape, *rest)):
            assert memory.run(calls, checked) == 0
        return [out, dx, dw]

    def check(self, **how) -> list[np.ndarray]:
        found = self.run(**how)
        names = ("out", "dx", "dw")
        for name, got, answer, bound in zip(names, found, self.answers, self.bounds, strict=True):
            assert (abs(got - answer) <= bound).all(), f"{name} of {self.shape}: {abs(got - answer).max()}"
        return found


@st.composite
def geometries(draw, is_depthwise: bool = False) -> ConvShape:
    pair = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))
    kernel, dilation = draw(pair(1, 4)), draw(pair(1, 3))
    before, after = draw(pair(0, 4)), draw(pair(0, 4))
    spread = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    height, width = (draw(st.integers(max(1, s - b - a), most)) for s, b, a, most in
                     zip(spread, before, after, (14, 40), strict=True))
    groups = draw(st.sampled_from((1, 1, 1, 2, 3)))
    channels, filters = (groups * draw(st.sampled_from((1, 2, 3, 5, 16, 17, 33))) for _ in range(2))
    if is_depthwise:
        groups, filters = channels, channels * draw(st.sampled_from((1, 1, 2)))
    return shape_of(draw(st.integers(1, 3)), height, width, channels, kernel, filters, draw(pair(1, 3)),
                    dilation, before, after, groups)


def _random(data, kernels, is_depthwise: bool) -> None:
    convolution = Convolution(
        data.draw(geometries(is_depthwise), "shape"), data.draw(st.sampled_from(DTYPES), "dtype"), kernels,
        data.draw(st.sampled_from((None, "relu", "relu6")), "activation"), data.draw(st.booleans(), "bias"),
        data.draw(st.booleans(), "scale"), data.draw(st.integers(0, 3), "shift"), data.draw(st.integers(0,
        99)))
    one = convolution.check()
    for got, expected in zip(convolution.run(threads=data.draw(st.integers(2, 5), "threads")), one,
    strict=True):
        np.testing.assert_array_equal(got, expected)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_convolutions(data) -> None:
    """However many threads share the work, the answer is the same to the last bit."""
    _random(data, WHOLE, False)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_random_depthwise_convolutions(data) -> None:
    _random(data, DEPTHWISE, True)


@pytest.mark.parametrize(("band", "filters", "dy", "share"), [
    (1, 1, 1, 0), (4000, 2000, 1000, 1 << 20), (20000, 48 << 10, 128 << 10, 1 << 20), (1000, 4000, 5000, 0)])
def test_ways_of_cutting(band: int, filters: int, dy: int, share: int, monkeypatch) -> None:
    """Bands of rows and of images, blocks of the sum, shares of the pixels: small limits cut small images
    too."""
    for name, value in {"_PART_WORK": 1, "_TILES_TO_COPY": 1, "_BAND_BYTES": band, "_FILTER_BYTES": filters,
                        "_DY_BYTES": dy, "_SHARE_BYTES": share}.items():
        monkeypatch.setattr(conv, name, value)
    for seed, shape in enumerate((
            shape_of(5, 9, 11, 7, (3, 3), 70, before=(1, 1), after=(1, 1)),
            shape_of(3, 12, 30, 40, (3, 2), 33, before=(1, 0), after=(1, 1), stride=(2, 1)),
            shape_of(4, 8, 8, 12, (3, 3), 8, before=(2, 2), after=(2, 2), dilation=(2, 2), groups=4),
            shape_of(6, 5, 16, 3, (5, 5), 64, before=(2, 2), after=(2, 2)),
            shape_of(2, 20, 20, 16, (3, 3), 40))):
        convolution = Convolution(shape, seed=seed, bias=True)
        one = convolution.check()
        for threads in (2, 3, 7):
            for got, expected in zip(convolution.check(threads=threads), one, strict=True):
                np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sizes_of_real_layers(dtype: str) -> None:
    for shape in (shape_of(2, 56, 56, 3, (3, 3), 32, before=(1, 1), after=(1, 1)),
                  shape_of(2, 28, 28, 32, (3, 3), 64, before=(1, 1), after=(1, 1)),
                  shape_of(1, 14, 14, 256, (3, 3), 96, before=(1, 1), after=(1, 1)),
                  shape_of(2, 14, 14, 96, (1, 1), 40), shape_of(1, 7, 7, 24, (7, 7), 50)):
        Convolution(shape, dtype, bias=True, activation="relu").check(threads=2)


@pytest.mark.parametrize("shift", [0, 1])
def test_large_results_go_past_the_caches(shift: int, monkeypatch) -> None:
    """The same bits, whether or not the result begins on a cache line, and also where strides leave gaps."""
    for kernels, channels in ((WHOLE, 32), (WHOLE, 48), (DEPTHWISE, 32), (DEPTHWISE, 20)):
        for stride in ((1, 1), (2, 3)):
            shape = shape_of(2, 9, 30, channels, (3, 3), channels, stride, before=(1, 1), after=(1, 1),
                             groups=1 if kernels is WHOLE else channels)
            convolution = Convolution(shape, kernels=kernels, shift=shift, bias=True, activation="relu")
            expected = convolution.check()
            with monkeypatch.context() as patch:
                patch.setattr(tiles, "STREAM_BYTES", 0)
                for got, same in zip(convolution.run(threads=2), expected, strict=True):
                    np.testing.assert_array_equal(got, same)


def test_an_epilogue_rounds_once_for_each_of_its_parts() -> None:
    """The same bits as scaling, adding and clipping afterwards."""
    for kernels, groups in ((WHOLE, 1), (DEPTHWISE, 33)):
        shape = shape_of(2, 9, 9, 33, (3, 3), 33, before=(1, 1), after=(1, 1), groups=groups)
        plain = Convolution(shape, kernels=kernels).run()[0]
        whole = Convolution(shape, kernels=kernels, bias=True, scale=True, activation="relu6")
        expected = np.clip(plain * whole.scale + whole.bias, 0, 6)
        np.testing.assert_array_equal(whole.run()[0], expected)


@pytest.mark.parametrize("kernels", [WHOLE, DEPTHWISE])
def test_nan_and_infinity_keep_their_meaning(kernels) -> None:
    groups = 1 if kernels is WHOLE else 5
    convolution = Convolution(shape_of(1, 8, 8, 5, (3, 3), 5, before=(1, 1), after=(1, 1), groups=groups),
                              kernels=kernels, activation="relu6")
    convolution.x[0, 4, 4, 2] = np.nan
    out = convolution.run()[0][0]
    touched = np.zeros((8, 8, 5), bool)
    touched[3:6, 3:6, slice(None) if groups == 1 else 2] = True
    np.testing.assert_array_equal(np.isnan(out), touched)


def test_cells_that_no_window_reaches_get_no_gradient() -> None:
    for kernels, groups in ((WHOLE, 1), (DEPTHWISE, 3)):
        convolution = Convolution(shape_of(1, 7, 9, 3, (1, 1), 3, stride=(3, 2), groups=groups),
                                  kernels=kernels)
        dx = convolution.check()[1]
        reached = np.zeros((7, 9), bool)
        reached[::3, ::2] = True
        assert (dx[0, ~reached] == 0).all()
        assert (dx[0, reached] != 0).all()


def test_nothing_to_do() -> None:
    empty = Convolution(ConvShape(0, 5, 5, 3, 3, 3, 4, 5, 5, padding=(1, 1)))
    _, _, dw = empty.run()
    assert (dw == 0).all()


@pytest.mark.checked
@pytest.mark.parametrize(("kernels", "groups"), [(WHOLE, 1), (WHOLE, 3), (DEPTHWISE, 6)])
def test_with_every_index_checked(kernels, groups: int) -> None:
    for stride, dilation in (((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (2, 1)), ((2, 2), (2, 3))):
        Convolution(shape_of(2, 7, 9, 6, (3, 2), 6, stride, dilation, (1, 2), (2, 1), groups),
                    kernels=kernels).check(threads=3, checked=True)


def test_what_the_kernel_cannot_do_is_an_error() -> None:
    shape = shape_of(1, 4, 4, 2, (3, 3), 2)
    with pytest.raises(ValueError, match=r"activation 'gelu' is not one of \(None, 'relu', 'relu6'\)"):
        conv.conv2d_calls(1, 2, 3, 0, shape, "gelu", "float32", 1, bytes)
    with pytest.raises(ValueError, match=r"dtype 'int32' is not one of \('float32', 'float64'\)"):
        conv.conv2d_calls(1, 2, 3, 0, shape, None, "int32", 1, bytes)
