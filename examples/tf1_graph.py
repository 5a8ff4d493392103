"""TensorFlow 1: first the whole graph, then a session that runs parts of it."""

import numpy as np

import minigraph.compat.v1 as tf

tf.disable_v2_behavior()

x = tf.placeholder(tf.float32, [None, 1], name="x")
t = tf.placeholder(tf.float32, [None, 1], name="t")
w = tf.Variable([[0.0]], name="w")
b = tf.Variable([0.0], name="b")
prediction = tf.matmul(x, w) + b
loss = tf.reduce_mean(tf.square(prediction - t))
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)

points = np.linspace(-1, 1, 20, dtype=np.float32).reshape(-1, 1)
feed = {x: points, t: 2 * points + 1}

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(200):
        _, value = sess.run([train, loss], feed_dict=feed)
        if step % 50 == 0:
            print(f"step {step}: loss {value:.5f}")
    found_w, found_b = sess.run([w, b])
print(f"t = {found_w[0, 0]:.3f} x + {found_b[0]:.3f}, wanted 2 x + 1")
