"""Text as numbers: words split, counted and numbered in plain Python, as course scripts prepare text.

The numbers go into `pad_sequences` and an Embedding. Knows no tensors.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from minigraph.errors import InvalidArgumentError
from minigraph.keras.arguments import one_of, refuse_unknown

#: What separates words beside the split character: everything of ASCII punctuation but the apostrophe.
PUNCTUATION = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_ARGUMENTS = (
    "num_words",
    "filters",
    "lower",
    "split",
    "char_level",
    "oov_token",
    "analyzer",
    "document_count",
)
_TABLES = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
_MODES = ("binary", "count", "freq", "tfidf")


def text_to_word_sequence(
    input_text: str, filters: str = PUNCTUATION, lower: bool = True, split: str = " "
) -> list[str]:
    """The words of a text.

    Args:
        filters: characters that separate words and belong to none.
        lower: write the words in lower case.
        split: what stands between words.

    >>> text_to_word_sequence("I love my dog, don't I?")
    ['i', 'love', 'my', 'dog', "don't", 'i']
    """
    if not isinstance(input_text, str):
        raise InvalidArgumentError(
            "a text is a string",
            where="keras.preprocessing.text",
            got=repr(input_text)[:80],
            wanted="a str, or for a Tokenizer a list of words",
            fix="a list of texts for fit_on_texts and texts_to_sequences: ['one text', 'another']",
        )
    text = input_text.lower() if lower else input_text
    text = text.translate({ord(character): split for character in filters})
    return [word for word in text.split(split) if word]


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = PUNCTUATION,
    lower: bool = True,
    split: str = " ",
    analyzer: Callable[[str], Iterable[str]] | None = None,
) -> list[int]:
    """The words of a text as numbers from 1 to n − 1, without a vocabulary: different words may share one.

    Args:
        hash_function: None for Python's `hash` (other numbers in every process), "md5" for numbers that stay,
            or a function from a word to an integer.
        analyzer: a function from the text to its words, instead of `text_to_word_sequence`.
    """
    if hash_function == "md5":
        number: Any = _md5
    else:
        number = hash if hash_function is None else hash_function
    words = analyzer(text) if analyzer is not None else text_to_word_sequence(text, filters, lower, split)
    return [number(word) % (n - 1) + 1 for word in words]


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode()).hexdigest(), 16)


def one_hot(
    input_text: str,
    n: int,
    filters: str = PUNCTUATION,
    lower: bool = True,
    split: str = " ",
    analyzer: Callable[[str], Iterable[str]] | None = None,
) -> list[int]:
    """`hashing_trick` with Python's `hash`. Despite the name it returns numbers, not one-hot vectors."""
    return hashing_trick(input_text, n, None, filters, lower, split, analyzer)


class Tokenizer:
    """Numbers words by how often they occur: 1 is the most frequent. 0 is never a word; it is for padding.

    Args:
        num_words: keep only the words numbered below it (so one less than this many).
        filters, lower, split: as in `text_to_word_sequence`.
        char_level: take characters as words.
        oov_token: word number 1, which stands for every word that is not known or not kept. Without it they
            are left out.
        analyzer: a function from a text to its words.

    Attributes:
        word_index, index_word: word to number and back; all words, whatever `num_words` is.
        word_counts: how often each word occurred. word_docs: in how many texts; index_docs by number.
        document_count: how many texts there were.

    >>> tokenizer = Tokenizer(oov_token="<OOV>")
    >>> tokenizer.fit_on_texts(["I love my dog", "I love my cat"])
    >>> tokenizer.texts_to_sequences(["I really love my dog"])
    [[2, 1, 3, 4, 5]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = PUNCTUATION,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], Iterable[str]] | None = None,
        **kwargs: Any,
    ):
        self.document_count = kwargs.pop("document_count", 0)
        refuse_unknown("Tokenizer", kwargs, _ARGUMENTS, {"nb_words": "it is num_words now"})
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.word_counts: OrderedDict[str, int] = OrderedDict()
        self.word_docs: defaultdict[str, int] = defaultdict(int)
        self.index_docs: defaultdict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> Iterable[str]:
        if isinstance(text, list):
            return [word.lower() for word in text] if self.lower else text
        if self.char_level:
            return text.lower() if self.lower else text
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable) -> None:
        """Count the words of the texts (strings, or lists of words) and number all words anew."""
        if isinstance(texts, str):
            raise InvalidArgumentError(
                "fit_on_texts takes several texts",
                where="Tokenizer.fit_on_texts",
                got=repr(texts)[:80],
                wanted="a list of strings",
                fix="fit_on_texts([text]); for single characters Tokenizer(char_level=True)",
            )
        for text in texts:
            self.document_count += 1
            words = list(self._words(text))
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        # Equally frequent words keep the order in which they came.
        by_frequency = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        vocabulary = by_frequency if self.oov_token is None else [self.oov_token, *by_frequency]
        self.word_index = {word: number for number, word in enumerate(vocabulary, start=1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Sequence[Sequence[int]]) -> None:
        """Count in how many lists each number occurs: what `sequences_to_matrix(mode="tfidf")` needs."""
        self.document_count += len(sequences)
        for sequence in sequences:
            for number in set(sequence):
                self.index_docs[number] += 1

    def _is_kept(self, number: int) -> bool:
        return not self.num_words or number < self.num_words

    def texts_to_sequences(self, texts: Iterable) -> list[list[int]]:
        """Every text as the list of its words' numbers."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable) -> Iterator[list[int]]:
        """`texts_to_sequences`, one at a time."""
        unknown = self.word_index.get(self.oov_token) if self.oov_token is not None else None
        for text in texts:
            numbers = [self.word_index.get(word) for word in self._words(text)]
            known = [
                number if number is not None and self._is_kept(number) else unknown for number in numbers
            ]
            yield [number for number in known if number is not None]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Every list of numbers as a text: the words with a space between them."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """`sequences_to_texts`, one at a time."""
        for sequence in sequences:
            known = [self.index_word.get(number) if self._is_kept(number) else None for number in sequence]
            words = [self.oov_token if word is None else word for word in known]
            yield " ".join(word for word in words if word is not None)

    def texts_to_matrix(self, texts: Iterable, mode: str = "binary") -> np.ndarray:
        """One row per text and one column per number; see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Sequence[Sequence[int]], mode: str = "binary") -> np.ndarray:
        """One row per sequence and one column per number, float64.

        Args:
            mode: what stands where a number occurs: 1 ("binary"), how often it does ("count"), that divided
                by the length ("freq"), or (1 + ln count) · ln(1 + texts / (1 + texts with it)) ("tfidf").
        """
        one_of("Tokenizer", "mode", mode, _MODES)
        columns = self.num_words or (len(self.word_index) + 1 if self.word_index else None)
        if columns is None or (mode == "tfidf" and not self.document_count):
            raise InvalidArgumentError(
                "the tokenizer has seen no texts yet",
                where="Tokenizer.sequences_to_matrix",
                got=f"mode={mode!r}, num_words={self.num_words}",
                wanted="a vocabulary" if columns is None else "counts of texts",
                fix="tokenizer.fit_on_texts(texts) first",
            )
        matrix = np.zeros((len(sequences), columns))
        for row, sequence in zip(matrix, sequences, strict=True):
            for number, count in Counter(number for number in sequence if number < columns).items():
                row[number] = {
                    "binary": 1.0,
                    "count": count,
                    "freq": count / len(sequence),
                    "tfidf": (1 + np.log(count))
                    * np.log(1 + self.document_count / (1 + self.index_docs.get(number, 0))),
                }[mode]
        return matrix

    def get_config(self) -> dict[str, Any]:
        """Arguments and everything counted, the tables as JSON."""
        arguments = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
        return {name: getattr(self, name) for name in arguments} | {
            name: json.dumps(getattr(self, name)) for name in _TABLES
        }

    def to_json(self, **kwargs: Any) -> str:
        """The tokenizer as JSON, for `tokenizer_from_json`; `kwargs` are those of `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The tokenizer that `to_json` wrote."""
    config = json.loads(json_string)["config"]
    tables = {name: json.loads(config.pop(name)) for name in _TABLES}
    tokenizer = Tokenizer(**config)
    tokenizer.word_counts.update(tables["word_counts"])
    tokenizer.word_docs.update(tables["word_docs"])
    tokenizer.word_index = tables["word_index"]
    # JSON has only strings as keys.
    tokenizer.index_docs.update({int(number): count for number, count in tables["index_docs"].items()})
    tokenizer.index_word = {int(number): word for number, word in tables["index_word"].items()}
    return tokenizer
