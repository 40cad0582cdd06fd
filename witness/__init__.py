"""A witness, independent of the log: remembers how large its tree was, cosigns what extends it."""
