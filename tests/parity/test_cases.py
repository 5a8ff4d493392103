"""Every other case of the table: reductions, products, shapes, indexing, softmax, random numbers, Keras,
..."""

import pytest

pytest.importorskip("tensorflow")

from parity.cases import CASES, elementwise
from tests.parity.agreement import assert_agrees, parameters


@pytest.mark.parity
@pytest.mark.parametrize("case", parameters([c for c in CASES if c not in set(elementwise.CASES)]))
def test_case(case, request):
    assert_agrees(case, request)
