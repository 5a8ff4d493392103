"""Reviews, good or bad: words in, one number out, by an LSTM that reads both ways (N:1).

The reviews are made up. "not" turns a word around and "but" makes the second half count, so that the same
words in another order can mean the opposite: a model that only counts words cannot tell them apart.

    python examples/text/sentiment.py
"""

import numpy as np

from minigraph import keras
from minigraph.keras.layers import LSTM, Bidirectional, Dense, Dropout, Embedding, GlobalAveragePooling1D

GOOD = "good great fun clever moving funny brilliant charming gripping lovely".split()
BAD = "bad dull boring stupid flat silly awful clumsy tiresome ugly".split()
THINGS = "film story acting music ending beginning cast dialogue camera hero".split()
DEGREES = ["", "", "very", "really", "rather", "quite"]
NEGATIONS = ["not", "never", "hardly"]


def half(rng, is_good):
    """The words of half a review: "the ending was not very good"."""
    turned = rng.random() < 0.4
    adjective = rng.choice(GOOD if is_good != turned else BAD)
    words = ["the", rng.choice(THINGS), rng.choice(["was", "is"])]
    return [*words, *([rng.choice(NEGATIONS)] if turned else []), rng.choice(DEGREES), adjective]


def review(rng):
    """A review and whether it is good."""
    is_good = bool(rng.random() < 0.5)
    kind = rng.choice(["one", "and", "but"], p=[0.2, 0.3, 0.5])
    if kind == "one":
        words = half(rng, is_good)
    elif kind == "and":
        words = [*half(rng, is_good), "and", *half(rng, is_good)]
    else:
        words = [*half(rng, not is_good), "but", *half(rng, is_good)]
    return " ".join(word for word in words if word), is_good


keras.utils.set_random_seed(3)
rng = np.random.default_rng(3)
reviews = dict(review(rng) for _ in range(5000))
texts, labels = list(reviews), np.array(list(reviews.values()), "float32")

# Words are numbered from 1; 0 fills up short reviews, and mask_zero=True makes layers skip it.
words = sorted({word for text in texts for word in text.split()})
number = {word: i for i, word in enumerate(words, start=1)}
rows = keras.utils.pad_sequences([[number[word] for word in text.split()] for text in texts], padding="post")
count = len(texts) * 4 // 5
print(f"{len(texts)} different reviews of up to {rows.shape[1]} words, {len(words)} words in all")
print(f"for example: {texts[0]!r} is {'good' if labels[0] else 'bad'}")


def trained(*layers, epochs):
    """A model of these layers, trained on the first reviews, and its accuracy on those it has not seen."""
    model = keras.Sequential(
        [
            keras.Input((rows.shape[1],)),
            Embedding(len(words) + 1, 16, mask_zero=True),
            *layers,
            Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    model.fit(rows[:count], labels[:count], batch_size=64, epochs=epochs, verbose=0)
    return model, model.evaluate(rows[count:], labels[count:], verbose=0)[1]


_, counting = trained(GlobalAveragePooling1D(), epochs=6)
print(f"a model that only counts words is right on {counting:.1%} of {len(texts) - count} unseen reviews")
model, reading = trained(Bidirectional(LSTM(32)), Dropout(0.2), epochs=6)
model.summary()
print(f"the LSTM is right on {reading:.1%} of them")

for text in (
    "the film was good but the ending was boring",
    "the film was boring but the ending was good",
    "the cast was not bad",
    "the music is never dull and the story was really not silly",
):
    row = keras.utils.pad_sequences(
        [[number[word] for word in text.split()]], maxlen=rows.shape[1], padding="post"
    )
    print(f"{float(model.predict(row, verbose=0)[0, 0]):.2f}  {text}")
