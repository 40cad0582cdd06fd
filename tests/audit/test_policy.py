"""The trust file, and what a verifier believes because of it."""

from dataclasses import replace
from itertools import chain, combinations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import policy as module
from audit.checkpoint import Checkpoint
from audit.malformed import Malformed
from audit.note import VerifierKey, format_note
from audit.policy import Group, LogKey, Policy, Witness, check_checkpoint, parse_policy
from audit.signers import Ed25519Cosigner, Ed25519Signer, MLDSACosigner, Signer, sign_checkpoint
from audit.trust_file import format_policy

ORIGIN = "log.example"
NOW = 1_700_000_000


def ed25519(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def mldsa(number: int) -> MLDSA44PrivateKey:
    return MLDSA44PrivateKey.from_seed_bytes(bytes([number]) * 32)


LOG = Ed25519Signer(ORIGIN, ed25519(1))
LOG_MLDSA = MLDSACosigner(ORIGIN, mldsa(1))
WITNESSES: dict[str, Ed25519Cosigner | MLDSACosigner] = {
    "north": Ed25519Cosigner("north.example", ed25519(2)),
    "south": Ed25519Cosigner("south.example", ed25519(3)),
    "west": MLDSACosigner("west.example", mldsa(4)),
}
CHECKPOINT = Checkpoint(ORIGIN, 5, bytes(range(32)))
NAMED = {name: witness.verifier.vkey for name, witness in WITNESSES.items()}
FILE = f"""\
# Whom we trust about the log of the ministry — as of today.
log {LOG.verifier.vkey} https://log.example/
  log\t{LOG_MLDSA.verifier.vkey}

witness north {NAMED["north"]} https://north.example/
witness south {NAMED["south"]}
\t# the one with the new kind of key
witness west  {NAMED["west"]}\t
group abroad any south west
group both all north abroad
quorum both
founding {"0f" * 32}
max-age 86400
"""
POLICY = parse_policy(FILE.encode())


def refused(code: str) -> pytest.RaisesExc[Malformed]:
    return pytest.raises(Malformed, match=rf"^{code}\b")


def test_a_trust_file_says_whom_to_believe() -> None:
    witnesses = tuple(Witness(name, WITNESSES[name].verifier) for name in ("south", "west"))
    first = Witness("north", WITNESSES["north"].verifier, "https://north.example/")
    assert (
        Policy(
            (LogKey(LOG.verifier, "https://log.example/"), LogKey(LOG_MLDSA.verifier)),
            (first, *witnesses),
            (Group("abroad", 1, ("south", "west")), Group("both", 2, ("north", "abroad"))),
            "both",
            "0f" * 32,
            86400,
        )
        == POLICY
    )
    assert POLICY.origin == ORIGIN
    assert POLICY.log_keys == (LOG.verifier, LOG_MLDSA.verifier)


def test_a_policy_is_read_as_it_was_written() -> None:
    plain = parse_policy(f"log {LOG.verifier.vkey}\nquorum none\n".encode())
    assert plain == Policy((LogKey(LOG.verifier),))
    for policy in (POLICY, plain):
        assert parse_policy(format_policy(policy)) == policy


def test_the_specification_s_example_is_a_trust_file() -> None:
    assert module.__doc__ is not None
    shown = module.__doc__.partition("For example:\n\n")[2].partition("\n\nA log of ours")[0]
    policy = parse_policy((shown.replace("\n    ", "\n").strip() + "\n").encode())
    assert policy.origin == ORIGIN
    assert [witness.name for witness in policy.witnesses] == ["north", "south"]
    assert policy.groups == (Group("both", 2, ("north", "south")),)
    assert policy.max_age == 86400


LOG_LINE = f"log {LOG.verifier.vkey}\n"
START = "".join(
    [LOG_LINE, *(f"witness {name} {vkey}\n" for name, vkey in NAMED.items())]
)  # four lines
OTHER = Ed25519Signer("other.example", ed25519(9)).verifier
LOG_AS_WITNESS = Ed25519Cosigner("w.example", ed25519(1)).verifier
NORTH_AS_LOG = Ed25519Signer(ORIGIN, ed25519(2)).verifier
RENAMED_WEST = MLDSACosigner("renamed.example", mldsa(4)).verifier
OWN_WITNESS = Ed25519Cosigner(ORIGIN, ed25519(9)).verifier
TIMED_LOG = Ed25519Cosigner(ORIGIN, ed25519(9)).verifier


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "policy_log_missing"),
        ("quorum none\n", "policy_log_missing"),
        (START, "policy_quorum_missing"),
        (START + "quorum none", "policy_line_end: line 5"),
        (START + "quorum none\nquorum none\n", "policy_line_twice: line 6"),
        (START + "quorum\n", "policy_words: line 5"),
        (START + "quorum north south\n", "policy_words: line 5"),
        (START + "quorum nobody\n", "policy_name_unknown: line 5"),
        (START + "quorum later\ngroup later any north\n", "policy_name_unknown: line 5"),
        (START + "quorum north.example\n", "policy_name_unknown: line 5"),
        (START + "quorum None\n", "policy_name_unknown: line 5"),
        (START + "group g any later\ngroup later any north\n", "policy_name_unknown: line 5"),
        (START + "group g any g\n", "policy_name_unknown: line 5"),
        (START + "group g any north north\n", "policy_member: line 5"),
        (START + "group g any north\ngroup h any north\n", "policy_member: line 6"),
        (START + "group g any none\n", "policy_member: line 5"),
        (START + "group none any north\n", "policy_name_twice: line 5"),
        (START + "group north any south\n", "policy_name_twice: line 5"),
        (START + "group g any\n", "policy_words: line 5"),
        (START + "group g\n", "policy_words: line 5"),
        (START + "group g 0 north\n", "policy_threshold: line 5"),
        (START + "group g 2 north\n", "policy_threshold: line 5"),
        (START + "group g 01 north\n", "policy_threshold: line 5"),
        (START + "group g -1 north\n", "policy_threshold: line 5"),
        (START + "group g most north\n", "policy_threshold: line 5"),
        (START + f"group g {'9' * 5000} north\n", "policy_threshold: line 5"),
        (START + f"witness north {OTHER.vkey}\n", "policy_name_twice: line 5"),
        (START + f"witness again {NAMED['north']}\n", "policy_key_twice: line 5"),
        (START + f"witness again {RENAMED_WEST.vkey}\n", "policy_key_twice: line 5"),
        (START + f"witness again {LOG_AS_WITNESS.vkey}\n", "policy_key_twice: line 5"),
        (START + f"log {NORTH_AS_LOG.vkey}\n", "policy_key_twice: line 5"),
        (START + LOG_LINE, "policy_key_twice: line 5"),
        (START + f"log {OTHER.vkey}\n", "policy_other_log: line 5"),
        (START + f"log {TIMED_LOG.vkey}\n", "policy_key_type: line 5"),
        (START + f"witness w {OTHER.vkey}\n", "policy_key_type: line 5"),
        (START + f"witness w {OWN_WITNESS.vkey}\nquorum w\n", "policy_log_as_witness"),
        (START + "witness w\n", "policy_words: line 5"),
        (START + "witness w a+b+c url more\n", "policy_words: line 5"),
        (START + "witness w north.example\n", "vkey_form: line 5"),
        (START + f"witness w {NAMED['north'][:-1]}\n", "base64: line 5"),
        (START + "log\n", "policy_words: line 5"),
        (START + "log vkey\n", "vkey_form: line 5"),
        (START + "founding 00\n", "policy_founding: line 5"),
        (START + f"founding {'0F' * 32}\n", "policy_founding: line 5"),
        (START + f"founding {'00' * 33}\n", "policy_founding: line 5"),
        (START + f"founding {'00' * 32}\n" * 2, "policy_line_twice: line 6"),
        (START + "max-age 0\n", "policy_max_age: line 5"),
        (START + "max-age 1d\n", "policy_max_age: line 5"),
        (START + "max-age -1\n", "policy_max_age: line 5"),
        (START + "max-age 1\nmax-age 1\n", "policy_line_twice: line 6"),
        (START + "Quorum none\n", "policy_line_unknown: line 5"),
        (START + "quorum none # none\n", "policy_words: line 5"),
        (START + "minimum 3\n", "policy_line_unknown: line 5"),
        (START + "quorum none\r\n", "policy_control_character: line 5"),
        (START + "quorum\u00a0none\n", "policy_line_unknown: line 5"),
        (START + "# \x7f\n", "policy_control_character: line 5"),
        (START + "# \x00\n", "policy_control_character: line 5"),
        ("#" * (2 << 20), "policy_too_long"),
        ("\ufeff" + START + "quorum none\n", "policy_line_unknown: line 1"),
    ],
)
def test_what_is_no_trust_file_is_refused_by_name_and_line(text: str, code: str) -> None:
    with refused(code):
        parse_policy(text.encode())


def test_a_trust_file_in_another_encoding_is_refused() -> None:
    with refused("policy_encoding: line 2"):
        parse_policy(LOG_LINE.encode() + b"# \xe9\nquorum none\n")


def test_what_would_not_be_read_back_is_not_written() -> None:
    for wrong in (
        replace(POLICY, quorum="nobody"),
        replace(POLICY, max_age=0),
        replace(POLICY, groups=(Group("g", 1, ("a b",)),)),
        replace(POLICY, witnesses=(Witness("north", WITNESSES["north"].verifier, "u\nx"),)),
    ):
        with pytest.raises(ValueError, match="not a policy"):
            format_policy(wrong)


def subsets(names: list[str]) -> list[tuple[str, ...]]:
    return list(chain.from_iterable(combinations(names, n) for n in range(len(names) + 1)))


@pytest.mark.parametrize(
    ("lines", "standing"),
    [
        ("quorum none", ["", "north", "south", "west"]),
        ("quorum north", ["north"]),
        ("group g any north south west\nquorum g", ["north", "south", "west"]),
        ("group g 2 north south west\nquorum g", ["north south", "north west", "south west"]),
        ("group g all north south west\nquorum g", ["north south west"]),
        ("group g any south west\ngroup h all north g\nquorum h", ["north south", "north west"]),
        ("group g all south west\ngroup h any north g\nquorum h", ["north", "south west"]),
        ("group g any south west\ngroup h any north\nquorum h", ["north"]),
    ],
)
def test_a_quorum_stands_with_these_witnesses_and_all_who_join_them(
    lines: str, standing: list[str]
) -> None:
    policy = parse_policy(f"{START}{lines}\n".encode())
    for names in subsets(list(NAMED)):
        expected = any(set(least.split()) <= set(names) for least in standing)
        assert policy.satisfied_by(names) == expected
        assert policy.satisfied_by([*names, *names, "stranger", "g", "h", "none"]) == expected


def published(*others: tuple[str, int], log_time: int = NOW, logs: int = 2) -> bytes:
    """A checkpoint with the log's lines, and those of witnesses with their times."""
    own: list[Signer] = [LOG, LOG_MLDSA]
    note = sign_checkpoint(CHECKPOINT, own[:logs], log_time)
    for name, time in others:
        signers: list[Signer] = [WITNESSES[name]]
        note = replace(note, lines=(*note.lines, *sign_checkpoint(CHECKPOINT, signers, time).lines))
    return format_note(note)


def test_a_checkpoint_that_the_policy_believes_opens_with_all_times() -> None:
    opened = check_checkpoint(published(("north", NOW - 9), ("west", NOW - 7)), POLICY, NOW)
    assert opened.checkpoint == CHECKPOINT
    assert opened.times == {
        LOG.verifier: None,
        LOG_MLDSA.verifier: NOW,
        WITNESSES["north"].verifier: NOW - 9,
        WITNESSES["west"].verifier: NOW - 7,
    }


def test_witnesses_that_make_no_quorum_are_counted() -> None:
    for names, count in ((("south", "west"), 2), (("north",), 1), ((), 0)):
        with refused(f"quorum_not_met: {count} of 3"):
            check_checkpoint(published(*((name, NOW) for name in names)), POLICY, NOW)


def test_a_checkpoint_without_the_ml_dsa_line_is_refused() -> None:
    with refused(r"checkpoint_signature_missing: log.example 0x06"):
        check_checkpoint(published(("north", NOW), ("west", NOW), logs=1), POLICY, NOW)


def test_a_witness_counts_once() -> None:
    with refused("note_signature_twice"):
        check_checkpoint(published(("north", NOW), ("north", NOW + 1)), POLICY, NOW)


def test_a_witness_s_wrong_signature_refuses_the_checkpoint() -> None:
    data = published(("north", NOW), ("west", NOW))
    other = sign_checkpoint(replace(CHECKPOINT, size=6), [WITNESSES["south"]], NOW)
    line = format_note(other).rpartition(b"\n\n")[2]
    with refused("note_signature_wrong"):
        check_checkpoint(data + line, POLICY, NOW)


def test_an_old_checkpoint_is_refused_by_its_newest_cosignature() -> None:
    age = 86400
    for newest, old_enough in ((NOW - age, True), (NOW - age - 1, False)):
        data = published(("north", newest - 5), ("west", newest))
        if old_enough:
            check_checkpoint(data, POLICY, NOW)
        else:
            with refused("checkpoint_too_old"):
                check_checkpoint(data, POLICY, NOW)
        check_checkpoint(data, POLICY, None)
        check_checkpoint(data, replace(POLICY, max_age=None), NOW)


def test_a_log_that_is_not_watched_dates_itself() -> None:
    alone = Policy((LogKey(LOG.verifier), LogKey(LOG_MLDSA.verifier)), max_age=100)
    check_checkpoint(published(log_time=NOW - 100), alone, NOW)
    with refused("checkpoint_too_old"):
        check_checkpoint(published(log_time=NOW - 101), alone, NOW)


def test_a_checkpoint_without_any_time_is_too_old_for_every_limit() -> None:
    undated = Policy((LogKey(LOG.verifier),), max_age=100)
    with refused("checkpoint_too_old"):
        check_checkpoint(published(logs=1), undated, NOW)
    check_checkpoint(published(logs=1), undated, None)


def test_a_signature_from_the_future_is_refused() -> None:
    near, far = NOW + 300, NOW + 301
    check_checkpoint(published(("north", near), ("west", NOW), log_time=near), POLICY, NOW)
    for data in (
        published(("north", far), ("west", NOW)),
        published(("north", NOW), ("west", NOW), log_time=far),
    ):
        with refused("checkpoint_from_the_future"):
            check_checkpoint(data, POLICY, NOW)
        check_checkpoint(data, POLICY, None)


@given(st.binary() | st.text().map(str.encode))
def test_arbitrary_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_policy(data)


SHORT = f"{LOG_LINE}witness north {NAMED['north']} url\ngroup g 1 north\nquorum g\nmax-age 7\n"


@given(st.integers(0, len(SHORT)), st.integers(0, 9), st.text(max_size=9))
def test_a_mutated_trust_file_is_malformed_or_a_policy(at: int, cut: int, put: str) -> None:
    try:
        policy = parse_policy((SHORT[:at] + put + SHORT[at + cut :]).encode())
    except Malformed:
        return
    assert parse_policy(format_policy(policy)) == policy
    keys: set[VerifierKey] = {*policy.log_keys, *(item.key for item in policy.witnesses)}
    # No mutation makes another key of the one that the line had.
    assert keys <= {LOG.verifier, WITNESSES["north"].verifier}


@given(st.lists(st.sampled_from(SHORT.split("\n")), max_size=9))
def test_lines_in_any_order_are_malformed_or_a_policy(lines: list[str]) -> None:
    try:
        policy = parse_policy("".join(f"{line}\n" for line in lines).encode())
    except Malformed:
        return
    assert parse_policy(format_policy(policy)) == policy
