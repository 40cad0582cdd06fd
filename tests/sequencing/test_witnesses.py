"""The log asks real witnesses for their cosignatures, and some that are broken or hostile."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from audit.checkpoint import open_checkpoint
from audit.malformed import Malformed
from audit.note import Note, format_note, parse_note
from audit.policy import Witness, check_checkpoint, parse_policy
from audit.signers import Ed25519Cosigner
from sequencing.witnesses import Cosigned, Witnesses
from tests.support.patience import GROWING, PATIENCE
from tests.support.witnessing import NOW, ORIGIN, Clock, Log, make_witness, post, served, served_app
from witness.home import PASSPHRASE_VARIABLE, Home, read_signers


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)


@pytest.fixture(scope="module")
def log() -> Log:
    return Log().grown(8)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def home(tmp_path: Path, log: Log) -> Home:
    return make_witness(tmp_path / "north", log, name="north.example")


@pytest.fixture
def north(home: Home, stack: ExitStack) -> Witness:
    """A real one, which the policy lists by its Ed25519 key."""
    url = stack.enter_context(served(home))
    return Witness("north", read_signers(home).verifiers[0], url)


@pytest.fixture
def south(tmp_path: Path, log: Log, stack: ExitStack) -> Witness:
    """Another, listed by its ML-DSA-44 key."""
    home = make_witness(tmp_path / "south", log, name="south.example")
    url = stack.enter_context(served(home))
    return Witness("south", read_signers(home).verifiers[1], f"{url}/")


@contextmanager
def asking(*witnesses: Witness, timeout: float = PATIENCE) -> Iterator[Callable[[Log], Cosigned]]:
    client = Witnesses(witnesses, timeout, Clock())
    try:
        yield lambda log: client.cosign(log.note(), log.checkpoint(), log.prove)
    finally:
        client.close()


def ask(log: Log, *witnesses: Witness, timeout: float = PATIENCE) -> Cosigned:
    with asking(*witnesses, timeout=timeout) as cosign:
        return cosign(log)


Answering = Callable[[Request], Response]


@contextmanager
def answering(key: Witness, answer: Answering) -> Iterator[Witness]:
    """Somebody else at the address of a witness."""
    app = FastAPI(openapi_url=None)

    @app.post("/add-checkpoint")
    async def add_checkpoint(request: Request) -> Response:
        await request.body()
        return answer(request)

    with served_app(app) as url:
        yield Witness(key.name, key.key, url)


def saying(status: int, body: bytes = b"", **headers: str) -> Answering:
    return lambda _: Response(body, status_code=status, headers=headers)


def in_turn(*answers: Answering) -> Answering:
    coming = iter(answers)

    def answer(request: Request) -> Response:
        return next(coming)(request)

    return answer


@pytest.fixture
def dead_end() -> Iterator[str]:
    """An address where nobody listens, and nobody else can meanwhile."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unheard.getsockname()[1]}"


def test_every_witness_gives_the_line_of_the_key_in_the_policy(
    north: Witness, south: Witness, log: Log
) -> None:
    found = ask(log, north, south)
    assert found.lines.keys() == {"north", "south"}
    assert (found.ahead, found.forked, found.silent) == ({}, frozenset(), {})
    note = parse_note(log.note())
    whole = format_note(Note(note.text, (*note.lines, *found.lines.values())))
    keys = [*(signer.verifier for signer in log.signers), north.key, south.key]
    assert open_checkpoint(whole, ORIGIN, keys).checkpoint == log.checkpoint()


def test_two_of_three_make_a_quorum_when_one_is_down(
    north: Witness, south: Witness, log: Log, dead_end: str
) -> None:
    lost = Ed25519Cosigner("lost.example", Ed25519PrivateKey.generate()).verifier
    lines = [
        *(f"log {vkey}" for vkey in log.vkeys),
        f"witness north {north.key.vkey} {north.url}",
        f"witness south {south.key.vkey} {south.url}",
        f"witness lost {lost.vkey} {dead_end}",
        "group most 2 north south lost",
        "quorum most",
        "max-age 60",
    ]
    policy = parse_policy("".join(f"{line}\n" for line in lines).encode())
    found = ask(log, *policy.witnesses)
    note = parse_note(log.note())
    for names in ({"north", "south"}, {"north"}):
        chosen = [line for name, line in found.lines.items() if name in names]
        whole = format_note(Note(note.text, (*note.lines, *chosen)))
        if len(names) == 2:
            assert check_checkpoint(whole, policy, NOW).checkpoint == log.checkpoint()
        else:
            with pytest.raises(Malformed, match="quorum_not_met"):
                check_checkpoint(whole, policy, NOW)


def test_a_witness_that_stands_elsewhere_is_asked_again_from_there(
    north: Witness, log: Log
) -> None:
    assert ask(log, north).lines
    # Another client, which knows nothing of the first one's answers.
    assert ask(log.grown(20), north).lines


def test_where_it_stood_last_is_remembered(north: Witness, log: Log) -> None:
    asked: list[int] = []
    larger = log.grown(20)

    def prove(old: int) -> tuple[bytes, ...]:
        asked.append(old)
        return larger.prove(old)

    client = Witnesses([north], PATIENCE, Clock())
    assert client.cosign(log.note(), log.checkpoint(), log.prove).lines
    assert client._sizes == {"north": 8}  # so the next one needs no 409 first
    assert client.cosign(larger.note(), larger.checkpoint(), prove).lines
    assert asked == [8]
    client.close()


def test_the_proof_is_asked_for_in_the_thread_of_the_caller(north: Witness, log: Log) -> None:
    ask(log, north)
    larger, threads = log.grown(20), []

    def prove(old: int) -> tuple[bytes, ...]:
        threads.append(threading.current_thread())
        return larger.prove(old)

    client = Witnesses([north], PATIENCE, Clock())
    assert client.cosign(larger.note(), larger.checkpoint(), prove).lines
    assert threads == [threading.current_thread()]
    client.close()


def test_it_works_inside_of_an_event_loop_too(north: Witness, log: Log) -> None:
    async def main() -> Cosigned:
        return await asyncio.to_thread(ask, log, north)

    assert asyncio.run(main()).lines


def test_a_witness_without_an_address_is_not_asked(north: Witness, log: Log) -> None:
    assert ask(log, Witness("north", north.key)) == Cosigned()


def test_one_that_is_down_and_one_that_is_slow_do_not_keep_the_others_from_signing(
    north: Witness, south: Witness, log: Log, stack: ExitStack, dead_end: str
) -> None:
    done = threading.Event()

    def slow(_: Request) -> Response:
        async def body() -> AsyncIterator[bytes]:
            while not done.is_set():
                yield b"x"
                await asyncio.sleep(0.1)

        return StreamingResponse(body())

    late = stack.enter_context(answering(Witness("late", south.key), slow))
    stack.callback(done.set)
    found = Cosigned()
    for seconds in GROWING:
        begin = time.monotonic()
        found = ask(log, north, late, Witness("down", south.key, dead_end), timeout=seconds)
        assert time.monotonic() - begin < PATIENCE
        if found.lines:
            break
    assert found.lines.keys() == {"north"}
    assert found.silent == {"late": "timeout", "down": "ConnectError"}


@contextmanager
def speaking(key: Witness, speak: Callable[[socket.socket], None]) -> Iterator[Witness]:
    """Somebody at the address of a witness who doesn't keep to HTTP; one connection."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(PATIENCE)
            connection.recv(1 << 16)
            with suppress(OSError):
                speak(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Witness(key.name, key.key, f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            thread.join(PATIENCE)


def test_one_that_never_answers_gets_one_thread_of_ours(north: Witness, log: Log) -> None:
    """It sends a header, byte by byte: no single wait is long enough for a time limit."""
    second: Mapping[str, str] = {}
    for seconds in GROWING:
        first, second = _asked_twice(north, log, seconds)
        assert first == {"north": "timeout"}
        # Unless it was the machine that dribbled too slowly.
        if second == {"north": "still_answering"}:
            break
    assert second == {"north": "still_answering"}


def _asked_twice(
    key: Witness, log: Log, seconds: float
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Why one that dribbles was silent the first time and the second, which takes no waiting."""
    done = threading.Event()

    def dribble(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
        while not done.wait(0.1):
            connection.sendall(b"x")

    with speaking(key, dribble) as hostile, asking(hostile, timeout=seconds) as cosign:
        first = cosign(log).silent
        begin = time.monotonic()
        second = cosign(log).silent
        if time.monotonic() - begin >= seconds:
            second = {}
        done.set()
    return first, second


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (saying(200), "note_unsigned"),
        (saying(200, b"nonsense"), "note_signature_line"),
        (saying(200, "— \n".encode()), "note_signature_line"),
        (saying(500), "status_500"),
        (saying(403), "status_403"),
        (saying(404), "status_404"),
        (saying(422), "status_422"),
        (saying(302, location="http://127.0.0.1:1/add-checkpoint"), "status_302"),
        (saying(409), "witness_answer_size"),
        (saying(409, b"08\n"), "witness_answer_size"),
        (saying(409, b"0\n"), "conflict_with_itself"),
        (saying(409, b"9" * 100 + b"\n"), "witness_answer_size"),
        (saying(200, b"\x1f\x8b" + b"x" * 50, **{"content-encoding": "gzip"}), "note_encoding"),
    ],
)
def test_nonsense_is_no_cosignature(
    north: Witness, log: Log, answer: Answering, reason: str
) -> None:
    with answering(north, answer) as odd:
        found = ask(log, odd)
    assert (found.lines, found.ahead, found.forked) == ({}, {}, frozenset())
    assert found.silent == {"north": reason}


def test_a_gigabyte_is_not_read(north: Witness, log: Log) -> None:
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
        for _ in range(1 << 10):
            connection.sendall(bytes(1 << 20))
            sent += 1

    with speaking(north, flood) as hostile:
        assert ask(log, hostile).silent == {"north": "answer_too_long"}
    assert sent < 64  # what the buffers of the kernel took


def test_lines_of_others_are_ignored_and_its_own_must_hold(
    north: Witness, south: Witness, home: Home, log: Log
) -> None:
    both = post(str(north.url), log.request(0)).content
    foreign = post(str(south.url).rstrip("/"), log.request(0)).content
    with answering(north, saying(200, foreign)) as odd:
        assert ask(log, odd).silent == {"north": "cosignature_missing"}
    with answering(north, saying(200, foreign + both)) as odd:
        assert ask(log, odd).lines.keys() == {"north"}
    signer = read_signers(home).ed25519
    other = signer.sign(parse_note(log.branch(8).note()).text, NOW)
    line = format_note(Note("x\n", (other,))).removeprefix(b"x\n\n")
    with answering(north, saying(200, line)) as odd:
        assert ask(log, odd).silent == {"north": "note_signature_wrong"}


def test_a_line_from_the_future_is_refused(north: Witness, home: Home, log: Log) -> None:
    """With it in the checkpoint, verifiers would refuse the whole of it."""
    text = parse_note(log.note()).text
    for ahead, fine in ((200, True), (400, False)):
        line = read_signers(home).ed25519.sign(text, NOW + ahead)
        body = format_note(Note("x\n", (line,))).removeprefix(b"x\n\n")
        with answering(north, saying(200, body)) as odd:
            assert bool(ask(log, odd).lines) == fine


def test_one_that_knows_a_larger_tree_is_named_with_its_size(
    north: Witness, south: Witness, log: Log
) -> None:
    """So it is when our database was restored from a backup."""
    assert ask(log.grown(20), north).lines
    found = ask(log, north, south)
    assert found.ahead == {"north": 20}
    assert found.lines.keys() == {"south"}


def test_ahead_is_also_found_by_who_saw_it_grow(north: Witness, log: Log) -> None:
    with asking(north) as cosign:
        assert cosign(log.grown(20)).lines
        assert cosign(log).ahead == {"north": 20}
        assert cosign(log.grown(21)).lines


def test_one_that_knows_another_tree_of_the_same_size_is_named(north: Witness, log: Log) -> None:
    assert ask(log.branch(8), north).lines
    found = ask(log, north)
    assert (found.forked, found.lines, found.ahead) == (frozenset({"north"}), {}, {})


def test_one_that_knows_another_smaller_tree_is_named(north: Witness, log: Log) -> None:
    assert ask(log.branch(8), north).lines
    assert ask(log.grown(20), north).forked == frozenset({"north"})


def test_a_conflict_without_a_size_at_our_size_means_another_root(north: Witness, log: Log) -> None:
    """Of this conflict the protocol doesn't say what stands in the body."""
    with answering(north, in_turn(saying(409, b"8\n"), saying(409))) as odd:
        assert ask(log, odd).forked == frozenset({"north"})


def test_one_whose_size_changes_under_our_hands_is_left_for_the_next_time(
    north: Witness, log: Log
) -> None:
    with answering(north, in_turn(saying(409, b"3\n"), saying(409, b"5\n"))) as odd:
        assert ask(log, odd).silent == {"north": "conflict_again"}


@pytest.mark.parametrize(
    "url",
    ["nonsense", "ftp://127.0.0.1/", "http://", "http://[", "http://127.0.0.1:99999", "file:///etc",
     "http://nobody.invalid", "http://\ud800"],
)  # fmt: skip
def test_an_address_that_is_none_is_never_raised(north: Witness, log: Log, url: str) -> None:
    found = ask(log, Witness("north", north.key, url), timeout=5)
    assert found.silent.keys() == {"north"}


def test_an_error_of_our_own_is_raised(north: Witness, log: Log) -> None:
    ask(log, north)
    larger = log.grown(20)

    def broken(_old: int) -> tuple[bytes, ...]:
        raise KeyError

    client = Witnesses([north], PATIENCE, Clock())
    with pytest.raises(KeyError):
        client.cosign(larger.note(), larger.checkpoint(), broken)
    client.close()
