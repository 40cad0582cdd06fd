"""The signed log: its bytes, its keys and its verifier. It knows entries, and nothing of tasks."""
