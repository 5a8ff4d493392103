"""Translation: an encoder reads "three hundred forty two", a decoder writes "CCCXLII".

The encoder's last states are all the decoder gets of the words. In training the decoder is given the right
letter at every step (teacher forcing); when it translates it is given the letter it wrote last, the likeliest
one each time (greedy decoding).

    python examples/text/translation.py
"""

import numpy as np

from minigraph import keras
from minigraph.keras.layers import LSTM, Dense, Embedding

UNITS, BATCH, EPOCHS = 96, 64, 25
ONES = "- one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()
ONES += "sixteen seventeen eighteen nineteen".split()
TENS = "- ten twenty thirty forty fifty sixty seventy eighty ninety".split()
START, END = "<", ">"


def in_words(n):
    """342 -> three hundred forty two"""
    words = []
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if n >= size:
            words += [ONES[n // size], name]
            n %= size
    if n >= 20:
        words.append(TENS[n // 10])
        n %= 10
    return words + ([ONES[n]] if n else [])


def in_roman(n):
    """342 -> CCCXLII"""
    text = ""
    for size, letters in zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"),
        strict=True,
    ):
        text += letters * (n // size)
        n %= size
    return text


def numbered(texts, vocabulary):
    """Texts as rows of numbers from 1, filled up with 0."""
    number = {token: i for i, token in enumerate(vocabulary, start=1)}
    return keras.utils.pad_sequences([[number[token] for token in text] for text in texts], padding="post")


keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
numbers = rng.permutation(np.arange(1, 4000))
words, romans = [in_words(n) for n in numbers], [in_roman(n) for n in numbers]
vocabulary, letters = sorted({word for text in words for word in text}), [START, END, *"IVXLCDM"]
source = numbered(words, vocabulary)
# What the decoder is given is what it should write, one step later.
given = numbered([START + roman for roman in romans], letters)
wanted = numbered([roman + END for roman in romans], letters)
count = 3000

encoder_input = keras.Input((None,))
embedded = Embedding(len(vocabulary) + 1, 32, mask_zero=True)(encoder_input)
_, h, c = LSTM(UNITS, return_state=True)(embedded)
decoder_input = keras.Input((None,))
embed = Embedding(len(letters) + 1, 16, mask_zero=True)
decoder = LSTM(UNITS, return_sequences=True, return_state=True)
classify = Dense(len(letters) + 1, activation="softmax")
outputs, _, _ = decoder(embed(decoder_input), initial_state=[h, c])
model = keras.Model([encoder_input, decoder_input], classify(outputs))
model.summary()

model.compile(keras.optimizers.Adam(0.004), loss="sparse_categorical_crossentropy")
# Letters behind the end do not count.
weights = (wanted > 0).astype("float32")
history = model.fit([source[:count], given[:count]], wanted[:count], sample_weight=weights[:count],
                    batch_size=BATCH, epochs=EPOCHS, verbose=0)
print(f"loss {history.history['loss'][0]:.3f} after the first epoch, {history.history['loss'][-1]:.4f} after "
      f"the last, on {count} numbers")

# To translate, the same layers: the encoder alone, and the decoder one step at a time.
encoder = keras.Model(encoder_input, [h, c])
step_input, step_h, step_c = keras.Input((1,)), keras.Input((UNITS,)), keras.Input((UNITS,))
step_outputs, next_h, next_c = decoder(embed(step_input), initial_state=[step_h, step_c])
step = keras.Model([step_input, step_h, step_c], [classify(step_outputs), next_h, next_c])


def translate(rows):
    """The texts the decoder writes for rows of word numbers."""
    h, c = encoder.predict(rows, batch_size=500, verbose=0)
    letter = np.full((len(rows), 1), 1 + letters.index(START))
    written = []
    for _ in range(given.shape[1]):
        probabilities, h, c = step.predict([letter, h, c], batch_size=500, verbose=0)
        letter = probabilities.argmax(axis=-1)
        written.append(letter[:, 0])
    texts = ["".join((["", *letters])[i] for i in row) for row in np.stack(written, axis=1)]
    return [text.partition(END)[0] for text in texts]


found = translate(source[count:])
right = np.array([a == b for a, b in zip(found, romans[count:], strict=True)])
print(f"{right.mean():.1%} of {len(right)} numbers it has not seen are translated without a mistake:")
for i in [*range(4), *np.flatnonzero(~right)[:2]]:
    print(f"  {' '.join(words[count + i]):<40} {found[i]:<16}"
          + ("" if right[i] else f" (should be {romans[count + i]})"))
