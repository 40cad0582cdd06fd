"""What a signed record costs, measured: `python -m bench` and `python -m bench.scale`."""
