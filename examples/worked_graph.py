"""f(x, y) = y + 2 + x²·y as a graph: at x = 3, y = 4 it is 42, with df/dx = 24 and df/dy = 10.

Walk through it: minigraph step examples/worked_graph.py
"""

import minigraph as tf

x = tf.Variable(3.0, name="x")
y = tf.Variable(4.0, name="y")

with tf.GradientTape() as tape:
    # x² and y + 2 do not need each other: they are independent branches of the graph.
    squared = x * x
    left = y + 2
    right = squared * y
    f = left + right

df_dx, df_dy = tape.gradient(f, [x, y])
print(f"f = {float(f):g}, df/dx = {float(df_dx):g}, df/dy = {float(df_dy):g}")
