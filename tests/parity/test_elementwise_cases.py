"""Element-wise ops, alone, broadcast, at the edges: minigraph against TensorFlow."""

import pytest

pytest.importorskip("tensorflow")

from parity.cases import elementwise
from tests.parity.agreement import assert_agrees, parameters


@pytest.mark.parity
@pytest.mark.parametrize("case", parameters(elementwise.CASES))
def test_case(case, request):
    assert_agrees(case, request)
