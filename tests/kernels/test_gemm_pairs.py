"""Matrix products in pairs of steps: how far off they are, which rows are made so, and what no row sees."""

import numpy as np
import pytest

from kernels import gemm, gemm_pairs, tiles
from tests.kernels.guarded import Memory

COLUMNS = {dtype: tiles.tile_shape(dtype).columns for dtype in ("float32", "float64")}
# Rows, columns (in tiles) and steps: less and more than tiles and vectors, sixes with and without a rest.
SIZES = [(1, 1, 128), (11, 2, 130), (12, 1, 131), (150, 3, 133), (301, 2, 512)]


class Product:
    """x · w + b in guarded memory: in pairs, in one chain of multiply-adds, and in more digits."""

    def __init__(self, x, w, dtype="float32", bias=True):
        rng = np.random.default_rng(1)
        self.memory, self.dtype = Memory(), dtype
        self.x, self.w = self.memory.put(x, dtype), self.memory.put(w, dtype)
        self.bias = self.memory.put(rng.standard_normal(w.shape[1]), dtype) if bias else 0
        with np.errstate(invalid="ignore"):
            more = "float64" if dtype == "float32" else "longdouble"
            self.answer = self.x.astype(more) @ self.w.astype(more) + np.asarray(self.bias, more)

    @property
    def sizes(self):
        return (*self.answer.shape, self.x.shape[1])

    def in_pairs(self, threads: int = 1, checked: bool = False) -> np.ndarray:
        out = self.memory.empty(self.answer.shape, self.dtype)
        calls = gemm_pairs.matmul_pairs_calls(self.x, self.w, out, self.bias, *self.sizes, self.dtype,
                                              threads, self.memory.scratch)
        assert self.memory.run(calls, checked) == 0
        return out

    def plain(self) -> np.ndarray:
        out = self.memory.empty(self.answer.shape, self.dtype)
        plan = gemm.plan_matmul(1, *self.sizes, False, False, self.dtype, 1)
        call = gemm.planned_call(plan, self.x, self.w, out, self.bias, 1, *self.sizes, False, False, None,
                                 self.dtype, self.memory.scratch)
        assert self.memory.run([call]) == 0
        return out

    def error(self, out) -> float:
        """Root mean square."""
        return float(np.sqrt(np.mean((out - self.answer) ** 2)))


def flat(M, N, K, seed=0):
    """Rows and columns that can be multiplied in pairs."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((M, K)), rng.uniform(-1, 1, (K, N)) * K**-0.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("M", "tiles_across", "K"), SIZES)
@pytest.mark.parametrize("bias", [False, True])
def test_as_close_as_a_plain_product_for_numbers_of_one_size(M, tiles_across, K, dtype, bias) -> None:
    product = Product(*flat(M, tiles_across * COLUMNS[dtype], K), dtype, bias)
    out = product.in_pairs()
    assert (out != product.plain()).any()
    norms = np.linalg.norm(product.x, axis=1)[:, None] * np.linalg.norm(product.w, axis=0)
    # The bound is K roundings of a few times the norms; a hundredth of that is what chance leaves.
    eps = np.finfo(dtype).eps
    assert (abs(out - product.answer) <= (0.02 * K * norms + 4) * eps).all()
    if out.size > 5000:
        assert product.error(out) < 1.6 * product.error(product.plain())


@pytest.mark.parametrize("scale", [2.0**-50, 1e-3, 30.0])
def test_a_rows_size_does_not_matter(scale) -> None:
    """Powers of two change no digit, while the norms are small enough."""
    x, w = flat(40, COLUMNS["float32"], 256)
    one, other = Product(x / 32, w, bias=False), Product(x / 32 * scale, w, bias=False)
    out = other.in_pairs()
    assert other.error(out) < 1.6 * other.error(other.plain())
    if scale == 2.0**-50:
        np.testing.assert_array_equal(out, one.in_pairs() * np.float32(scale))


def unfit_rows(K):
    """By name: rows that are multiplied as usual."""
    rng = np.random.default_rng(3)
    one_hot, spiked, nothing = np.zeros(K), rng.standard_normal(K), rng.standard_normal(K)
    one_hot[7], spiked[5] = 1, 100 * spiked.std()
    nothing[3] = np.nan
    infinite, tiny, subnormal = rng.standard_normal(K), 1e-25 * rng.standard_normal(K), np.full(K, 1e-40)
    infinite[100] = np.inf
    features = np.where(np.arange(K) % 2, 1000, 1) * rng.standard_normal(K)
    return {"one hot": one_hot, "spiked": spiked, "nan": nothing, "inf": infinite, "tiny": tiny,
            "subnormal": subnormal, "features of two sizes": features, "huge": 1e20 * rng.standard_normal(K)}


@pytest.mark.parametrize("name", unfit_rows(256))
@pytest.mark.parametrize("all_rows", [False, True])
def test_rows_that_do_not_fit_are_plain_sums(name: str, all_rows: bool) -> None:
    """To the last bit, and their neighbours do not notice."""
    x, w = flat(50, 2 * COLUMNS["float32"], 256)
    before = Product(x, w).in_pairs()
    unfit = np.arange(50) if all_rows else np.array([0, 17, 18, 49])
    x[unfit] = unfit_rows(256)[name]
    product = Product(x, w)
    out = product.in_pairs()
    np.testing.assert_array_equal(out[unfit], product.plain()[unfit])
    others = np.delete(np.arange(50), unfit)
    np.testing.assert_array_equal(out[others], before[others])
    np.testing.assert_array_equal(product.in_pairs(threads=3), out)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e4, 1e30, 200.0])
def test_a_column_that_does_not_fit_makes_all_sums_plain(number) -> None:
    """Not a number, a number far larger than its column, a column with a large norm."""
    x, w = flat(30, 2 * COLUMNS["float32"], 200)
    if number == 200:
        w[:, 9] *= number
    else:
        w[11, 9] = number
    x[4] = 0
    product = Product(x, w)
    np.testing.assert_array_equal(np.delete(product.in_pairs(), 4, 0), np.delete(product.plain(), 4, 0))
    # A row of zeros fits a column of any size.
    np.testing.assert_array_equal(product.in_pairs()[4], product.plain()[4])


def test_zeros_leave_nothing() -> None:
    x, w = flat(30, 2 * COLUMNS["float32"], 200)
    x[5:20], w[:, 3] = 0, 0
    product = Product(x, w)
    out = product.in_pairs()
    np.testing.assert_array_equal(out[5:20], np.broadcast_to(product.bias, (15, len(product.bias))))
    np.testing.assert_array_equal(out[:, 3], np.full(30, product.bias[3]))
    np.testing.assert_array_equal(Product(x, 0 * w).in_pairs(), np.broadcast_to(product.bias, out.shape))


def test_threads_and_writing_past_the_caches_change_nothing(monkeypatch) -> None:
    product = Product(*flat(200, 3 * COLUMNS["float32"], 300))
    one = product.in_pairs()
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(product.in_pairs(threads=threads), one)
    monkeypatch.setattr(tiles, "STREAM_BYTES", 0)
    np.testing.assert_array_equal(product.in_pairs(threads=2), one)


@pytest.mark.checked
def test_checked() -> None:
    x, w = flat(25, COLUMNS["float32"], 131)
    x[3], x[20] = unfit_rows(131)["one hot"], 0
    product = Product(x, w)
    np.testing.assert_array_equal(product.in_pairs(threads=2, checked=True), product.in_pairs())


def test_where_it_is_worth_while(monkeypatch) -> None:
    monkeypatch.setattr(gemm_pairs, "adds_beside_products", lambda: True)
    columns = 64 * COLUMNS["float32"]
    assert gemm_pairs.multiplies_in_pairs(6400, columns, 512, "float32")
    for M, N, K in ((6400, columns, 127), (6400, columns, 1025), (6400, columns + 1, 512), (9, columns, 512)):
        assert not gemm_pairs.multiplies_in_pairs(M, N, K, "float32")
    monkeypatch.setattr(gemm_pairs, "adds_beside_products", lambda: False)
    assert not gemm_pairs.multiplies_in_pairs(6400, columns, 512, "float32")
