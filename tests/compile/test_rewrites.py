"""Fusion and simplification: what becomes one node, what must not; numbers change by rounding only."""

import numpy as np
import pytest

import minigraph as tf
from minigraph.compile.program import compile_graph
from minigraph.lowering import lower
from minigraph.ops.dispatch import apply1

RNG = np.random.default_rng(0)


def parameter(*shape):
    return tf.constant(RNG.standard_normal(shape), tf.float64)


class Written:
    """A graph written by `build(x)`, compiled with and without fusion."""

    def __init__(self, build, *shape):
        self.graph = tf.Graph("written")
        self.x = RNG.standard_normal(shape)
        with self.graph.as_default():
            x = tf.placeholder(tf.float64, shape, name="x")
            found = build(x)
        self.fetches = list(found) if isinstance(found, (list, tuple)) else [found]
        self.inputs = [x]
        self.fused, self.plain = (compile_graph(self.graph, self.fetches, [x], fusing=fusing)
                                  for fusing in (True, False))

    @property
    def ops(self) -> list[str]:
        quiet = ("placeholder", "const", "read_variable")
        return [node.op.name for node in self.fused.graph.nodes if node.op.name not in quiet]

    def check(self) -> None:
        for one, other in zip(self.fused.run([self.x]), self.plain.run([self.x]), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def convolved(x, strides=1):
    return tf.nn.conv2d(x, parameter(3, 3, x.shape[-1], 8), strides, "SAME")


def normalized(x):
    channels = x.shape[-1]
    return apply1("batch_norm_inference", [x, *(parameter(channels) for _ in range(3)),
                                           tf.square(parameter(channels))], {"epsilon": 1e-3})


@pytest.mark.parametrize(("build", "expected"), [
    (lambda x: tf.nn.relu(convolved(x) + parameter(8)), ["fused_conv2d"]),
    (lambda x: tf.nn.relu6(normalized(convolved(x))), ["fused_conv2d"]),
    (lambda x: normalized(tf.nn.bias_add(convolved(x), parameter(8))), ["fused_conv2d"]),
    (lambda x: tf.nn.relu(normalized(tf.nn.depthwise_conv2d(x, parameter(3, 3, 4, 1), [1, 2, 2, 1], "SAME"))),
     ["fused_conv2d"]),
    (lambda x: tf.nn.relu(convolved(x)), ["fused_conv2d"]),
    # A sum of two images is no bias.
    (lambda x: convolved(x) + parameter(2, 6, 7, 8), ["conv2d", "add"]),
    # The activation comes before the normalisation: each layer takes what stands in its order.
    (lambda x: normalized(tf.nn.relu(convolved(x))), ["fused_conv2d", "batch_norm_inference"]),
])
def test_a_convolution_takes_along_what_follows_it(build, expected):
    written = Written(build, 2, 6, 7, 4)
    assert written.ops == expected
    written.check()


def test_what_somebody_else_reads_stays():
    def build(x):
        product = convolved(x)
        return tf.nn.relu(product + parameter(8)), tf.reduce_sum(product)
    written = Written(build, 2, 6, 7, 4)
    assert "conv2d" in written.ops
    assert "fused_conv2d" not in written.ops
    written.check()


def test_statistics_that_are_the_image_itself_are_no_normalisation_of_the_convolution():
    def build(x):
        product = tf.nn.conv2d(x, parameter(1, 1, 4, 4), 1, "VALID")
        rows = tf.reshape(product, (4,))
        return apply1("batch_norm_inference", [parameter(3, 4), rows, rows, rows, tf.square(rows)],
                      {"epsilon": 1e-3})
    written = Written(build, 1, 1, 1, 4)
    assert "fused_conv2d" not in written.ops
    written.check()


def test_fused_nodes_lower_to_tensorflow_and_print():
    written = Written(lambda x: tf.nn.relu6(normalized(convolved(x) + parameter(8))), 2, 6, 7, 4)
    program = written.fused
    assert "fused_conv2d(x, " in str(program)
    assert "activation=relu6" in str(program)
    fused_node = next(node for node in program.graph.nodes if node.op.name == "fused_conv2d")
    x = next(node for node in program.graph.nodes if node.op.name == "placeholder")
    lowered = lower([fused_node.outputs[0]], [x.outputs[0]])
    np.testing.assert_allclose(lowered(written.x)[0], program.run([written.x])[0], rtol=1e-10, atol=1e-12)


def pooled_gradients(activation, window=2, strides=2):
    """Gradients of pool(activation(x · k + b)) by k and b."""
    def build(x):
        kernel, bias = parameter(3, 3, 4, 8), parameter(8)
        image = activation(tf.nn.conv2d(x, kernel, 1, "SAME") + bias)
        pooled = tf.nn.max_pool2d(image, window, strides, "SAME")
        loss = tf.reduce_sum(pooled * parameter(*pooled.shape))
        return tf.gradients(loss, [kernel, bias])
    return build


@pytest.mark.parametrize("activation", [tf.nn.relu, tf.nn.relu6])
@pytest.mark.parametrize(("window", "strides"), [(2, 2), (3, 2), (3, 1)])
def test_slopes_and_sums_move_in_front_of_pooling_gradients(activation, window: int, strides: int):
    written = Written(pooled_gradients(activation, window, strides), 2, 7, 6, 4)
    nodes = {node.op.name: node for node in written.fused.graph.nodes}
    slope = nodes[f"{activation.__name__}_grad"]
    assert slope.outputs[0].shape == nodes["max_pool2d_grad"].inputs[0].shape
    assert nodes["sum_to_shape_of"].inputs[0].shape == slope.outputs[0].shape
    written.check()


def test_a_slope_of_another_image_stays_behind():
    def build(x):
        image = tf.nn.relu(x)
        pooled = tf.nn.max_pool2d(tf.nn.relu(x * 2.0), 2, 2, "SAME")
        gradient = tf.gradients(tf.reduce_sum(pooled), x)[0]
        return apply1("relu_grad", [gradient, image])
    written = Written(build, 2, 7, 6, 4)
    written.check()
    last = written.fused.graph.nodes[-1]
    assert last.outputs[0].shape == (2, 7, 6, 4)


def test_a_gradient_through_pooling_that_is_asked_for_is_still_there():
    def build(x):
        image = tf.nn.relu(x)
        loss = tf.reduce_sum(tf.square(tf.nn.max_pool2d(image, 2, 2, "VALID")))
        return tf.gradients(loss, [image, x])
    written = Written(build, 2, 6, 6, 3)
    written.check()


@pytest.mark.parametrize("layer", [
    lambda x: tf.nn.conv2d(x, parameter(3, 3, 4, 8), 2, "VALID"),
    lambda x: tf.nn.conv2d(x, parameter(3, 3, 4, 8), 1, [[0, 0], [1, 0], [0, 2], [0, 0]]),
    lambda x: tf.nn.depthwise_conv2d(x, parameter(3, 3, 4, 1), [1, 2, 2, 1], "VALID")])
def test_zeros_around_an_image_become_padding_of_the_convolution(layer):
    written = Written(lambda x: tf.nn.relu(layer(tf.pad(x, [[0, 0], [0, 1], [2, 1], [0, 0]]))), 2, 7, 6, 4)
    assert written.ops == ["fused_conv2d"]
    written.check()


@pytest.mark.parametrize("build", [
    lambda x: tf.nn.conv2d(tf.pad(x, [[0, 0], [0, 1], [2, 1], [0, 0]], constant_values=1.0),
                           parameter(3, 3, 4, 8), 1, "VALID"),
    lambda x: tf.nn.conv2d(tf.pad(x, [[0, 0], [0, 1], [2, 1], [0, 0]]), parameter(3, 3, 4, 8), 2, "SAME"),
    lambda x: tf.nn.conv2d(tf.pad(x, [[0, 0], [0, 1], [2, 1], [0, 1]]), parameter(3, 3, 5, 8), 1, "VALID")])
def test_other_padding_stays(build):
    written = Written(build, 2, 7, 6, 4)
    assert written.ops == ["pad", "conv2d"]
    written.check()
