"""From probabilities back to the logits they were made of.

ln(softmax(x)) loses the numbers that matter most: in float32 a probability of 1e-9 beside 1 is gone, and
where it is cut off the gradient is 0. A cross-entropy computed from x itself has neither problem. So Keras's
softmax and sigmoid leave their input on their result, and the cross-entropies use it. The tensor's slot
`logits` holds it: it lives exactly as long as the result, and a tensor computed from the result has none.
"""

from __future__ import annotations

import warnings
from typing import Any

from minigraph.graph import Value
from minigraph.tensor import Tensor


def remember_logits(probabilities: Any, logits: Tensor) -> Tensor:
    """`probabilities`, with the `logits` they were computed from."""
    probabilities.logits = logits
    return probabilities


def find_logits(output: Tensor, from_logits: bool, op: str, loss: str) -> tuple[Tensor, bool]:
    """What a cross-entropy computes from, and whether that is logits.

    Args:
        output: the model's output.
        from_logits: what the user says it is.
        op: "softmax" or "sigmoid"; in a graph also the plain op is looked through, whoever called it.
        loss: named in the warning for an output that is not the logits the user says it is.
    """
    logits = getattr(output, "logits", None)
    if logits is None and isinstance(output, Value) and output.node.op.name == op:
        logits = output.node.inputs[0]
    if logits is None:
        return output, from_logits
    if from_logits:
        warnings.warn(
            f"{loss} was told from_logits=True, but the output comes from a {op} activation; remove the "
            "activation or from_logits",
            stacklevel=4,
        )
    return logits, True
