"""Durable processes. They decide *when*; what a step does is decided by `domain` and recorded by
`activities`.
"""
