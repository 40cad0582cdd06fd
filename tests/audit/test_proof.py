"""Proof files: the specification's example holds, and what is almost one is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import policy, proof
from audit.checkpoint import open_checkpoint
from audit.malformed import Malformed
from audit.merkle import check_inclusion, leaf_hash
from audit.note import parse_vkey
from audit.proof import Proof, format_proof, parse_proof


def example(module_text: str | None, first: str, after: str) -> str:
    """What a module's docstring shows, from the line ``first`` up to the text ``after``."""
    assert module_text is not None
    shown = module_text[module_text.index(f"    {first}\n") : module_text.index(after)]
    return shown.replace("\n    ", "\n").removeprefix("    ").rstrip("\n") + "\n"


EXAMPLE = example(
    proof.__doc__.partition('"a", "b" and "c"')[2] if proof.__doc__ else None,
    "c2sp.org/tlog-proof@v1",
    "\n`audit.policy",
).encode()
POLICY = example(policy.__doc__, "# Two institutions watch the log.", "\nA log of ours")
PROOF = parse_proof(EXAMPLE)
HEAD, CHECKPOINT = EXAMPLE.split(b"\n\n", 1)
HASH = "Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw="


def refused(code: str) -> pytest.RaisesExc[Malformed]:
    return pytest.raises(Malformed, match=rf"^{code}\b")


def test_the_specification_s_example_proves_its_entry() -> None:
    vkey = POLICY.split("\n")[1].removeprefix("log ")
    opened = open_checkpoint(PROOF.checkpoint, "log.example", [parse_vkey(vkey)])
    found = opened.checkpoint
    check_inclusion(PROOF.hashes, PROOF.index, found.size, leaf_hash(b"b"), found.root)
    with refused("inclusion_wrong"):
        check_inclusion(PROOF.hashes, PROOF.index, found.size, leaf_hash(b"c"), found.root)


def test_a_proof_is_written_as_it_was_read() -> None:
    assert format_proof(PROOF) == EXAMPLE
    assert PROOF.index == 1
    assert PROOF.checkpoint == CHECKPOINT
    assert PROOF.extra is None


def test_extra_data_stands_behind_the_header() -> None:
    data = format_proof(replace(PROOF, extra=b"age-v1"))
    assert data.split(b"\n")[1] == b"extra YWdlLXYx"
    assert parse_proof(data).extra == b"age-v1"


def test_the_only_entry_of_a_log_needs_no_hashes() -> None:
    alone = Proof(0, (), CHECKPOINT)
    assert format_proof(alone) == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + CHECKPOINT
    assert parse_proof(format_proof(alone)) == alone


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("", "proof_header"),
        ("c2sp.org/tlog-proof@v2\nindex 1", "proof_header"),
        (" c2sp.org/tlog-proof@v1\nindex 1", "proof_header"),
        ("c2sp.org/tlog-proof@v1\r\nindex 1", "proof_header"),
        ("c2sp.org/tlog-proof@v1", "proof_index"),
        ("c2sp.org/tlog-proof@v1\nextra QQ==", "proof_index"),
        ("c2sp.org/tlog-proof@v1\nextra \nindex 1", "proof_extra"),
        ("c2sp.org/tlog-proof@v1\nextra\nindex 1", "proof_index"),
        ("c2sp.org/tlog-proof@v1\nextra QR==\nindex 1", "base64_not_canonical"),
        ("c2sp.org/tlog-proof@v1\nextra QQ==\nextra QQ==\nindex 1", "proof_index"),
        ("c2sp.org/tlog-proof@v1\nindex 1\nextra QQ==", "base64"),
        ("c2sp.org/tlog-proof@v1\nindex 1\nindex 1", "base64"),
        ("c2sp.org/tlog-proof@v1\nindex", "proof_index"),
        ("c2sp.org/tlog-proof@v1\nindex ", "proof_index"),
        ("c2sp.org/tlog-proof@v1\nindex 01", "proof_index"),
        ("c2sp.org/tlog-proof@v1\nindex  1", "proof_index"),
        ("c2sp.org/tlog-proof@v1\nindex -1", "proof_index"),
        ("c2sp.org/tlog-proof@v1\nindex 1 ", "proof_index"),
        (f"c2sp.org/tlog-proof@v1\nindex {2**63}", "proof_index"),
        ("c2sp.org/tlog-proof@v1\nindex ٣", "proof_lines"),
        (f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH} ", "base64"),
        (f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH}\r", "base64"),
        (f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH[:-1]}", "base64"),
        (f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH.replace('w=', 'x=')}", "base64_not_canonical"),
        ("c2sp.org/tlog-proof@v1\nindex 1\nQQ==", "proof_hash_length"),
        ("c2sp.org/tlog-proof@v1\nindex 1\n" + f"{HASH}\n" * 63 + HASH, "proof_length"),
    ],
)
def test_what_is_no_proof_is_refused_by_name(head: str, code: str) -> None:
    with refused(code):
        parse_proof(head.encode() + b"\n\n" + CHECKPOINT)


def test_a_proof_without_a_checkpoint_is_refused() -> None:
    for data in (b"", HEAD, HEAD + b"\n", HEAD + b"\n\n"):
        with refused("proof_checkpoint"):
            parse_proof(data)
    with refused("proof_too_long"):
        parse_proof(EXAMPLE + bytes(3 << 20))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(PROOF, index=-1),
        replace(PROOF, index=2**63),
        replace(PROOF, hashes=(bytes(31),)),
        replace(PROOF, checkpoint=b""),
        replace(PROOF, extra=b""),
    ],
)
def test_what_would_not_be_read_back_is_not_written(wrong: Proof) -> None:
    with pytest.raises(ValueError, match="not a proof"):
        format_proof(wrong)


@given(
    st.builds(
        Proof,
        st.integers(0, 2**63 - 1),
        st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple),
        st.binary(min_size=1),
        st.none() | st.binary(min_size=1),
    )
)
def test_a_proof_is_read_as_it_was_written(found: Proof) -> None:
    assert parse_proof(format_proof(found)) == found


@given(st.binary() | st.text().map(str.encode))
def test_arbitrary_bytes_are_malformed_or_read_exactly(data: bytes) -> None:
    is_proof_or_malformed(data)


@given(st.integers(0, len(EXAMPLE)), st.integers(0, 9), st.binary(max_size=9))
def test_a_mutated_proof_is_malformed_or_read_exactly(at: int, cut: int, put: bytes) -> None:
    is_proof_or_malformed(EXAMPLE[:at] + put + EXAMPLE[at + cut :])


def is_proof_or_malformed(data: bytes) -> None:
    try:
        found = parse_proof(data)
    except Malformed:
        return
    assert format_proof(found) == data
