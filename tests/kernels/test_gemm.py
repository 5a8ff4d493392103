"""The matrix product kernel against float64 NumPy: every form, odd sizes, ways of cutting it, its limits."""

import itertools
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import gemm, matvec, tiles
from kernels.jit import Call, Kernel
from kernels.tiles import ACTIVATIONS, TileShape
from tests.kernels.guarded import Memory

ROOT = Path(__file__).resolve().parents[2]
FORMS = list(itertools.product((False, True), repeat=2))
DTYPES = ("float32", "float64")
# Around nothing, one, the rows of a tile, one and two vectors, and more.
SIZES = (0, 1, 2, 13, 14, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100)
# Another CPU's tile: short vectors, fewer rows.
NARROW = TileShape(lanes=4, rows=6, vectors=2)
NARROW_MATMUL = Kernel("matmul_narrow", gemm.matmul.fields, gemm.matmul.touches,
                       partial(gemm.matmul_source, tile=NARROW), gemm.matmul.module)


class Product:
    """One product with its operands in guarded memory and its float64 answer."""

    def __init__(self, M, N, K, trans_a=False, trans_b=False, dtype="float32", bias=False, activation=None,
                 batch=1, shared_a=False, shared_b=False, shift=0, seed=0, scale=False):
        rng = np.random.default_rng(seed)
        self.memory = Memory()

        def operand(*shape):
            return self.memory.put(rng.standard_normal(shape), dtype, shift=shift)

        self.a = operand(1 if shared_a else batch, *((K, M) if trans_a else (M, K)))
        self.b = operand(1 if shared_b else batch, *((N, K) if trans_b else (K, N)))
        self.bias = operand(N) if bias else 0
        self.scale = operand(N) if scale else 0
        self.sizes = (batch, M, N, K, trans_a, trans_b)
        self.shared = {"shared_a": shared_a, "shared_b": shared_b}
        self.activation, self.dtype, self.shift = activation, dtype, shift

        a, b = self.a.astype("float64"), self.b.astype("float64")
        a, b = a.swapaxes(1, 2) if trans_a else a, b.swapaxes(1, 2) if trans_b else b
        factor = self.scale.astype("float64") if scale else np.ones(())
        self.answer = np.broadcast_to((a @ b) * factor + np.asarray(self.bias, "float64"), (batch, M, N))
        # The usual bound: a few roundings per step, relative to the size of the terms.
        terms = (abs(a) @ abs(b)) * abs(factor) + abs(np.asarray(self.bias))
        self.bound = (K + 3) * np.finfo(dtype).eps * terms + 1e-300
        if activation is not None:
            self.answer = np.clip(self.answer, 0, 6 if activation == "relu6" else None)

    def calls(self, out, threads: int) -> list[Call]:
        return gemm.matmul_calls(self.a, self.b, out, self.bias, *self.sizes, self.activation, self.dtype,
                                 threads, self.memory.scratch, scale=self.scale, **self.shared)

    def run(self, threads: int = 1, checked: bool = False, calls=None) -> np.ndarray:
        out = self.memory.empty(self.answer.shape, self.dtype, shift=self.shift)
        assert self.memory.run((calls or self.calls)(out, threads), checked) == 0
        return out

    def check(self, **how) -> np.ndarray:
        out = self.run(**how)
        assert (abs(out - self.answer) <= self.bound).all(), f"{self.sizes}: {abs(out - self.answer).max()}"
        return out


@pytest.fixture
def small_blocks(monkeypatch):
    """Cut even small products into parts and blocks, and copy both operands."""
    for name, value in {"_PART_WORK": 1, "_B_BLOCK": 40 * 32 * 4, "_A_BLOCK": 40 * 30 * 4, "_A_TO_COPY": 0,
                        "_ROWS_TO_COPY_B": 0, "_COLUMNS_TO_COPY_A": 0}.items():
        monkeypatch.setattr(gemm, name, value)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("trans_a", "trans_b"), FORMS)
def test_every_form_at_odd_sizes(trans_a: bool, trans_b: bool, dtype: str) -> None:
    depths = itertools.cycle(SIZES)
    for seed, (M, N) in enumerate(itertools.product(SIZES, SIZES)):
        for _ in range(2):
            Product(M, N, next(depths), trans_a, trans_b, dtype, bias=bool(seed % 2), seed=seed).check()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("trans_a", "trans_b"), FORMS)
def test_parts_and_copies_at_odd_sizes(trans_a: bool, trans_b: bool, dtype: str, small_blocks) -> None:
    """However many parts share the work, the answer is the same to the last bit."""
    depths = itertools.cycle(SIZES[1:] + (150,))
    for seed, (M, N) in enumerate(itertools.product(SIZES[1:], SIZES[1:])):
        product = Product(M, N, next(depths), trans_a, trans_b, dtype, bias=bool(seed % 2), seed=seed)
        one = product.check(threads=1)
        np.testing.assert_array_equal(product.run(threads=2 + seed % 6), one)


@pytest.mark.parametrize(
    ("M", "N", "K"), [(128, 512, 784), (784, 512, 128), (300, 600, 1000), (1100, 520, 300)])
@pytest.mark.parametrize(("trans_a", "trans_b"), FORMS)
def test_sizes_that_are_split_and_blocked(M: int, N: int, K: int, trans_a: bool, trans_b: bool) -> None:
    product = Product(M, N, K, trans_a, trans_b, bias=True, activation="relu")
    one = product.check(threads=1)
    for threads in (1, 2, 2, 3, 4):
        np.testing.assert_array_equal(product.run(threads=threads), one)


@pytest.mark.parametrize(("M", "N", "K"), [(64, 128, 784), (50, 150, 1920), (3, 17, 4000), (64, 10, 3000)])
@pytest.mark.parametrize(("trans_a", "trans_b"), FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_long_sums_are_shared_out_by_blocks(M, N, K, trans_a: bool, trans_b: bool, dtype: str) -> None:
    """Blocks made by different parts are added in order, so the answer is that of one thread."""
    for bias, activation in ((False, None), (True, "relu")):
        product = Product(M, N, K, trans_a, trans_b, dtype, bias=bias, activation=activation)
        one = product.check(threads=1)
        calls = product.calls(product.memory.empty(one.shape, dtype), 2)
        assert [call.kernel.name for call in calls] == ["matmul", "add_blocks"]
        for threads in (2, 3, 4):
            np.testing.assert_array_equal(product.run(threads=threads), one)


def test_what_is_not_a_number_stays_in_sums_by_blocks() -> None:
    product = Product(20, 40, 2000, bias=True, activation="relu")
    product.a[0, 3, 1999], product.b[0, 5, 7], product.a[0, 4, 5] = np.nan, np.inf, 2
    out = product.run(threads=2)[0]
    assert np.isnan(out[3]).all()
    assert out[4, 7] == np.inf
    np.testing.assert_array_equal(out, product.run(threads=1)[0])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_products(data) -> None:
    size, truth = st.integers(0, 90), st.booleans()
    batch = data.draw(st.integers(0, 4), "batch")
    product = Product(
        *(data.draw(size, name) for name in "MNK"), data.draw(truth, "trans_a"), data.draw(truth, "trans_b"),
        dtype=data.draw(st.sampled_from(DTYPES), "dtype"), bias=data.draw(truth, "bias"),
        activation=data.draw(st.sampled_from(tuple(ACTIVATIONS)), "activation"), batch=batch,
        scale=data.draw(truth, "scale"), shared_a=data.draw(truth, "shared_a"),
        shared_b=data.draw(truth, "shared_b"), shift=data.draw(st.integers(0, 3), "shift"),
        seed=data.draw(st.integers(0, 99), "seed"))
    product.check(threads=data.draw(st.integers(1, 4), "threads"))


@pytest.mark.checked
@pytest.mark.parametrize(("trans_a", "trans_b"), FORMS)
def test_checked(trans_a: bool, trans_b: bool, small_blocks) -> None:
    for M, N, K in ((0, 3, 2), (1, 1, 0), (3, 2, 1), (15, 33, 50), (31, 65, 17)):
        Product(M, N, K, trans_a, trans_b, bias=True, activation="relu").check(threads=3, checked=True)
    by_blocks = Product(5, 18, 570, trans_a, trans_b, bias=True, activation="relu")
    assert len(by_blocks.calls(by_blocks.memory.empty(by_blocks.answer.shape, "float32"), 3)) == 2
    by_blocks.check(threads=3, checked=True)


@pytest.mark.parametrize(("trans_a", "trans_b"), FORMS)
@pytest.mark.parametrize(("shared_a", "shared_b"), FORMS)
def test_batches(trans_a: bool, trans_b: bool, shared_a: bool, shared_b: bool, small_blocks) -> None:
    product = Product(20, 40, 30, trans_a, trans_b, bias=True, batch=5, shared_a=shared_a, shared_b=shared_b)
    one = product.check(threads=1)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(product.run(threads=threads), one)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("trans_a", "trans_b"), FORMS)
def test_matrix_times_vector(trans_a: bool, trans_b: bool, dtype: str, monkeypatch) -> None:
    """One row or one column: a kernel of its own, from a certain size on."""
    monkeypatch.setattr(gemm, "_MATVEC", 1)
    monkeypatch.setattr(matvec, "_PART_WORK", 1)
    sizes = itertools.product((1, 5, 64, 65, 100, 2049, 2200), (1, 7, 8, 9, 100, 301))
    for seed, (size, K) in enumerate(sizes):
        bias, activation = bool(seed % 2), tuple(ACTIVATIONS)[seed // 2 % 2]
        for M, N in ((1, size), (size, 1)):
            product = Product(M, N, K, trans_a, trans_b, dtype, bias, activation, seed=seed)
            assert [call.kernel for call in product.calls(product.a, 1)] == [matvec.matvec]
            one = product.check(threads=1)
            for threads in (2, 3):
                np.testing.assert_array_equal(product.run(threads=threads), one)


@pytest.mark.checked
def test_matrix_times_vector_checked(monkeypatch) -> None:
    monkeypatch.setattr(gemm, "_MATVEC", 1)
    monkeypatch.setattr(matvec, "_PART_WORK", 1)
    for (trans_a, trans_b), (M, N) in itertools.product(FORMS, ((1, 130), (130, 1), (1, 1))):
        Product(M, N, 21, trans_a, trans_b, bias=True, activation="relu").check(threads=3, checked=True)


def test_which_kernel() -> None:
    def kernels(M, N, K, batch=1):
        return [call.kernel.name for call in gemm.matmul_calls(1, 2, 3, 0, batch, M, N, K, False, False, None,
                                                               "float32", 2, bytes)]

    assert kernels(1, 128, 784) == kernels(784, 1, 128) == ["matvec"]
    assert kernels(1, 16, 10) == kernels(2, 128, 300) == kernels(1, 128, 784, batch=2) == ["matmul"]
    assert kernels(2, 128, 784) == ["matmul", "add_blocks"]
    assert kernels(0, 5, 5) == kernels(5, 0, 5) == kernels(5, 5, 5, batch=0) == []


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes, streams", [((45, 96, 20), True), ((31, 80, 35), True), ((0, 64, 3), False),
                                            ((30, 96, 100), False), ((29, 33, 5), False)])
def test_large_results_are_written_past_the_caches(sizes, streams, dtype, small_blocks, monkeypatch) -> None:
    """Whole tiles and single vectors; but not sums made in several goes, nor rows that begin anywhere."""
    product = Product(*sizes, dtype=dtype, activation="relu")
    before = product.check(threads=2)
    monkeypatch.setattr(tiles, "STREAM_BYTES", 0)
    np.testing.assert_array_equal(product.run(threads=2), before)
    modes = [call.block[call.kernel.fields.index("mode")] for call in product.calls(before, threads=1)]
    assert any(mode & tiles.STREAM for mode in modes) == streams


@pytest.mark.parametrize("dtype", DTYPES)
def test_bias_and_relu_are_exact(dtype: str) -> None:
    """Each rounds once: the same bits as adding and clipping afterwards."""
    for M, N, K in ((10, 16, 1), (33, 47, 500), (128, 130, 64)):
        plain = Product(M, N, K, dtype=dtype).run()
        biased = Product(M, N, K, dtype=dtype, bias=True)
        np.testing.assert_array_equal(biased.run(), plain + biased.bias)
        both = Product(M, N, K, dtype=dtype, bias=True, activation="relu")
        np.testing.assert_array_equal(both.run(), np.maximum(plain + biased.bias, 0))
        all_three = Product(M, N, K, dtype=dtype, bias=True, activation="relu6", scale=True)
        np.testing.assert_array_equal(
            all_three.run(), np.clip(plain * all_three.scale + all_three.bias, 0, 6))


def test_no_steps_give_the_bias() -> None:
    np.testing.assert_array_equal(Product(5, 40, 0).run(), np.zeros((1, 5, 40)))
    product = Product(5, 40, 0, bias=True, activation="relu")
    np.testing.assert_array_equal(product.run()[0], np.broadcast_to(np.maximum(product.bias, 0), (5, 40)))


def test_nan_and_infinity_keep_their_meaning() -> None:
    column = Product(100, 1, 100, activation="relu")
    column.a[0, 3, 5] = np.nan
    column.a[0, 4, 5] = -np.inf
    column.b[0, 5] = 1
    out = column.run()[0, :, 0]
    assert np.isnan(out[3])
    assert out[4] == 0
    assert np.isfinite(np.delete(out, 3)).all()

    product = Product(20, 40, 30, activation="relu")
    product.a[0, 3, 5] = np.nan
    product.a[0, 4, 5] = np.inf
    product.b[0, 5, 7] = 0
    out = product.run()[0]
    assert np.isnan(out[3]).all()
    assert np.isnan(out[4, 7])
    others = np.delete(np.arange(40), 7)
    np.testing.assert_array_equal(out[4, others], np.where(product.b[0, 5, others] > 0, np.inf, 0))
    assert np.isfinite(np.delete(out, (3, 4), axis=0)).all()


@pytest.mark.parametrize(("trans_a", "trans_b"), FORMS)
def test_another_cpus_tile(trans_a: bool, trans_b: bool, small_blocks) -> None:
    for M, N, K in itertools.product((1, 5, 6, 13), (1, 3, 4, 8, 21), (0, 1, 4, 50)):
        product = Product(M, N, K, trans_a, trans_b, bias=True)
        turned = (trans_a, trans_b and N > 1)

        def calls(out, threads, product=product, turned=turned):
            plan = gemm.plan_matmul(*product.sizes[:4], *turned, "float32", threads, tile=NARROW)
            operands = product.a, product.b, out, product.bias
            return [gemm.planned_call(plan, *operands, *product.sizes[:4], *turned, None, "float32",
                                      product.memory.scratch, kernel_=NARROW_MATMUL)]

        one = product.check(calls=calls)
        np.testing.assert_array_equal(product.run(threads=3, calls=calls), one)


PAGES = """
import ctypes, itertools, mmap
import numpy as np
from kernels import gemm, matvec
from kernels.run import run_calls
from kernels.tape import aligned_empty

libc = ctypes.CDLL(None, use_errno=True)
PAGE = mmap.PAGESIZE

def between_walls(count, at_end):
    # Memory with an unmapped page on each side; the operand leans on one of them.
    room = -(-max(count * 4, 1) // PAGE) * PAGE
    raw = np.frombuffer(mmap.mmap(-1, room + 2 * PAGE), np.uint8)
    for wall in (0, room + PAGE):
        assert libc.mprotect(ctypes.c_void_p(raw.ctypes.data + wall), ctypes.c_size_t(PAGE), 0) == 0
    start = PAGE + room - count * 4 if at_end else PAGE
    return raw[start:start + count * 4].view(np.float32)

gemm._PART_WORK = 1
for copies in (False, True):
    if copies:
        gemm._A_TO_COPY = gemm._ROWS_TO_COPY_B = gemm._COLUMNS_TO_COPY_A = 0
    for at_end, trans_a, trans_b in itertools.product((False, True), repeat=3):
        for M, N, K in itertools.product((1, 13, 29), (1, 15, 16, 33, 50), (1, 7, 16, 33)):
            a, b, out, bias = (between_walls(n, at_end) for n in (M * K, K * N, M * N, N))
            a[:], b[:], bias[:] = 1, 2, 3
            for threads in (1, 3):
                out[:] = 0
                calls = gemm.matmul_calls(a, b, out, bias, 1, M, N, K, trans_a, trans_b, None, "float32",
                                          threads, aligned_empty)
                assert run_calls(calls) == 0
                assert (out == 2 * K + 3).all()
print("inside")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")
def test_nothing_outside_the_operands_is_touched() -> None:
    """Operands lean on unmapped pages: one byte read or written outside them ends the process."""
    run = subprocess.run([sys.executable, "-c", PAGES], cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert run.returncode == 0, f"exit {run.returncode}\n{run.stderr}"
    assert run.stdout.strip() == "inside"


@pytest.mark.parametrize("K", [10, 784, 5000])
@pytest.mark.parity
def test_as_accurate_as_tensorflow(K: int) -> None:
    tf = pytest.importorskip("tensorflow")
    product = Product(128, 96, K)
    theirs = tf.matmul(product.a[0], product.b[0]).numpy()

    def error(out):
        return np.sqrt(np.mean((out - product.answer[0]) ** 2))

    assert error(product.run()[0]) <= 2 * error(theirs) + 4 * np.finfo("float32").eps


# ---- the plan ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("M", "N", "K"), [(10, 16, 1), (10, 32, 16), (10, 2, 32), (16, 32, 10), (1, 10, 64)])
def test_small_products_are_one_part_and_copy_nothing(M: int, N: int, K: int) -> None:
    plan = gemm.plan_matmul(1, M, N, K, False, False, "float32", 8)
    assert (plan.parts, plan.copy_a, plan.copy_b, plan.a_scratch, plan.b_scratch) == (1, False, False, 0, 0)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 9), st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 3000), st.booleans(),
       st.booleans(), st.sampled_from(DTYPES), st.integers(1, 24))
def test_plans_cover_the_product(batch, M, N, K, trans_a, trans_b, dtype, threads) -> None:
    plan = gemm.plan_matmul(batch, M, N, K, trans_a, trans_b, dtype, threads)
    assert plan.parts <= threads
    assert plan.part_rows * plan.grid[1] >= M
    assert plan.part_columns * plan.grid[2] >= N
    assert plan.part_columns % plan.tile.columns == 0 or plan.part_columns == N
    assert plan.block_depth == gemm.plan_matmul(1, 1, 1, K, False, False, dtype, 1).block_depth


def test_large_products_use_every_thread_evenly() -> None:
    for M, N in ((128, 512), (784, 512), (512, 128), (128, 10), (1024, 1024)):
        plan = gemm.plan_matmul(1, M, N, 512, False, False, "float32", 2)
        assert plan.parts == 2
        assert plan.part_rows * plan.part_columns * 2 == M * N


@pytest.mark.parametrize(("M", "N", "K", "trans_b", "kept"), [
    (128, 512, 784, False, 0), (128, 784, 512, True, 0), (60_000, 10, 128, False, 0),
    (2048, 2048, 2048, False, 2 << 20), (6400, 512, 2048, True, 1 << 20), (4096, 20_000, 2048, False, 0)])
def test_strips_of_b_are_kept_for_other_blocks_of_a(M, N, K, trans_b, kept) -> None:
    """Where there is another block, and room."""
    plan = gemm.plan_matmul(1, M, N, K, False, trans_b, "float32", 2, tile=TileShape(16, 14, 2))
    assert (plan.b_scratch if plan.b_strip else 0) == kept


def test_a_plan_prints_what_it_does() -> None:
    plan = gemm.plan_matmul(1, 128, 512, 784, False, True, "float32", 2, tile=TileShape(16, 14, 2))
    assert str(plan) == "14x32 tiles, 128x400 blocks, 1x1x2 parts, copies b"


def test_what_the_kernel_cannot_do_is_an_error() -> None:
    arguments = (1, 2, 3, 0, 1, 4, 4, 4, False, False)
    with pytest.raises(ValueError, match=r"activation 'gelu' is not one of \(None, 'relu', 'relu6'\)"):
        gemm.matmul_calls(*arguments, "gelu", "float32", 1, bytes)
    with pytest.raises(ValueError, match=r"dtype 'int32' is not one of \('float32', 'float64'\)"):
        gemm.matmul_calls(*arguments, None, "int32", 1, bytes)
