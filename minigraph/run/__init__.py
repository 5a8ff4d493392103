"""Running: eager tensors, variables, tapes."""
