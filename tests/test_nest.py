"""tf.nest beside TensorFlow's: results, and what it refuses."""

import pytest

import minigraph as ours
from minigraph.errors import InvalidArgumentError

CASES = {
    "flatten": lambda nest: nest.flatten({"b": None, "a": (1, [2])}),
    "pack in key order": lambda nest: nest.pack_sequence_as({"b": 1, "a": [2]}, [1, 2]),
    "pack a leaf": lambda nest: nest.pack_sequence_as(5, [1]),
    "pack a tuple": lambda nest: nest.pack_sequence_as([1, 2], (7, 8)),
    "map two": lambda nest: nest.map_structure(lambda a, b: a + b, {"x": 1, "y": (2,)}, {"x": 3, "y": (4,)}),
    "map leaves": lambda nest: nest.map_structure(lambda a, b: a + b, 1, 2),
    "nested": lambda nest: [nest.is_nested(x) for x in ([], (1,), {}, "ab", 1)],
    "same": lambda nest: nest.assert_same_structure([1, {"a": 2}], [3, {"a": 4}]),
    "same but for types": lambda nest: nest.assert_same_structure([1, 2], (1, 2), check_types=False),
    "too few leaves": lambda nest: nest.pack_sequence_as({"a": 1, "b": [2]}, [1]),
    "leaves for a leaf": lambda nest: nest.pack_sequence_as(5, [1, 2]),
    "no list": lambda nest: nest.pack_sequence_as([1, 2], 7),
    "other length": lambda nest: nest.map_structure(lambda a, b: a + b, [1, 2], [1]),
    "other type": lambda nest: nest.map_structure(lambda a, b: a + b, [1, 2], (1, 2)),
    "other keys": lambda nest: nest.map_structure(lambda a, b: a + b, {"a": 1}, {"b": 1}),
    "other depth": lambda nest: nest.assert_same_structure([1, [2]], [1, 2]),
    "no structure": lambda nest: nest.map_structure(lambda a: a + 1),
}


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_as_tensorflow(case):
    theirs = pytest.importorskip("tensorflow")
    try:
        wanted = CASES[case](theirs.nest)
    except (TypeError, ValueError):
        with pytest.raises(InvalidArgumentError) as caught:
            CASES[case](ours.nest)
        assert "wanted" in str(caught.value)
    else:
        assert CASES[case](ours.nest) == wanted


def test_the_part_that_differs_is_shown():
    with pytest.raises(InvalidArgumentError) as caught:
        ours.nest.assert_same_structure({"a": [1, 2]}, {"a": [1, 2, 3]})
    assert "got:    [1, 2, 3]" in str(caught.value)
    assert "the structure of [1, 2]" in str(caught.value)
