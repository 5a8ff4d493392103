"""A text, letter by letter: a network learns which letter comes next, and then writes by itself.

Training is stateful: every batch goes on where the one before ended, so that the LSTM reads the whole text
although gradients reach back STEPS letters only. Writing is one to many: each letter it draws is its next
input. Temperature divides the logits before a letter is drawn: below 1 the likely ones win more often.

    python examples/text/characters.py [text file]
"""

import sys
from pathlib import Path

import numpy as np

from minigraph import keras
from minigraph.keras.layers import LSTM, Dense

TEXT = """
The lighthouse stood where the river met the sea. Every evening the keeper climbed the stairs, lit the lamp
and looked out over the water. When the wind came from the west, the waves were high and the ships were slow.
When the wind came from the east, the waves were low and the ships were fast. When there was no wind at all,
the keeper read a book and the cat slept on the stairs.

One evening the lamp would not burn. The keeper looked at the oil, and the oil was good. The keeper looked at
the glass, and the glass was clean. Then the keeper looked at the cat, and the cat looked at the stairs. There
on the stairs lay the wick, and the wick was wet. The cat had played with the wick, and the wick had fallen
into the water. The keeper climbed down the stairs, found a new wick and lit the lamp again. The light went
out over the sea, and the ships came home, one after the other, slow from the west and fast from the east.

The next morning the captain of the last ship came to the lighthouse. He brought a fish for the cat and a book
for the keeper. The light was late, said the captain, but the light was there. The cat ate the fish and the
keeper read the book. In the book there was a lighthouse, and in the lighthouse there was a keeper, and the
keeper read a book while the cat slept on the stairs. The keeper closed the book and looked over the water.
The wind came from the west again, the waves were high, and it was time to light the lamp.
"""
STREAMS, STEPS, UNITS, EPOCHS = 8, 40, 128, 60

keras.utils.set_random_seed(1)
text = Path(sys.argv[1]).read_text("utf-8") if len(sys.argv) > 1 else TEXT.strip()
letters = sorted(set(text))
number = {letter: i for i, letter in enumerate(letters)}
codes = np.array([number[letter] for letter in text])
print(f"{len(text)} letters, {len(letters)} different ones; guessing has loss {np.log(len(letters)):.3f}")

# Row i of all batches together is the i-th part of the text: STREAMS readers, each with a state of its own.
length = (len(codes) - 1) // STREAMS // STEPS * STEPS
if length == 0:
    sys.exit(f"the text is too short: {STREAMS} readers of {STEPS} letters need {STREAMS * STEPS + 1}")
x = keras.utils.to_categorical(codes[: STREAMS * length], len(letters)).astype("float32")
x = x.reshape(STREAMS, length, len(letters))
y = codes[1 : STREAMS * length + 1].reshape(STREAMS, length)
batches = [(x[:, t : t + STEPS], y[:, t : t + STEPS]) for t in range(0, length, STEPS)]


def make_model(streams, steps):
    """Letters, one-hot (streams, steps, letters) -> logits of the letter after each."""
    return keras.Sequential(
        [
            keras.Input(batch_shape=(streams, steps, len(letters))),
            LSTM(UNITS, return_sequences=True, stateful=True, name="memory"),
            Dense(len(letters)),
        ]
    )


model = make_model(STREAMS, STEPS)
model.compile(keras.optimizers.Adam(0.005, clipnorm=1.0),
              loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
for epoch in range(1, EPOCHS + 1):
    model.get_layer("memory").reset_states()
    losses = []
    for batch_x, batch_y in batches:
        model.reset_metrics()
        losses.append(float(model.train_on_batch(batch_x, batch_y)))
    if epoch in (1, 5, 10, 20, 40, EPOCHS):
        print(f"epoch {epoch:>3}: loss {np.mean(losses):.3f} per letter")

# The writer has the same weights, but reads one letter at a time.
writer = make_model(1, 1)
writer.set_weights(model.get_weights())


def after(code):
    """The logits of the letter after this one; the writer remembers those it read before."""
    one_hot = keras.utils.to_categorical([code], len(letters)).astype("float32")
    return np.array(writer(one_hot[None]))[0, 0].astype("float64")


def write(beginning, count, temperature, rng):
    """`count` letters after `beginning`, drawn one by one."""
    writer.get_layer("memory").reset_states()
    for letter in beginning:
        logits = after(number[letter])
    written = ""
    for _ in range(count):
        chances = np.exp((logits - logits.max()) / temperature)
        code = rng.choice(len(letters), p=chances / chances.sum())
        written += letters[code]
        logits = after(code)
    return written


beginning = text[:12]
for temperature in (0.2, 0.7, 1.5):
    written = write(beginning, 160, temperature, np.random.default_rng(0))
    print(f"\ntemperature {temperature}: {beginning}|{written}".replace("\n", " "))
