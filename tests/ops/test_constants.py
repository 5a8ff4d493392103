"""Constants are tensors of their own, however many have the same number."""

import minigraph as tf


def test_a_tape_watches_one_of_two_equal_constants():
    for make in (tf.constant, tf.convert_to_tensor):
        x, same_number = make(3.0), make(3.0)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * same_number * 3.0
        assert float(tape.gradient(y, x)) == 9
