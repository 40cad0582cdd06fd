"""One order for the log: places in the tree, published tiles, signed checkpoints, witnesses."""
