"""Everything on one machine: the data directory, the keys in it, Temporal as a child process."""
