"""Every rule of a well-formed graph is checked, and a broken one is named with its node."""

import numpy as np
import pytest

import minigraph as tf
from minigraph.compile.fuse import fuse
from minigraph.compile.specialize import specialize
from minigraph.compile.verify import GraphRuleBroken, verify
from minigraph.spec import spec_of


@pytest.fixture
def graph():
    made = tf.Graph("g")
    with made.as_default():
        x = tf.placeholder(tf.float32, (2, 3), name="x")
        y = tf.add(x, x, name="y")
        tf.reduce_sum(tf.tanh(y, name="t"), axis=1, name="total")
    return made


def node(graph, name):
    return next(n for n in graph.nodes if n.name == name)


def broken(graph, text):
    with pytest.raises(GraphRuleBroken, match=text):
        verify(graph)


def test_a_good_graph_is_returned(graph):
    assert verify(graph) is graph


def test_a_name_used_twice(graph):
    node(graph, "t").name = "y"
    broken(graph, "two nodes are called 'y'")


def test_an_input_from_a_later_node(graph):
    graph.nodes.reverse()
    broken(graph, "total: input t:0 does not come from an earlier node of this graph")


def test_an_input_from_a_node_that_is_gone(graph):
    graph.nodes.remove(node(graph, "y"))
    broken(graph, "t: input y:0 does not come from an earlier node of this graph")


def test_an_input_that_is_nobodys_output(graph):
    y = node(graph, "y")
    y.outputs = (type(y.outputs[0])(y, 0, y.outputs[0].spec),)
    broken(graph, "t: input y:0 is not an output of its node")


def test_an_output_that_belongs_to_another_node(graph):
    node(graph, "t").outputs[0].node = node(graph, "y")
    broken(graph, "t: output 0 belongs to y")


@pytest.mark.parametrize("spec", [spec_of((2, 4), tf.float32), spec_of((2, 3), tf.float64)])
def test_a_shape_or_dtype_the_ops_rule_does_not_give(graph, spec):
    node(graph, "y").outputs[0].spec = spec
    broken(graph, r"y: outputs are .*, its rule says \[f32\[2,3\]\]")


def test_passes_keep_the_rules(graph):
    x, total = graph.nodes[0].outputs[0], node(graph, "total").outputs[0]
    specialized, mapped = specialize(graph, [total], {x: x.spec})
    fused, (result,) = fuse(verify(specialized), [mapped[id(total)]])
    assert [n.op.name for n in verify(fused).nodes] == ["placeholder", "fused", "reduce_sum"]
    assert result.shape == (2,)
    (found,) = tf.compile_graph(graph, [total], [x]).run([np.ones((2, 3), "f")])
    np.testing.assert_allclose(found, 3 * np.tanh([2.0, 2.0]), rtol=1e-6)
