"""Running: eager tensors, tapes, graphs node by node."""
