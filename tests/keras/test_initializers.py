"""Initial weights and keras.random: with equal seeds, the numbers are Keras's, bit for bit."""

import random as python_random

import numpy as np
import pytest

from minigraph.errors import DTypeError, InvalidArgumentError, ShapeError, UnknownNameError, UnsupportedError
from minigraph.keras import initializers, random, utils
from minigraph.tracing import function

SHAPES = [(16,), (7, 5), (300, 40), (3, 3, 4, 6), ()]
EXACT = [
    ("GlorotUniform", {}),
    ("HeUniform", {}),
    ("LecunUniform", {}),
    ("RandomUniform", {}),
    ("RandomUniform", {"minval": -2.0, "maxval": 3.0}),
    ("GlorotNormal", {}),
    ("HeNormal", {}),
    ("LecunNormal", {}),
    ("RandomNormal", {}),
    ("RandomNormal", {"mean": 1.0, "stddev": 2.0}),
    ("TruncatedNormal", {}),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out", "distribution": "uniform"}),
    ("VarianceScaling", {"scale": 0.1, "mode": "fan_avg", "distribution": "untruncated_normal"}),
]


@pytest.mark.parity
@pytest.mark.parametrize("seed", [0, 42, -5, 2**31 + 7])
@pytest.mark.parametrize(("name", "arguments"), EXACT, ids=lambda value: str(value))
def test_weights_equal_those_of_keras(name, arguments, seed):
    keras = pytest.importorskip("keras")
    for shape in SHAPES:
        theirs = getattr(keras.initializers, name)(seed=seed, **arguments)(shape).numpy()
        ours = np.asarray(getattr(initializers, name)(seed=seed, **arguments)(shape))
        assert ours.dtype == theirs.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["GlorotUniform", "HeUniform", "RandomUniform"])
def test_uniform_weights_in_double_precision_equal_those_of_keras(name):
    keras = pytest.importorskip("keras")
    theirs = getattr(keras.initializers, name)(seed=9)((20, 30), dtype="float64").numpy()
    ours = np.asarray(getattr(initializers, name)(seed=9)((20, 30), dtype="float64"))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (2, 3, 5)])
def test_orthogonal(shape):
    keras = pytest.importorskip("keras")
    ours = np.asarray(initializers.Orthogonal(gain=2.0, seed=3)(shape))
    np.testing.assert_allclose(
        ours, keras.initializers.Orthogonal(gain=2.0, seed=3)(shape).numpy(), atol=2e-6
    )
    rows = ours.reshape(-1, shape[-1]) / 2
    product = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6)


@pytest.mark.parity
def test_default_seeds_follow_the_order_of_creation():
    keras = pytest.importorskip("keras")
    numbers = []
    for module, set_seed in (
        (initializers, utils.set_random_seed),
        (keras.initializers, keras.utils.set_random_seed),
    ):
        set_seed(123)
        made = [
            module.get("glorot_uniform"),
            module.get("zeros"),
            module.get("he_normal"),
            module.RandomUniform(),
        ]
        numbers.append([np.asarray(initializer((4, 3))) for initializer in made])
    for ours, theirs in zip(*numbers, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(numbers[0][0], np.asarray(initializers.GlorotUniform()((4, 3))))


def test_a_seed_gives_the_same_numbers_each_time_and_a_generator_others():
    fixed = initializers.RandomNormal(seed=1)
    np.testing.assert_array_equal(np.asarray(fixed((5,))), np.asarray(fixed((5,))))
    moving = initializers.RandomNormal(seed=random.SeedGenerator(1))
    assert not np.array_equal(np.asarray(moving((5,))), np.asarray(moving((5,))))


def test_constants():
    assert np.asarray(initializers.Zeros()((2, 2))).tolist() == [[0, 0], [0, 0]]
    assert np.asarray(initializers.Ones()((2,), dtype="int32")).dtype == np.int32
    assert np.asarray(initializers.Constant([1.0, 2.0])((2, 2))).tolist() == [[1, 2], [1, 2]]
    # As in Keras, a plain number is a float32 first.
    assert float(initializers.Constant(0.1)((), dtype="float64")) == float(np.float32(0.1))
    assert np.asarray(initializers.Identity(gain=2)((2, 3))).tolist() == [[2, 0, 0], [0, 2, 0]]
    with pytest.raises(ShapeError, match="Identity cannot fill this shape"):
        initializers.Identity()((3,))


def test_get():
    assert isinstance(initializers.get("glorot_uniform"), initializers.GlorotUniform)
    assert isinstance(initializers.get("HeNormal"), initializers.HeNormal)
    assert isinstance(initializers.get("normal"), initializers.RandomNormal)
    assert initializers.get(None) is None
    assert initializers.he_normal is initializers.HeNormal
    given = initializers.get(np.array([[1.0, 2.0]]))
    assert np.asarray(given((1, 2))).tolist() == [[1, 2]]
    with pytest.raises(ShapeError, match="another shape than the weight"):
        given((2, 2))
    with pytest.raises(UnknownNameError, match="did you mean 'glorot_uniform'"):
        initializers.get("glorot_unifrom")


@pytest.mark.parity
def test_configs_are_those_of_keras():
    keras = pytest.importorskip("keras")
    for name, arguments in EXACT:
        config = getattr(initializers, name)(seed=4, **arguments).get_config()
        theirs = getattr(keras.initializers, name)(seed=4, **arguments).get_config()
        assert config == {k: v for k, v in theirs.items() if k not in ("input_axes", "output_axes")}
    again = initializers.deserialize(initializers.serialize(initializers.HeNormal(seed=8)))
    np.testing.assert_array_equal(
        np.asarray(again((3, 3))), np.asarray(initializers.HeNormal(seed=8)((3, 3)))
    )
    moving = initializers.deserialize(
        initializers.serialize(initializers.HeNormal(seed=random.SeedGenerator(8)))
    )
    assert isinstance(moving.seed, random.SeedGenerator)


def test_bad_arguments():
    with pytest.raises(InvalidArgumentError, match="did you mean 'fan_in'"):
        initializers.VarianceScaling(mode="fanin")
    with pytest.raises(InvalidArgumentError, match="scale must be above 0"):
        initializers.VarianceScaling(scale=0.0)
    with pytest.raises(InvalidArgumentError, match="the seed must be an integer or a SeedGenerator"):
        initializers.GlorotUniform(seed="42")
    with pytest.raises(UnsupportedError, match="input_axes"):
        initializers.GlorotUniform(input_axes=[0])
    with pytest.raises(ShapeError, match="Orthogonal cannot fill this shape"):
        initializers.Orthogonal(seed=1)((3,))


# -------------------------------------------------------------------------------------------- keras.random

DRAWS = [
    ("uniform", ((5, 3),), {}),
    ("uniform", ((1000,),), {"minval": -1.0, "maxval": 2.0}),
    ("uniform", ((7,),), {"dtype": "float64", "maxval": 0.3}),
    ("normal", ((1001,),), {"mean": 1.0, "stddev": 0.1}),
    ("truncated_normal", ((1001,),), {}),
    ("randint", ((20,), 3, 9), {}),
    ("randint", ((20,), -4, 9), {"dtype": "int64"}),
    ("randint", ((20,), 0, 200), {"dtype": "uint8"}),
    ("shuffle", (np.arange(24.0).reshape(8, 3),), {}),
    ("shuffle", (np.arange(24.0).reshape(8, 3),), {"axis": 1}),
    ("dropout", (np.ones((40, 5), "float32"), 0.3), {}),
    ("dropout", (np.ones((40, 5), "float32"), 0.5), {"noise_shape": (None, 1)}),
]


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "arguments", "named"), DRAWS, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(DRAWS)]
)
def test_draws_equal_those_of_keras(name, arguments, named):
    keras = pytest.importorskip("keras")
    for seed in (3, -1, 2**40):
        theirs = getattr(keras.random, name)(*arguments, seed=seed, **named).numpy()
        ours = np.asarray(getattr(random, name)(*arguments, seed=seed, **named))
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parity
def test_generators_move_on_as_in_keras():
    keras = pytest.importorskip("keras")
    runs = []
    for module, set_seed in ((random, utils.set_random_seed), (keras.random, keras.utils.set_random_seed)):
        set_seed(77)
        generator, unseeded = module.SeedGenerator(5), module.SeedGenerator()
        numbers = [module.uniform((3,), seed=generator) for _ in range(3)]
        numbers += [module.normal((3,)) for _ in range(3)]
        numbers += [module.uniform((2,), seed=unseeded), generator.state.numpy()]
        runs.append([np.asarray(n) for n in numbers])
    for ours, theirs in zip(*runs, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_generator_moves_on_inside_a_function():
    generator = random.SeedGenerator(5)
    drop = function(lambda: random.dropout(np.ones((50,), "float32"), 0.5, seed=generator))
    first, second = np.asarray(drop()), np.asarray(drop())
    assert not np.array_equal(first, second)
    assert generator.state.numpy().tolist() == [5, 2]
    again = random.SeedGenerator(5)
    np.testing.assert_array_equal(
        first, np.asarray(random.dropout(np.ones((50,), "float32"), 0.5, seed=again))
    )


def test_rates_of_zero_and_one_draw_nothing():
    generator = random.SeedGenerator(5)
    x = np.ones((4,), "float32")
    assert np.asarray(random.dropout(x, 0.0, seed=generator)).tolist() == [1, 1, 1, 1]
    assert np.asarray(random.dropout(x, 1.0, seed=generator)).tolist() == [0, 0, 0, 0]
    assert generator.state.numpy().tolist() == [5, 0]


def test_set_random_seed_starts_everything():
    draws = []
    for _ in range(2):
        utils.set_random_seed(2024)
        draws.append((python_random.random(), np.random.rand(), np.asarray(random.normal((2,))).tolist()))
    assert draws[0] == draws[1]
    for bad in (-1, 2**32, 1.5, "1"):
        with pytest.raises(InvalidArgumentError, match="the seed must be an integer from 0"):
            utils.set_random_seed(bad)


def test_bad_random_arguments():
    with pytest.raises(InvalidArgumentError, match="SeedGenerator: the seed must be an integer"):
        random.SeedGenerator(1.5)
    with pytest.raises(InvalidArgumentError, match="a seed must be an integer or a SeedGenerator"):
        random.uniform((2,), seed="x")
    with pytest.raises(DTypeError, match="draws floating-point numbers"):
        random.uniform((2,), dtype="int32")
    with pytest.raises(DTypeError, match="draws integers"):
        random.randint((2,), 0, 3, dtype="float32")
    with pytest.raises(ShapeError, match="a scalar cannot be shuffled"):
        random.shuffle(1.0)
