"""Training follows Keras: a hundred steps of every optimizer, two hundred of the courses' networks."""

import pytest

pytest.importorskip("tensorflow")

from parity.cases import TABLE, optimizers
from parity.cases.networks import Network
from parity.training import run_network, run_optimizer

# Adam on all five networks and one optimizer of each kind are enough for a quick run.
FIRST = {case.op: case for case in reversed(optimizers.CASES)}.values()


@pytest.mark.parity
@pytest.mark.parametrize("case", [pytest.param(c, id=c.name, marks=[] if c in FIRST else [pytest.mark.slow])
                                  for c in optimizers.CASES])
def test_an_optimizer_takes_keras_path(case, request):
    result = run_optimizer(case, quick="not slow" in request.config.option.markexpr)
    assert result.passed, result.explain()


@pytest.mark.parity
@pytest.mark.parametrize(
    "network", [row for row in TABLE if isinstance(row, Network)], ids=lambda network: network.name
)
def test_a_network_follows_keras_loss_curve(network, request):
    result = run_network(network, quick="not slow" in request.config.option.markexpr)
    assert result.passed, result.explain()
