"""Tables, migrations and queries, on SQLite and on PostgreSQL."""
