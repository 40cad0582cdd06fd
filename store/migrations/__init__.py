"""How a database comes to its present form, step by step (Alembic)."""
