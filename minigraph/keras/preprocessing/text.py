"""keras.preprocessing.text: words as numbers. Defines nothing itself."""

from minigraph.errors import missing_name
from minigraph.keras.words import (
    Tokenizer,
    hashing_trick,
    one_hot,
    text_to_word_sequence,
    tokenizer_from_json,
)

__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]


def __getattr__(name: str):
    raise missing_name("keras.preprocessing.text", name, __all__)
