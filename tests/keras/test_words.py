"""Words as numbers: the same numbers, tables and matrices as Keras's own tokenizer, and errors by name."""

import numpy as np
import pytest

from minigraph.errors import InvalidArgumentError, UnknownNameError
from minigraph.keras.preprocessing import text as ours

TEXTS = ["I love my dog", "I love my cat, don't I?", "You love my dog!", "Do you think my dog is AMAZING?",
         "tab\tand\nline", ""]
TABLES = ("word_index", "index_word", "word_counts", "word_docs", "index_docs", "document_count")


MODES = ("binary", "count", "freq", "tfidf")


@pytest.fixture(scope="module")
def theirs():
    return pytest.importorskip("tensorflow").keras.preprocessing.text


@pytest.mark.parity
@pytest.mark.parametrize("options", [
    {}, {"num_words": 5}, {"num_words": 5, "oov_token": "<OOV>"}, {"oov_token": "?"}, {"lower": False},
    {"char_level": True}, {"filters": "?", "split": "o"}, {"analyzer": lambda text: text.split("o")},
])
def test_a_tokenizer_numbers_words_as_keras_does(theirs, options):
    new = ["I really love my manatee", "zzz"]
    numbers = [[1, 2, 99], [], [4, 5]]
    seen = []
    for module in (ours, theirs):
        tokenizer = module.Tokenizer(**options)
        tokenizer.fit_on_texts(TEXTS)
        tokenizer.fit_on_texts([["a", "List"], "dog dog"])
        seen.append([
            *(dict(getattr(tokenizer, name)) if name != "document_count" else tokenizer.document_count
              for name in TABLES),
            repr(tokenizer.word_counts),
            tokenizer.texts_to_sequences(TEXTS + new),
            tokenizer.sequences_to_texts(numbers),
            [tokenizer.texts_to_matrix(TEXTS, mode).tolist() for mode in MODES],
        ])
    assert seen[0] == seen[1]


@pytest.mark.parity
def test_functions_of_texts_are_kerases(theirs):
    for sentence in TEXTS:
        assert ours.text_to_word_sequence(sentence) == theirs.text_to_word_sequence(sentence)
        assert ours.one_hot(sentence, 50) == theirs.one_hot(sentence, 50)
        for function in (None, "md5", len):
            assert ours.hashing_trick(sentence, 9, function) == theirs.hashing_trick(sentence, 9, function)


@pytest.mark.parity
def test_a_tokenizer_as_json_is_read_by_both(theirs):
    tokenizer = ours.Tokenizer(num_words=6, oov_token="<OOV>")
    tokenizer.fit_on_texts(TEXTS)
    for module in (ours, theirs):
        again = module.tokenizer_from_json(tokenizer.to_json())
        assert again.texts_to_sequences(TEXTS) == tokenizer.texts_to_sequences(TEXTS)
        assert again.index_word == tokenizer.index_word
        wanted = tokenizer.texts_to_matrix(TEXTS, "tfidf")
        np.testing.assert_array_equal(again.texts_to_matrix(TEXTS, "tfidf"), wanted)


@pytest.mark.parametrize(("use", "error", "message"), [
    (lambda t: t.fit_on_texts("one text"), InvalidArgumentError, r"several texts[\s\S]*\(\[text\]\)"),
    (lambda t: t.fit_on_texts([1, 2]), InvalidArgumentError, r"a text is a string[\s\S]*got: +1"),
    (lambda t: t.sequences_to_matrix([[1]]), InvalidArgumentError, "has seen no texts"),
    (lambda t: t.sequences_to_matrix([[1]], "mean"), InvalidArgumentError, "mode cannot be 'mean'"),
    (lambda t: ours.Tokenizer(nb_words=3), UnknownNameError, r"no argument 'nb_words'[\s\S]*num_words"),
])
def test_errors_say_what_to_do(use, error, message):
    with pytest.raises(error, match=message):
        use(ours.Tokenizer())
