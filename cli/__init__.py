"""The `dondoc` command. Nothing imports it."""
