"""Sealing the words of protected tasks, and the keys that open them. Knows no tasks."""
