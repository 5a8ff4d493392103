"""Models: how they are put together, in which order their weights come, what they are called."""

import numpy as np
import pytest

from minigraph import keras as ours
from minigraph.errors import InvalidArgumentError, UnsupportedError
from tests.keras.side_by_side import same, weights_of
from tests.keras.small_data import R, X, Y, classifier, two_in_two_out

pytestmark = pytest.mark.parity


def names(model):
    return [layer.name for layer in model.layers]


def test_layers_and_weights_of_branching_models_come_in_keras_order():
    def script(keras, tf):
        dense = keras.layers.Dense
        a, b, c = (keras.Input((6,), name=name) for name in "abc")
        p = dense(3, name="p2")(dense(3, name="p1")(b))
        q = dense(3, name="q")(a)
        shared = dense(3, name="shared")
        joined = keras.layers.Concatenate(name="cat")([q, p, shared(shared(shared(p)))])
        other = dense(1, name="other")(q)
        drawn = [
            ([a, b], joined),
            ([b, a], [joined, other]),
            ([a, b], [other, joined]),
            ([a, b, c], [joined]),
            ({"a": a, "b": b}, {"x": joined, "y": other}),
        ]
        models = [keras.Model(inputs, outputs) for inputs, outputs in drawn]
        return [[names(m), weights_of(m), m.count_params(), list(m.output_names)] for m in models]

    same(script)


def test_shared_layer():
    def script(keras, tf):
        shared = keras.layers.Dense(4, activation="tanh", name="shared")
        a, b = keras.Input((6,)), keras.Input((6,))
        model = keras.Model([a, b], keras.layers.Dense(1)(keras.layers.Subtract()([shared(a), shared(b)])))
        model.compile("sgd", "mse")
        history = model.fit([X, X[::-1].copy()], R, epochs=2, verbose=0).history
        return history, weights_of(model), model.get_weights(), names(model), model.count_params()

    same(script)


def test_models_inside_models():
    def script(keras, tf):
        layers = keras.layers
        inner = keras.Sequential(
            [keras.Input((6,)), layers.Dense(4, activation="relu"), layers.Dropout(0.5), layers.Dense(3)],
            name="inner",
        )
        x = keras.Input((3,))
        head = keras.Model(x, layers.Dense(2, activation="softmax", name="out")(x), name="head")
        a = keras.Input((6,))
        drawn = keras.Model(a, head(inner(a)), name="outer")
        chained = keras.Sequential([keras.Input((6,)), inner, head], name="chained")
        results = []
        for model in (drawn, chained):
            model.compile("adam", "sparse_categorical_crossentropy")
            results += [
                model.fit(X, Y, epochs=2, verbose=0).history,
                weights_of(model),
                model.get_weights(),
                names(model),
            ]
        return results

    same(script)


def test_cutting_a_model_and_putting_a_new_head_on():
    def script(keras, tf):
        model = classifier(keras, 0.2)
        body = keras.Model(model.inputs, model.layers[-2].output)
        every = keras.Model(inputs=model.inputs, outputs=[layer.output for layer in model.layers])
        head = keras.layers.Dense(1, name="new")(model.layers[-2].output)
        fine_tuned = keras.Model(model.inputs, head)
        for layer in fine_tuned.layers[:-1]:
            layer.trainable = False
        before = fine_tuned.get_weights()
        fine_tuned.compile("sgd", "mse")
        history = fine_tuned.fit(X, R, epochs=2, verbose=0).history
        kept = [bool((a == b).all()) for a, b in zip(before, fine_tuned.get_weights(), strict=True)]
        return (
            body.predict(X, verbose=0),
            every.predict(X, verbose=0),
            history,
            kept,
            names(fine_tuned),
            body.name,
            model.layers[0].input.shape,
            model.input_shape,
            model.output_shape,
            model.layers[-1].output.shape,
        )

    assert same(script)[3] == [True, True, False, False]


def test_operators_and_lambda_draw_too():
    def script(keras, tf):
        a = keras.Input((6,))
        x = keras.layers.Lambda(lambda t: t * 2.0)(a)
        x = (2.0 - (x + 1.0)) / 3.0
        x = abs(-((x * a) ** 2))[:, :3]
        drawn = [a + 1, 1 - a, a * a, a / 2, 2 / a, -a, abs(a), a**2, a > 0, a <= 0, a[:, 1:3], a[..., None]]
        model = keras.Model(a, keras.layers.Dense(1)(x))
        model.compile("sgd", "mse")
        return (
            model.fit(X, R, epochs=2, verbose=0).history,
            model.predict(X, verbose=0),
            names(model),
            [[t._keras_history[0].name, tuple(t.shape), t.dtype] for t in drawn],
        )

    same(script)


def test_subclassed_model():
    def script(keras, tf):
        class Net(keras.Model):
            def __init__(self):
                super().__init__()
                self.first = keras.layers.Dense(8, activation="relu")
                self.drop = keras.layers.Dropout(0.3)
                self.rest = [keras.layers.Dense(4), keras.layers.Dense(2, activation="softmax")]

            def call(self, x, training=False):
                x = self.drop(self.first(x), training=training)
                for layer in self.rest:
                    x = layer(x)
                return x

        trained, called = Net(), Net()
        trained.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = trained.fit(X, Y, epochs=2, verbose=0, validation_split=0.2).history
        return (
            history,
            weights_of(trained),
            trained.name,
            names(trained),
            called.predict(X, verbose=0),
            np.asarray(called(X[:3])),
            trained.get_weights(),
            weights_of(called),
            trained.count_params(),
            trained.built,
        )

    same(script)


def test_a_model_whose_call_has_no_training_argument_never_drops_out():
    def script(keras, tf):
        class Net(keras.Model):
            def __init__(self):
                super().__init__()
                self.drop, self.out = keras.layers.Dropout(0.5), keras.layers.Dense(1)

            def call(self, x):
                return self.out(self.drop(x))

        model = Net()
        model.compile("sgd", "mse")
        return model.fit(X, R, epochs=2, verbose=0).history, np.asarray(model(X[:3], training=True))

    same(script)


def test_a_subclass_given_inputs_and_outputs_is_drawn():
    def script(keras, tf):
        class Small(keras.Model):
            def __init__(self, units):
                x = keras.Input((6,))
                super().__init__(inputs=x, outputs=keras.layers.Dense(units)(x))
                self.units = units

            def twice(self, x):
                return self(self(x))

        model = Small(6)
        return np.asarray(model.twice(X[:2])), weights_of(model), model.name, names(model), model.units

    same(script)


def test_sequential_step_by_step():
    def script(keras, tf):
        dense = keras.layers.Dense
        results = []
        early = keras.Sequential()
        early.add(dense(8, activation="relu", input_shape=(6,)))
        early.add(dense(2, activation="softmax"))
        late = keras.Sequential([dense(8, activation="relu"), dense(2, activation="softmax")])
        results.append(late.built)
        for model in (early, late):
            model.compile("adam", "sparse_categorical_crossentropy")
            results += [model.fit(X, Y, verbose=0).history, weights_of(model), model.built]
        late.pop()
        late.add(dense(3, name="after"))
        results += [late.predict(X, verbose=0), weights_of(late), names(late)]
        told = keras.Sequential([dense(4)])
        told.build((None, 6))
        results += [weights_of(told), told.input_shape, told.output_shape]
        flat = keras.Sequential([keras.layers.Flatten(input_shape=(2, 3)), dense(2, input_dim=6)])
        return [*results, weights_of(flat), flat.output_shape, keras.Model(flat.inputs, flat.outputs).name]

    same(script)


def test_one_axis_more_or_less_is_forgiven_as_in_keras():
    def script(keras, tf):
        column = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
        grid = keras.Sequential([keras.Input((4, 1)), keras.layers.Flatten()])
        row = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        return (
            column.predict(np.arange(5.0, dtype="float32"), verbose=0),
            grid.predict(np.ones((3, 4), "float32"), verbose=0),
            row.predict(np.ones((3, 4, 1), "float32"), verbose=0),
        )

    same(script)


def test_inputs_by_name():
    def script(keras, tf):
        a, b = keras.Input((6,), name="a"), keras.Input((4,), name="b")
        model = keras.Model([a, b], keras.layers.Dense(1)(keras.layers.Concatenate()([a, b])))
        return model.predict({"b": X[:, :4], "a": X}, verbose=0)

    same(script)


def test_weights_go_from_one_model_to_another():
    def script(keras, tf):
        model, other = classifier(keras), classifier(keras)
        other.set_weights(model.get_weights())
        model.layers[0].set_weights([np.ones((6, 8)), np.zeros(8)])
        return (
            other.predict(X, verbose=0),
            model.predict(X, verbose=0),
            [w.dtype.name for w in model.get_weights()],
        )

    same(script)


def test_a_config_makes_the_same_model_again():
    def script(keras, tf):
        a, b, cls, reg = two_in_two_out(keras)
        shared = keras.layers.Dense(6, name="shared")
        x = keras.Input((6,), name="x")
        models = [
            classifier(keras, 0.2),
            keras.Model([a, b], [cls, reg]),
            keras.Model({"a": a, "b": b}, {"k": reg, "l": cls}),
            keras.Model(x, shared(shared(x))),
        ]
        results = []
        for model in models:
            again = type(model).from_config(model.get_config())
            results.append(
                [
                    [w[1:] for w in weights_of(again)],
                    names(again),
                    again.name,
                    again.count_params(),
                    model.get_config()["name"],
                ]
            )
        return results

    same(script)
    x = ours.Input((6,))
    model = ours.Model(x, ours.layers.Dense(2)(x * 2.0 + x[:, 1:2]))
    again = ours.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_configs_are_read_by_keras():
    keras = pytest.importorskip("keras")
    a, b, cls, reg = two_in_two_out(ours)
    for model in (classifier(ours, 0.2), ours.Model([a, b], [cls, reg])):
        theirs = getattr(keras, "Sequential" if isinstance(model, ours.Sequential) else "Model").from_config(
            model.get_config()
        )
        assert [w.shape for w in theirs.get_weights()] == [w.shape for w in model.get_weights()]
        assert [layer.name for layer in theirs.layers] == [layer.name for layer in model.layers]


def test_hundreds_of_layers_need_no_recursion():
    x = start = ours.Input((4,))
    for _ in range(1500):
        x = ours.layers.Identity()(x)
    model = ours.Model(start, x)
    assert len(model.layers) == 1501
    np.testing.assert_array_equal(model.predict(X[:2, :4], verbose=0), X[:2, :4])


def test_functions_of_keras_ops_draw():
    def script(keras, tf):
        a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
        ops = keras.ops
        x = ops.concatenate([ops.relu(a - 0.5), ops.sqrt(b)], axis=1)
        x = ops.reshape(x, (-1, 3, 4)) * 2.0
        x = ops.where(x > 0.5, x, ops.zeros_like(x))
        x = ops.sum(ops.transpose(x, (0, 2, 1)), axis=-1, keepdims=True)
        y = ops.mean(keras.layers.Flatten()(x), axis=1)
        model = keras.Model([a, b], [x, y])
        names = [t._keras_history[0].name for t in (ops.exp(a), ops.add(a, b), ops.maximum(a, 0.0), a / b)]
        layers = [layer.name for layer in model.layers]
        return model.predict([X, X], verbose=0), x.shape, y.shape, names, layers

    same(script)


def test_clones_have_the_layers_and_weights_of_their_own():
    class Twice(ours.layers.Layer):
        def call(self, x):
            return 2 * x

    inputs = ours.Input((3,))
    drawn = ours.Model(inputs, Twice()(ours.layers.Dense(2, name="first")(inputs)) + 1)
    for model in (drawn, ours.Sequential([ours.Input((3,)), ours.layers.Dense(2, name="first"), Twice()])):
        clone = ours.models.clone_model(model)
        assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
        assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
        clone.set_weights(model.get_weights())
        x = np.ones((2, 3), "float32")
        np.testing.assert_array_equal(clone.predict(x, verbose=0), model.predict(x, verbose=0))

    class Own(ours.Model):
        def call(self, x):
            return x
    with pytest.raises(InvalidArgumentError, match="clone_model needs a model drawn from layers"):
        ours.models.clone_model(Own())


@pytest.mark.parametrize("method", ["save", "save_weights", "load_weights", "to_json", "export"])
def test_what_saves_says_that_it_is_not_there_yet(method):
    model = ours.Sequential([ours.Input((3,)), ours.layers.Dense(2)])
    with pytest.raises(UnsupportedError, match=rf"model\.{method} is not supported yet[\s\S]*set_weights"):
        getattr(model, method)("model.keras")
