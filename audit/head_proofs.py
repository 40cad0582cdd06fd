"""The heads of all chains, as the log states and proves them; `audit.heads` says what they are."""

import base64
from collections.abc import Mapping

from audit.bundle import HeadProofs
from audit.canonical import JsonLike, canonical
from audit.heads import HeadProof, head_hash, reader_over, root_over
from audit.merkle import prove_inclusion

Heads = Mapping[str, tuple[int, str]]
"""The last seq and its leaf hash (hex), by chain."""


def heads_root(heads: Heads) -> bytes:
    """The root over all heads, as an entry of event ``heads`` states it."""
    return root_over([head_hash(chain, *heads[chain]) for chain in _sorted(heads)])


def prove_head(heads: Heads, chain: str) -> HeadProof:
    """That the chain ends where it does. Raises KeyError for a chain that has no head."""
    count, head = heads[chain]
    chains = _sorted(heads)
    index = chains.index(chain)
    reader = reader_over([head_hash(each, *heads[each]) for each in chains])
    hashes = prove_inclusion(index, len(heads), reader)
    return HeadProof(chain, count, head, index, hashes)


def _sorted(heads: Heads) -> list[str]:
    # By code point, which for UTF-8 is the order of the bytes.
    return sorted(heads)


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
