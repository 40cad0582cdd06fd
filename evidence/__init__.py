"""The files that a step names as evidence: kept by their digests, checked whenever they are read.

The log holds digests only. Verifying it, and building anything again from it, needs no file of
this room; a file that is lost or altered is noticed by its digest and harms no entry.
"""
