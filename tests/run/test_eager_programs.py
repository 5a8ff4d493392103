"""Programs of eager calls are kept, but not without end."""

import threading

import numpy as np

import minigraph as tf
from minigraph.run import eager


def test_ever_new_shapes_do_not_grow_for_ever(monkeypatch):
    monkeypatch.setattr(eager, "_MOST_PROGRAMS", 40)
    for n in range(1, 200):
        x = tf.constant(np.arange(n), tf.float32)
        assert float(tf.reduce_sum(x + x)) == n * (n - 1)
        assert len(eager._programs) <= 40


def test_programs_forgotten_while_other_threads_use_them(monkeypatch):
    monkeypatch.setattr(eager, "_MOST_PROGRAMS", 8)
    wrong = []

    def work(first: int) -> None:
        for n in range(first, first + 150):
            x = tf.constant(np.full(n % 23 + 1, n), tf.float32)
            if not (x * x + x).numpy().tolist() == [n * n + n] * (n % 23 + 1):
                wrong.append(n)
    workers = [threading.Thread(target=work, args=(k,)) for k in (0, 7, 11)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []
