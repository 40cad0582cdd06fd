"""Valid inputs, changed at random, into each parser of `audit`: ``python -m bench.fuzz``.

A parser may give a value or raise `Malformed`; anything else is a finding, and is printed with the
input. What has one encoding must be written again as it was read. The changes come from a seed, so
a finding comes again.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from audit.bundle import format_head_proofs, format_words, parse_head_proofs, parse_words
from audit.canonical import canonical, parse
from audit.checkpoint import parse_checkpoint
from audit.dsse import Envelope
from audit.entry import format_entry, open_command, open_record, parse_entry, peek_chain
from audit.malformed import Malformed
from audit.merkle import prove_inclusion
from audit.note import format_note, parse_note
from audit.offline import Order, verify_bundle
from audit.policy import parse_policy
from audit.proof import Proof, format_proof, parse_proof
from audit.submission import Submission, format_submission, parse_submission
from audit.tiles import format_bundle, parse_bundle, tile_reader
from audit.trust_file import format_policy
from tests.support.attacking import Files, policy_of, small_log, zipped

_TOKENS = [
    b"", b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"1", b"0", b"-1", b"1e9",
    b"9007199254740992", b"NaN", b"\\", b"\\u0041", b"\\ud800", b"\x00", b"\xff", b"\n", b"\r\n",
    b"\n\n", b" ", b"=", b"+", "— ".encode(), "e\u0302".encode(), "\u202e".encode(), b"[" * 40,
]  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A parser: valid inputs, and what reads one; it gives the bytes again where there is one
    encoding.
    """

    seeds: list[bytes]
    read: Callable[[bytes], bytes | None]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each parser")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="names of parsers")
    given = parser.parse_args()
    found = 0
    with tempfile.TemporaryDirectory(prefix="dondoc-fuzz-") as folder:
        for name, target in targets(Path(folder)).items():
            if given.only is None or name in given.only:
                found += fuzz(name, target, given.seconds, given.seed)
    sys.exit(1 if found else 0)


def fuzz(name: str, target: Target, seconds: float, seed: int) -> int:
    """Print the figures of one parser; the number of findings."""
    for data in target.seeds:
        assert target.read(data) in {None, data}
    chance, tried, accepted, findings = random.Random(seed), 0, 0, 0  # noqa: S311 - is repeated
    start = perf_counter()
    while (passed := perf_counter() - start) < seconds:
        data = _changed(chance, chance.choice(target.seeds), target.seeds)
        tried += 1
        try:
            again = target.read(data)
        except Malformed:
            continue
        except Exception as error:  # noqa: BLE001 - which is what is looked for
            findings += 1
            print(f"  {name}: {type(error).__name__}: {error}: {data!r}")
            continue
        accepted += 1
        if again is not None and again != data:
            findings += 1
            print(f"  {name}: a second encoding: {data!r}")
    rate = tried / passed
    print(f"{name:14} {tried:>9,} tried {rate:>9,.0f}/s {accepted:>7,} read {findings} findings")
    return findings


def _changed(chance: random.Random, data: bytes, others: list[bytes]) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((0, 0, 1, 1, 2, 8, 64)))
        match chance.randrange(6):
            case 0:
                data = data[:at]
            case 1 if data:
                at = chance.randrange(len(data))
                data = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
            case 2:
                data = data[:at] + data[at:end] * chance.randint(2, 3) + data[end:]
            case 3:
                other = chance.choice(others)
                data = data[:at] + other[chance.randrange(len(other) + 1) :]
            case 4:
                data = data[:at] + chance.randbytes(end - at) + data[end:]
            case _:
                data = data[:at] + chance.choice(_TOKENS) + data[end:]
    return data


def targets(folder: Path) -> Mapping[str, Target]:
    scribe = small_log()
    whole, chosen = scribe.files(), scribe.chosen("T-1", "T-2", stating=12)
    size, entry = len(scribe.entries), parse_entry(scribe.entries[3])
    hashes = prove_inclusion(3, size, tile_reader(size, whole.__getitem__))
    openings = tuple(next(iter(scribe.words.values())).values())
    entries = next(data for name, data in whole.items() if name.startswith("tile/entries/"))
    return {
        "canonical": Target([chosen["heads"], whole["words/0"]], lambda d: canonical(parse(d))),
        "entry": Target(scribe.entries, lambda d: format_entry(parse_entry(d))),
        "command": Target([entry.command.payload], lambda d: _opened(open_command, d)),
        "record": Target([entry.record.payload], lambda d: _opened(open_record, d)),
        "peek": Target(scribe.entries, lambda d: _nothing(peek_chain(d))),
        "submission": Target(
            [format_submission(Submission(entry.command, openings))],
            lambda d: format_submission(parse_submission(d)),
        ),
        "words": Target([whole["words/0"]], lambda d: format_words(parse_words(d))),
        "heads": Target([chosen["heads"]], lambda d: format_head_proofs(parse_head_proofs(d))),
        "note": Target([whole["checkpoint"]], _note),
        "proof": Target(
            [format_proof(Proof(3, hashes, whole["checkpoint"]))],
            lambda d: format_proof(parse_proof(d)),
        ),
        "policy": Target([format_policy(policy_of())], _policy),
        "tile bundle": Target([entries], lambda d: format_bundle(parse_bundle(d, size))),
        "file": Target(
            [name.encode() + b"\n" + data for name, data in chosen.items()],
            lambda d: _verified_file(folder, chosen, d),
        ),
        "zip": Target(list(_zips(folder, whole, chosen)), lambda d: _verified(folder, d)),
    }


def _opened(read: Callable[[Envelope], object], data: bytes) -> None:
    read(Envelope(data, "", b""))


def _nothing(_value: object) -> None:
    return None


def _note(data: bytes) -> bytes:
    note = parse_note(data)
    with suppress(Malformed):
        parse_checkpoint(note.text)
    return format_note(note)


def _policy(data: bytes) -> None:
    """Comments and spaces make several files of one policy: it is read the same again."""
    policy = parse_policy(data)
    assert parse_policy(format_policy(policy)) == policy


def _zips(folder: Path, *bundles: Files) -> Iterator[bytes]:
    for number, files in enumerate(bundles):
        yield zipped(files, folder / f"{number}.zip").read_bytes()


def _verified_file(folder: Path, files: Files, data: bytes) -> None:
    """A bundle with one file changed inside it."""
    name, _, content = data.partition(b"\n")
    if name.decode(errors="replace") not in files:
        raise Malformed("no_such_file")
    path = zipped({**files, name.decode(): content}, folder / "changed.zip")
    found = verify_bundle(Order(path, policy_of(), None))
    # What nothing guards are words that are gone; they may be written in no other way.
    same = content in {files[name.decode()], b"{}"}
    assert not found.ok or same or _only_more_signed(name, files, content), name


def _only_more_signed(name: bytes, files: Files, content: bytes) -> bool:
    """A note may have lines by keys that the reader does not know (C2SP signed-note)."""
    if name != b"checkpoint":
        return False
    before, after = parse_note(files["checkpoint"]), parse_note(content)
    return after.text == before.text and set(after.lines) >= set(before.lines)


def _verified(folder: Path, data: bytes) -> None:
    path = folder / "changed.zip"
    path.write_bytes(data)
    verify_bundle(Order(path, policy_of(), None))


if __name__ == "__main__":
    main()
