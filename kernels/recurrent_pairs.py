"""Products with a recurrent state in pairs of steps: fewer multiply-adds, and additions beside them.

Winograd's inner product (IEEE Transactions on Computers C-17, 1968) makes two terms of a sum with one
multiplication and two additions,

    (x0 + w1) · (x1 + w0) = x0·w0 + x1·w1 + x0·x1 + w0·w1,

and takes the sums of x0·x1, one number for each state, and of w0·w1, one for each column of weights, away at
the end. Some CPUs add beside multiplying, in pipes that a matrix product leaves idle: with every third term
multiplied as usual, a product takes two thirds of the multiply-adds. Every other pair has the signs that
take x0·x1 and w0·w1 away instead of adding them, so that what is left of them stays small.

Rounding is that of the largest numbers on either side, not of each term. That fits recurrent layers: a state
lies within ±1 and each column of weights is scaled to it, so a gate's sum is off by little more than in a
plain product (see docs/decisions/products-in-pairs.md). Where states may be larger, products stay plain.

This file knows the numbers beside the panels, and when to use them; `microkernel.pair_tile` is the product.
"""

from __future__ import annotations

from collections.abc import Callable

from kernels.lane_activations import squashes
from kernels.tiles import adds_beside_products, tile_shape

#: With fewer units or samples the preparation costs more than it brings.
PAIRED_UNITS, PAIRED_SAMPLES = 128, 16
#: Cells whose gates take the state as it is, several at once.
PAIRED_CELLS = ("lstm", "gru")


def multiplies_in_pairs(sequence, has_state: bool, masked: bool) -> bool:
    """Whether a layer's products are made in pairs from the second step on (the first one's is plain).

    A GRU carries part of the state it was given from step to step, and so does a mask: who knows how large
    that is. Neither samples' numbers nor the number of threads decide.
    """
    shape, carries = sequence.shape, has_state and (masked or sequence.cell != "lstm")
    return (adds_beside_products() and sequence.cell in PAIRED_CELLS and shape.steps > 1
            and shape.units >= PAIRED_UNITS and shape.samples >= PAIRED_SAMPLES and not carries
            and squashes(sequence.activation, sequence.recurrent_activation))


def pair_columns(T) -> Callable:
    """A device function `pair(panels, at, row, units)`: make one vector of columns ready.

    The columns begin at element `at` of the panels, and go down in steps of `row`. Each is divided by its
    scale, the power of two above its largest number. Behind the last weight follow what a product takes away
    from the column's sums, and the scale; 0 for a column of zeros, of whose sums nothing is to be left.
    Returns whether all weights are finite; if not, they stay as they are, with a scale of 1.
    """
    from kernels import lanes as vectors
    from kernels.jit import device_function
    from kernels.lane_math import zeros

    L = tile_shape(str(T)).lanes
    load, store, exceeds, pick = vectors.load(L), vectors.store, vectors.exceeds, vectors.pick
    multiply, multiply_add, subtract = vectors.multiply, vectors.multiply_add, vectors.subtract
    zero = zeros(T, L)
    one, two, half, LEAST, MOST = (T(number) for number in (1, 2, 0.5, 2.0**-100, 2.0**100))

    @device_function
    def scale_of(largest):
        scale = one
        while scale < largest and scale < MOST:
            scale *= two
        while scale * half >= largest and scale > LEAST:
            scale *= half
        if largest == 0:
            scale = largest
        return scale

    @device_function
    def scaled(panels, at, inverse):
        value = multiply(load(panels, at, None), inverse)
        store(panels, at, value, None)
        return value

    @device_function
    def pair(panels, at, row, units):
        end, scales = at + units * row, at + (units + 1) * row
        largest, tainted = zero(), zero()
        for k in range(units):
            value = load(panels, at + k * row, None)
            largest = pick(exceeds(value, largest), value, largest)
            value = subtract(zero(), value)
            largest = pick(exceeds(value, largest), value, largest)
            tainted = multiply_add(value, zero(), tainted)
        store(panels, end, tainted, None)
        store(panels, scales, largest, None)
        finite = True
        for lane in range(L):
            finite = finite and panels[end + lane] == 0
        for lane in range(L):
            scale, inverse = one, one
            if finite:
                scale = scale_of(panels[scales + lane])
            if scale != 0:
                inverse = one / scale
            panels[scales + lane] = scale
            panels[end + lane] = inverse
        inverse, left = load(panels, end, None), zero()
        sixes = units // 6 * 6
        for k in range(0, sixes, 6):
            here = at + k * row
            # In the order and with the signs of the product, whose sums are just this for a state of zeros.
            w0, w1 = scaled(panels, here, inverse), scaled(panels, here + row, inverse)
            scaled(panels, here + 2 * row, inverse)
            w3, w4 = scaled(panels, here + 3 * row, inverse), scaled(panels, here + 4 * row, inverse)
            scaled(panels, here + 5 * row, inverse)
            left = multiply_add(w1, w0, left)
            left = multiply_add(w4, subtract(zero(), w3), left)
        for k in range(sixes, units):
            scaled(panels, at + k * row, inverse)
        store(panels, end, left, None)
        return finite
    return pair


def pair_states(T) -> Callable:
    """A device function `pair(states_at, row_bytes, rows, units)`: write behind each state, in the first
    vector that holds no unit, the number that a product takes away from its sums."""
    from kernels import lanes as vectors
    from kernels import simd
    from kernels.jit import device_function
    from kernels.lane_math import zeros

    L, size = tile_shape(str(T)).lanes, T.bitwidth // 8
    view, load, first, zero = simd.view(T), vectors.load(L), vectors.first(L), zeros(T, L)
    multiply, multiply_add, total = vectors.multiply, vectors.multiply_add, vectors.total
    signs = [(1, 0, 0, -1, 0, 0)[k % 6] for k in range(3 * L)]
    signs_0, signs_1, signs_2 = (vectors.constant(T, tuple(signs[v * L:(v + 1) * L])) for v in range(3))

    @device_function
    def add_vector(sum_, numbers, at, left, signs):
        ones = multiply(load(numbers, at, first(left)), signs)
        return multiply_add(ones, load(numbers, at + 1, first(left - 1)), sum_)

    @device_function
    def pair(states_at, row_bytes, rows, units):
        row, end = row_bytes // size, units // 6 * 6
        numbers = view(states_at, rows * row)
        for r in range(rows):
            start, sum_ = r * row, zero()
            for k in range(0, end, 3 * L):
                sum_ = add_vector(sum_, numbers, start + k, end - k, signs_0())
                sum_ = add_vector(sum_, numbers, start + k + L, end - k - L, signs_1())
                sum_ = add_vector(sum_, numbers, start + k + 2 * L, end - k - 2 * L, signs_2())
            numbers[start + (units + L - 1) // L * L] = total(sum_)
    return pair
