"""The proofs of chosen chains' ends, as they are written; `audit.heads` says what they are."""

import base64

from audit.bundle import HeadProofs
from audit.canonical import JsonLike, canonical


def format_head_proofs(found: HeadProofs) -> bytes:
    """The file ``heads`` of a bundle of chosen tasks."""
    proofs: list[JsonLike] = [
        {
            "chain": proof.chain,
            "count": proof.count,
            "hashes": [base64.b64encode(each).decode() for each in proof.hashes],
            "head": proof.head,
            "index": proof.index,
        }
        for proof in found.proofs
    ]
    return canonical({"index": found.index, "proofs": proofs})
