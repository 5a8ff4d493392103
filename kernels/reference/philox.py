"""TensorFlow's stateless random numbers in plain NumPy: Philox-4x32-10 with TensorFlow's key scramble.

Why: "same script, same seed" must give the same initial weights and the same dropout masks as TensorFlow.
Uniform numbers, integers and dropout are equal bit for bit; normal numbers up to rounding of log, sin, cos.
Source of the generator: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
This file does not know where seeds come from (SeedGenerator, set_random_seed); a seed is two integers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ROUNDS = 10
MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEP_0, KEY_STEP_1 = 0x9E3779B9, 0xBB67AE85
SCRAMBLE_KEY = (0x3EC8F720, 0x02461E29)  # TensorFlow's own constants
LOW_32 = 0xFFFFFFFF
LOW_32_U64 = np.uint64(LOW_32)
SHIFT_32 = np.uint64(32)

WORDS_PER_BLOCK = 4  # one Philox call gives four uint32 words
SAMPLES_RESERVED_PER_OUTPUT = 256  # TensorFlow reserves this much of the stream per truncated normal number
TRUNCATION = 2.0
BOX_MULLER_FLOOR = 1.0e-7  # keeps log away from zero; a float32 constant in the float32 form

Seed = Sequence[int]


class Stream(NamedTuple):
    """A row of 128-bit blocks: block i is philox((j mod 2^32, j div 2^32, *high), key), j = start + i."""

    key: tuple[int, int]
    high: tuple[int, int]
    start: int = 0

    def skip(self, block_count: int) -> "Stream":
        """The same row, beginning `block_count` blocks later."""
        return self._replace(start=self.start + block_count)


def philox4x32(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Ten Philox rounds. counter: uint32 [n, 4]; returns uint32 [n, 4].

    One round, with (h, l) the high and low words of a 32x32-bit product:
        (h0, l0) = M0 * c0;  (h1, l1) = M1 * c2
        c = (h1 ^ c1 ^ k0, l1, h0 ^ c3 ^ k1, l0)
    and between rounds k0 += W0, k1 += W1 (mod 2^32).
    """
    c0, c1, c2, c3 = (counter[:, word].astype(np.uint64) for word in range(WORDS_PER_BLOCK))
    k0, k1 = key
    for _ in range(ROUNDS):
        product_0, product_1 = MULTIPLIER_0 * c0, MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (
            (product_1 >> SHIFT_32) ^ c1 ^ np.uint64(k0),
            product_1 & LOW_32_U64,
            (product_0 >> SHIFT_32) ^ c3 ^ np.uint64(k1),
            product_0 & LOW_32_U64,
        )
        k0, k1 = (k0 + KEY_STEP_0) & LOW_32, (k1 + KEY_STEP_1) & LOW_32
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def stateless_stream(seed: Seed) -> Stream:
    """The stream of `tf.random.stateless_*`: the two 64-bit seeds, scrambled by one Philox call.

    The scramble's counter is (seed[0] low, seed[0] high, seed[1] low, seed[1] high). Of its four output words
    the first two are the key and the last two the high half of the counter. Negative seeds are taken in
    two's complement, as int64.
    """
    first, second = _seed_pair(seed)
    words = [first & LOW_32, (first >> 32) & LOW_32, second & LOW_32, (second >> 32) & LOW_32]
    mixed = [int(word) for word in philox4x32(np.array([words], dtype=np.uint32), SCRAMBLE_KEY)[0]]
    return Stream(key=(mixed[0], mixed[1]), high=(mixed[2], mixed[3]))


def stateful_stream(graph_seed: int, op_seed: int) -> Stream:
    """The stream of TensorFlow's stateful ops (`tf.random.uniform`, `tf.random.normal`): no scramble.

    graph_seed (the one of `tf.random.set_seed`) is the 64-bit key, op_seed the high half of the counter.
    An op that runs again with the same two seeds goes on where it stopped; TensorFlow reserves 256 blocks per
    number drawn, so after `count` numbers it continues with `stream.skip(256 * count)`.
    """
    graph_seed, op_seed = _seed_pair((graph_seed, op_seed))
    return Stream(
        key=(graph_seed & LOW_32, (graph_seed >> 32) & LOW_32),
        high=(op_seed & LOW_32, (op_seed >> 32) & LOW_32),
    )


def blocks(stream: Stream, index: np.ndarray) -> np.ndarray:
    """The blocks numbered `index` (integers [n]) of a stream: uint32 [n, 4]."""
    index = np.asarray(index, dtype=np.uint64) + np.uint64(stream.start)
    counter = np.empty((index.size, WORDS_PER_BLOCK), dtype=np.uint32)
    counter[:, 0] = index & LOW_32_U64
    counter[:, 1] = index >> SHIFT_32
    counter[:, 2], counter[:, 3] = stream.high
    return philox4x32(counter, stream.key)


def words(stream: Stream, count: int) -> np.ndarray:
    """The first `count` uint32 words of a stream."""
    block_count = -(-count // WORDS_PER_BLOCK)
    return blocks(stream, np.arange(block_count)).reshape(-1)[:count]


def wide_words(stream: Stream, count: int) -> np.ndarray:
    """The first `count` uint64 words of a stream: pairs of uint32, the low half first."""
    halves = words(stream, 2 * count).astype(np.uint64).reshape(count, 2)
    return halves[:, 0] | (halves[:, 1] << SHIFT_32)


def unit_float32(bits: np.ndarray) -> np.ndarray:
    """uint32 -> float32 in [0, 1): the low 23 bits become the mantissa of a number in [1, 2), less 1."""
    return ((bits & np.uint32(0x7FFFFF)) | np.uint32(127 << 23)).view(np.float32) - np.float32(1)


def unit_float64(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two uint32 -> float64 in [0, 1): 20 low bits of `first` top the mantissa, `second` ends it."""
    mantissa = ((first.astype(np.uint64) & np.uint64(0xFFFFF)) << SHIFT_32) | second.astype(np.uint64)
    return (mantissa | np.uint64(1023 << 52)).view(np.float64) - 1.0


def box_muller_float32(bits: np.ndarray) -> np.ndarray:
    """uint32 [..., 2k] -> standard normal float32 [..., 2k]; every pair of words makes a pair of numbers.

    r = sqrt(-2 log u), with u = unit_float32(first) not below 1e-7; angle = 2 pi unit_float32(second);
    the pair is (r sin(angle), r cos(angle)) (Box & Muller 1958, sine first as TensorFlow has it).
    Functions are evaluated in float64 and rounded to float32, as a good float32 library would return them.
    """
    u = np.maximum(unit_float32(bits[..., 0::2]), np.float32(BOX_MULLER_FLOOR))
    turn = unit_float32(bits[..., 1::2]).astype(np.float64)
    angle = (2 * np.pi * turn).astype(np.float32).astype(np.float64)
    radius = np.sqrt(np.float32(-2) * np.log(u.astype(np.float64)).astype(np.float32))
    circle = np.stack([np.sin(angle), np.cos(angle)], axis=-1).astype(np.float32)
    return (circle * radius[..., np.newaxis]).reshape(bits.shape)


def box_muller_float64(bits: np.ndarray) -> np.ndarray:
    """uint32 [..., 4k] -> standard normal float64 [..., 2k]; as box_muller_float32, two words per number."""
    u = np.maximum(unit_float64(bits[..., 0::4], bits[..., 1::4]), BOX_MULLER_FLOOR)
    angle = 2 * np.pi * unit_float64(bits[..., 2::4], bits[..., 3::4])
    radius = np.sqrt(-2 * np.log(u))
    circle = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    return (circle * radius[..., np.newaxis]).reshape(*bits.shape[:-1], bits.shape[-1] // 2)


def uniform(shape: Sequence[int], stream: Stream, minval=0, maxval=None, dtype="float32") -> np.ndarray:
    """Uniform numbers in [minval, maxval) from a stream; see stateless_uniform."""
    dtype = _known(dtype, "uniform", ("float32", "float64", "int32", "int64", "uint32", "uint64"))
    count = _count(shape)
    if dtype.kind == "f":
        unit = unit_float32(words(stream, count)) if dtype == np.float32 else _unit_doubles(stream, count)
        low, high = dtype.type(minval), dtype.type(1 if maxval is None else maxval)
        return (unit * (high - low) + low).reshape(shape)
    bits = words(stream, count) if dtype.itemsize == 4 else wide_words(stream, count)
    if minval is None and maxval is None:
        return bits.view(dtype).reshape(shape)
    if minval is None or maxval is None or dtype.kind == "u":
        raise ValueError(
            f"uniform: got minval={minval}, maxval={maxval}, dtype={dtype}. Integer dtypes want both bounds "
            "(int32 and int64 only) or neither (the whole range of the type). Give both or set both to None."
        )
    if not minval < maxval:
        raise ValueError(f"uniform: got minval={minval}, maxval={maxval}; wanted minval < maxval.")
    span = bits.dtype.type(int(maxval) - int(minval))
    low = bits.dtype.type(int(minval) % (1 << 8 * dtype.itemsize))  # wraps around, as two's complement does
    return (low + bits % span).view(dtype).reshape(shape)


def normal(shape: Sequence[int], stream: Stream, mean=0.0, stddev=1.0, dtype="float32") -> np.ndarray:
    """Normal numbers from a stream; see stateless_normal."""
    dtype = _known(dtype, "normal", ("float32", "float64"))
    count = _count(shape)
    block_count = -(-count * (dtype.itemsize // 4) // WORDS_PER_BLOCK)
    box_muller = box_muller_float32 if dtype == np.float32 else box_muller_float64
    standard = box_muller(blocks(stream, np.arange(block_count))).reshape(-1)[:count]
    return (standard * dtype.type(stddev) + dtype.type(mean)).reshape(shape)


def truncated_normal(
    shape: Sequence[int], stream: Stream, mean=0.0, stddev=1.0, dtype="float32"
) -> np.ndarray:
    """Normal numbers within two standard deviations; see stateless_truncated_normal."""
    dtype = _known(dtype, "truncated_normal", ("float32", "float64"))
    count = _count(shape)
    box_muller = box_muller_float32 if dtype == np.float32 else box_muller_float64
    per_group = WORDS_PER_BLOCK // (dtype.itemsize // 4)
    group_count = -(-count // per_group)
    blocks_per_group = per_group * SAMPLES_RESERVED_PER_OUTPUT // WORDS_PER_BLOCK

    standard = np.empty((group_count, per_group), dtype=dtype)
    filled = np.zeros(group_count, dtype=np.int64)
    unfinished = np.arange(group_count)
    attempt = 0
    while unfinished.size:
        candidates = box_muller(blocks(stream, unfinished * blocks_per_group + attempt))
        for candidate in candidates.T:
            place = filled[unfinished]
            accepted = (np.abs(candidate) < TRUNCATION) & (place < per_group)
            standard[unfinished[accepted], place[accepted]] = candidate[accepted]
            filled[unfinished[accepted]] += 1
        unfinished = unfinished[filled[unfinished] < per_group]
        attempt += 1
    standard = standard.reshape(-1)[:count]
    return (standard * dtype.type(stddev) + dtype.type(mean)).reshape(shape)


def shuffle_order(n: int, stream: Stream) -> np.ndarray:
    """int64 [n]: the order into which `tf.random.shuffle` puts n rows, for the stateful stream of its seeds.

    Fisher-Yates: place i swaps with place i + word_i mod (n - i), i = 0 ... n - 2 (Knuth, TAOCP 2, 3.4.2 P).
    After `set_random_seed(s)`, Keras's `fit` shuffles arrays by `stateful_stream(s, 0)` in every epoch.
    """
    order = list(range(n))
    for place, word in enumerate(words(stream, max(n - 1, 0)).tolist()):
        other = place + word % (n - place)
        order[place], order[other] = order[other], order[place]
    return np.array(order, dtype=np.int64)


def stateless_uniform_bits(n: int, seed: Seed) -> np.ndarray:
    """The first n uint32 words behind every stateless function, for `seed` (two integers)."""
    return words(stateless_stream(seed), n)


def stateless_uniform(shape: Sequence[int], seed: Seed, minval=0, maxval=None, dtype="float32") -> np.ndarray:
    """`tf.random.stateless_uniform`, bit for bit.

    Floats: unit * (maxval - minval) + minval, rounded after every operation in dtype; maxval defaults to 1.
    int32, int64: minval + bits mod (maxval - minval) (slightly biased, as TensorFlow's); uint32, uint64 and
    the signed types with minval = maxval = None give the whole range. 64-bit types use two words per number.
    Raises ValueError for another dtype, one bound missing, or minval >= maxval.
    """
    return uniform(shape, stateless_stream(seed), minval, maxval, dtype)


def stateless_normal(shape: Sequence[int], seed: Seed, mean=0.0, stddev=1.0, dtype="float32") -> np.ndarray:
    """`tf.random.stateless_normal` (float32, float64), equal up to rounding: Box-Muller on pairs of uniforms.

    Result: standard * stddev + mean, rounded in dtype after each. Raises ValueError for other dtypes.
    """
    return normal(shape, stateless_stream(seed), mean, stddev, dtype)


def stateless_truncated_normal(
    shape: Sequence[int], seed: Seed, mean=0.0, stddev=1.0, dtype="float32"
) -> np.ndarray:
    """`tf.random.stateless_truncated_normal` (float32, float64), equal up to rounding.

    Numbers of magnitude 2 or more are redrawn. So that threads may work in any order, each group of outputs
    (4 float32 or 2 float64) owns a piece of the stream 256 words per output long: group g starts at block
    256 g (float32) or 128 g (float64) and keeps the first acceptable Box-Muller numbers it meets there.
    """
    return truncated_normal(shape, stateless_stream(seed), mean, stddev, dtype)


def dropout_mask(shape: Sequence[int], rate: float, seed: Seed, dtype="float32") -> np.ndarray:
    """Which elements dropout keeps: bool `shape`, true where stateless_uniform >= rate, compared in dtype."""
    dtype = _known(dtype, "dropout_mask", ("float32", "float64"))
    return stateless_uniform(shape, seed, dtype=dtype) >= dtype.type(rate)


def dropout(x: np.ndarray, rate: float, seed: Seed, noise_shape: Sequence[int] | None = None) -> np.ndarray:
    """Keras's Dropout in training, bit for bit: where(mask, x / (1 - rate), 0) (Srivastava et al. 2014).

    x is multiplied by 1 / (1 - rate), computed in float64 and rounded to x's dtype. `noise_shape` must
    broadcast to x's shape. Raises ValueError unless 0 <= rate < 1.
    The seed of call k (0, 1, ...) of a layer is `keras_seed((s, k))`, s the layer's own seed.
    """
    _check_rate(rate)
    mask = dropout_mask(x.shape if noise_shape is None else noise_shape, rate, seed, x.dtype)
    return np.where(mask, x * x.dtype.type(1 / (1 - rate)), x.dtype.type(0))


def dropout_gradient(
    g: np.ndarray, rate: float, seed: Seed, noise_shape: Sequence[int] | None = None
) -> np.ndarray:
    """dL/dx of dropout from g = dL/dy: the same mask and scale applied to g."""
    return dropout(g, rate, seed, noise_shape)


def keras_seed(state: Seed) -> tuple[int, int]:
    """What Keras (TensorFlow backend) passes to stateless functions for a seed state: floor-mod 2^31 - 2."""
    first, second = _seed_pair(state)
    modulus = (1 << 31) - 2
    return first % modulus, second % modulus


def _unit_doubles(stream: Stream, count: int) -> np.ndarray:
    pairs = words(stream, 2 * count).reshape(count, 2)
    return unit_float64(pairs[:, 0], pairs[:, 1])


def _seed_pair(seed: Seed) -> tuple[int, int]:
    if len(seed) != 2:
        raise ValueError(f"philox: got a seed of {len(seed)} integers; wanted two, as in seed=(1, 2).")
    return int(seed[0]), int(seed[1])


def _count(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _known(dtype, name: str, supported: tuple[str, ...]) -> np.dtype:
    dtype = np.dtype(dtype)
    if dtype.name not in supported:
        raise ValueError(f"{name}: got dtype {dtype.name}; supported are {', '.join(supported)}.")
    return dtype


def _check_rate(rate: float) -> None:
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: got rate={rate}; wanted 0 <= rate < 1.")
