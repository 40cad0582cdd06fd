"""The sequencer at work: cosigned by real witnesses, stamped, published, and by several at once."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from queue import Queue
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from fastapi import Request, Response
from structlog.testing import capture_logs

from audit.checkpoint import parse_checkpoint
from audit.malformed import Malformed
from audit.note import parse_note
from audit.offline import Order, verify_bundle
from audit.policy import Group, Policy, Witness, check_checkpoint
from audit.signers import Ed25519Cosigner
from audit.timestamp import check_token
from domain.refusal import Refused
from sequencing import publisher as publishing
from sequencing.exporting import export_log, open_source
from sequencing.publisher import Publisher, Sequencing, Stamping, open_publisher, publish_last
from store import tree
from tests.support.attacking import policy_of, signers_of
from tests.support.authority import Answer, Openssl, authority_of, certify, key
from tests.support.authority import served as authority_served
from tests.support.clients import connect
from tests.support.copying import copied
from tests.support.patience import PATIENCE
from tests.support.publishing import Published, published
from tests.support.running import running
from tests.support.soundness import check_same_line, check_sound
from tests.support.temporal import TemporalServer
from tests.support.witnessing import Clock, served_app
from tests.support.world import Chance, World, key_of, pq_key_of
from witness import cosigning
from witness import home as homes
from witness.home import PASSPHRASE_VARIABLE, Home, read_signers
from witness.server import make_app, open_witness
from witness.store import Store

NAMES = ("north", "south", "east")


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Iterator[Published]:
    world = World(f"sqlite:///{tmp_path / 'log.sqlite'}")
    world.assigned("T-1")
    yield published(world, tmp_path / "tree")
    world.close()


@pytest.fixture(name="stack")
def _stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@dataclass
class Watched:
    """Real witnesses of a log, which can be taken down; and the policy that names them."""

    policy: Policy
    down: set[str] = field(default_factory=set)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Witnesses that are up get the time that a busy machine takes."""
    monkeypatch.setattr(publishing, "WITNESS_SECONDS", PATIENCE)


def watch(
    folder: Path, stack: ExitStack, quorum: int = 2, now: Callable[[], float] = time.time
) -> Watched:
    watched = Watched(policy_of())
    witnesses = []
    for name in NAMES:
        home = Home(folder / name)
        homes.found(home, f"{name}.example")
        homes.trust(home, [known.vkey for known in watched.policy.log_keys])
        store = Store(home.store)
        stack.callback(store.close)
        app = make_app(open_witness(home, store), now)

        @app.middleware("http")
        async def _switch(
            request: Request, go_on: Callable[[Request], Awaitable[Response]], name: str = name
        ) -> Response:
            return Response(status_code=503) if name in watched.down else await go_on(request)

        url = stack.enter_context(served_app(app))
        witnesses.append(Witness(name, read_signers(home).verifiers[0], url))
    watched.policy = replace(
        watched.policy,
        witnesses=tuple(witnesses),
        groups=(Group("some", quorum, NAMES),),
        quorum="some",
    )
    return watched


@contextmanager
def publisher_of(
    log: Published,
    policy: Policy | None = None,
    stamping: Stamping | None = None,
) -> Iterator[Publisher]:
    settings = Sequencing(log.files.root, log.signing, policy, stamping)
    opened = open_publisher(settings, log.world.engine, lambda: log.world.now)
    try:
        yield opened
    finally:
        opened.close()


def refusal_of(log: Published, policy: Policy) -> Refused:
    with pytest.raises(Refused) as raised, publisher_of(log, policy):
        pass
    return raised.value


def cosigners(log: Published) -> list[str]:
    """Who stands under the published checkpoint, beside the log itself."""
    note = log.files.published()
    assert note is not None
    names = [line.name.removesuffix(".example") for line in parse_note(note).lines]
    return [name for name in names if name in NAMES]


def shown_size(log: Published) -> int:
    note = log.files.published()
    return parse_checkpoint(parse_note(note).text).size if note else 0


def verifies(log: Published, policy: Policy) -> bool:
    return verify_bundle(Order(log.files.root, policy, int(time.time()))).ok


@contextmanager
def restored(log: Published, folder: Path) -> Iterator[Published]:
    """Yesterday's copy of the database; its files go elsewhere."""
    url = log.world.engine.url.render_as_string(hide_password=False)
    log.world.engine.dispose()
    with copied(url, folder) as copy:
        world = World(copy, start=log.world.now)
        yield published(world, folder / "restored")
        world.close()


def step(world: World, event: str, task: str = "T-1") -> None:
    known = world.recorder.task(task)
    assert known is not None
    world.do(known, event, role="officer")


def test_the_published_checkpoint_carries_the_cosignatures_that_a_policy_asks_for(
    log: Published, tmp_path: Path, stack: ExitStack
) -> None:
    watched = watch(tmp_path, stack)
    with publisher_of(log, watched.policy) as publisher:
        assert publisher.step() is not None
        assert cosigners(log) == ["east", "north", "south"]
        assert verifies(log, watched.policy)
        step(log.world, "confirm")
        watched.down.add("east")
        with capture_logs() as logs:
            assert publisher.step() is not None
        assert [line["witness"] for line in logs] == ["east"]
        assert cosigners(log) == ["north", "south"]
        assert verifies(log, watched.policy)
        step(log.world, "start")
        watched.down.add("north")
        assert publisher.step() is not None
        assert not verifies(log, watched.policy)
        assert publisher.step() is None
    check_sound(log)


def test_a_witness_that_was_silent_is_asked_again_though_nothing_happens(
    log: Published, tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "ASK_AGAIN_SECONDS", 0.0)
    watched = watch(tmp_path, stack)
    watched.down |= {"east", "south"}
    with publisher_of(log, watched.policy) as publisher:
        publisher.step()
        assert cosigners(log) == ["north"]
        watched.down -= {"east"}
        watched.down |= {"north"}
        assert publisher.step() is None
        # What the first one signed before stays.
        assert cosigners(log) == ["east", "north"]
        assert verifies(log, watched.policy)
        watched.down.clear()
        publisher.step()
        assert cosigners(log) == ["east", "north", "south"]


def test_a_checkpoint_of_an_idle_log_is_kept_young_for_those_who_ask_for_that(
    log: Published, tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(time.time())
    monkeypatch.setattr(publishing, "time", SimpleNamespace(monotonic=clock))
    watched = watch(tmp_path, stack, now=clock)
    policy = replace(watched.policy, max_age=3 * cosigning.REFRESH_SECONDS)
    with publisher_of(log, policy) as publisher:
        publisher.step()
        before = log.files.published()
        assert publisher.step() is None
        assert log.files.published() == before
        clock.now += cosigning.REFRESH_SECONDS + 1
        assert publisher.step() is None
        after = log.files.published()
        assert before is not None
        assert after is not None
        times = [max(t or 0 for t in check_checkpoint(note, policy, None).times.values())
                 for note in (before, after)]  # fmt: skip
        assert times[1] > times[0]


def test_what_witnesses_signed_is_not_lost_when_they_are_silent_at_the_next_start(
    log: Published, tmp_path: Path, stack: ExitStack
) -> None:
    watched = watch(tmp_path, stack)
    with publisher_of(log, watched.policy) as publisher:
        publisher.step()
    watched.down.update(NAMES)
    with publisher_of(log, watched.policy):
        assert cosigners(log) == ["east", "north", "south"]
    only = replace(
        watched.policy, witnesses=watched.policy.witnesses[:1], groups=(), quorum="north"
    )
    with publisher_of(log, only):
        assert cosigners(log) == ["north"]


def test_yesterdays_database_does_not_start_where_a_witness_remembers_today(
    log: Published, tmp_path: Path, stack: ExitStack
) -> None:
    watched = watch(tmp_path, stack)
    with publisher_of(log, watched.policy) as publisher:
        publisher.step()
        with restored(log, tmp_path) as old:
            step(log.world, "confirm")
            watched.down.add("south")
            publisher.step()
            refusal = refusal_of(old, watched.policy)
            size = len(log.world.rows())
            assert refusal.code == "witness_ahead"
            assert refusal.facts["witness"] in {"north", "east"}
            assert (refusal.facts["known"], refusal.facts["have"]) == (size, size - 1)
            assert old.files.published() is None
            old.world.random = Chance("another history")
            for at_least in (size, size + 1):
                step(old.world, "confirm" if at_least == size else "start")
                old.sequencer().turn()
                assert len(old.world.rows()) == at_least
                assert refusal_of(old, watched.policy).code == "witness_forked"
                assert old.files.published() is None


def test_a_witness_that_is_ahead_while_we_run_is_told_of_and_the_others_go_on(
    log: Published, tmp_path: Path, stack: ExitStack
) -> None:
    watched = watch(tmp_path, stack, quorum=1)
    watched.down |= {"north", "south"}
    with publisher_of(log, watched.policy) as publisher:
        with restored(log, tmp_path) as other, publisher_of(other, watched.policy) as elsewhere:
            step(other.world, "confirm")
            step(other.world, "start")
            elsewhere.step()
        watched.down = {"south"}
        with capture_logs() as logs:
            publisher.step()
        told = {line["witness"]: line["event"] for line in logs}
        assert told == {"east": "witness_ahead", "south": "witness_silent"}
        assert cosigners(log) == ["north"]
        assert verifies(log, watched.policy)


def test_a_policy_of_another_log_is_refused(log: Published) -> None:
    signer = Ed25519Cosigner("w.example", Ed25519PrivateKey.generate())
    other = [known.verifier for known in signers_of(origin="other.example/log")]
    policy = policy_of(other, witnesses=(Witness("w", signer.verifier),))
    assert refusal_of(log, policy).code == "policy_of_another_log"


class Pulled(BaseException):
    """The plug."""


def test_what_was_signed_before_a_crash_is_published_by_the_next_start(log: Published) -> None:
    def pull(point: str) -> None:
        if point == "publishing":
            raise Pulled

    settings = Sequencing(log.files.root, log.signing)
    publisher = open_publisher(settings, log.world.engine, lambda: log.world.now, pull)
    with pytest.raises(Pulled):
        publisher.step()
    assert log.files.published() is None
    with publisher_of(log):
        assert shown_size(log) == len(log.world.rows())
    check_sound(log)


def test_what_could_not_be_written_is_published_when_there_is_room_again(log: Published) -> None:
    with publisher_of(log) as publisher:
        log.files.root.mkdir()
        (log.files.root / "checkpoint").mkdir()
        with pytest.raises(OSError, match="checkpoint"):
            publisher.step()
        (log.files.root / "checkpoint").rmdir()
        assert publisher.step() is None
        assert shown_size(log) == len(log.world.rows())


def test_the_last_turn_publishes_and_raises_nothing(log: Published) -> None:
    with publisher_of(log) as publisher:
        publish_last(publisher)
    assert shown_size(log) == len(log.world.rows())
    with publisher_of(log) as publisher:
        step(log.world, "confirm")
        shutil.rmtree(log.files.root)
        log.files.root.write_text("no folder")
        with capture_logs() as logs:
            publish_last(publisher)
        assert [line["event"] for line in logs] == ["sequencing_hindered"]


async def until_shown(log: Published, size: int) -> float:
    """Wait until the log is published with so many entries: how long that took."""
    start = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        while shown_size(log) < size:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.02)
    return time.monotonic() - start


async def test_what_hinders_is_said_once_and_tried_again(
    log: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "TURN_SECONDS", 0.01)
    with publisher_of(log) as publisher, capture_logs() as logs:
        turns: Queue[Callable[[], object]] = Queue()

        def turn(step: Callable[[], object] = publisher.step) -> object:
            turns.put(step)
            return step()

        monkeypatch.setattr(publisher, "step", turn)
        log.files.root.write_text("no folder")
        task = asyncio.create_task(publishing.keep_publishing(publisher))
        for _ in range(5):  # when the fifth begins, four have failed
            await asyncio.to_thread(turns.get, timeout=PATIENCE)
        assert [line["event"] for line in logs] == ["sequencing_hindered"]
        log.files.root.unlink()
        await until_shown(log, len(log.world.rows()))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    check_sound(log)


def test_a_checkpoint_is_stamped_now_and_then_and_the_stamp_goes_into_the_bundle(
    log: Published, tmp_path: Path
) -> None:
    root = certify("Root", key("p256"), extensions=authority_of())
    openssl = Openssl(tmp_path, certify("TSA", key("p256", 1), root))
    asked: list[bytes] = []

    def answer(body: bytes, _: BaseHTTPRequestHandler) -> Answer:
        asked.append(body)
        return Answer([b""], status=503) if len(asked) == 1 else Answer([openssl.reply(body)])

    with authority_served(answer) as url:
        stamping = Stamping(url, (root.certificate,))
        with publisher_of(log, stamping=stamping) as publisher:
            publisher.step()
            step(log.world, "confirm")
            # One that failed is left alone for a while: it would delay each checkpoint.
            publisher.step()
            assert len(asked) == 1
        with publisher_of(log, stamping=stamping) as publisher:
            step(log.world, "start")
            publisher.step()
            size = shown_size(log)
            assert len(asked) == 2
            log.world.assigned("T-2")
            publisher.step()
    target = tmp_path / "log.zip"
    with log.world.engine.connect() as connection:
        stamped = tree.last_stamped(connection, shown_size(log))
        assert tree.last_stamped(connection, size - 1) is None
        source = open_source(connection, log.files)
        export_log(source, target, words=False, policy=None, progress=lambda *_: None)
    assert stamped is not None
    assert stamped[0].size == size < shown_size(log)
    text = parse_note(stamped[0].note).text.encode()
    assert check_token(stamped[1], text, [root.certificate]).authority == "CN=TSA,C=VN"
    report = verify_bundle(Order(target, log.policy, None, roots=(root.certificate,)))
    assert report.ok, report.report.findings
    assert report.stamped is not None
    assert report.stamped.size == size


def test_new_checkpoint_keys_sign_from_their_entries_on_and_an_old_trust_file_follows(
    log: Published,
) -> None:
    world, policy = log.world, policy_of()
    new, new_pq = key_of("new"), pq_key_of("new")
    assert isinstance(new.unwrapped, Ed25519PrivateKey)
    assert isinstance(new_pq.unwrapped, MLDSA44PrivateKey)
    with publisher_of(log) as publisher:
        publisher.step()
        known = log.files.published()
        assert known is not None
        world.rotate("checkpoint", new)
        # The service has not got the new key yet: it signs nothing, and says so.
        with pytest.raises(Refused, match="key_not_held"):
            publisher.step()
        world.checkpoint_keys = replace(world.checkpoint_keys, ed25519=new.unwrapped)
        publisher.step()
        world.rotate("checkpoint_pq", new_pq)
        world.checkpoint_keys = replace(world.checkpoint_keys, mldsa=new_pq.unwrapped)
        publisher.step()
        assert shown_size(log) == len(world.rows())
    note = log.files.published()
    assert note is not None
    with pytest.raises(Malformed, match="checkpoint_signature_missing"):
        check_checkpoint(note, policy, None)
    report = verify_bundle(Order(log.files.root, policy, None, known=(known,)))
    assert report.ok, report.report.findings
    with publisher_of(log):
        check_sound(replace_policy(log, policy))


def replace_policy(log: Published, policy: Policy) -> Published:
    """The same, checked with the trust file of another day."""

    class Trusted(Published):
        @property
        def policy(self) -> Policy:
            return policy

    return Trusted(log.world, log.files)


async def test_a_service_publishes_each_step_in_about_two_seconds_and_the_last_when_it_ends(
    log: Published, temporal_server: TemporalServer
) -> None:
    world = log.world
    client = await connect(temporal_server.address)
    settings = Sequencing(log.files.root, log.signing)
    # Of its own queue and its own task: the server is shared by the tests.
    world.assigned("P-1")
    async with running(world, client, sequencing=settings, task_queue="publisher-1") as service:
        task = service.service.recorder.task("P-1")
        assert task is not None
        task = await service.do(task, "confirm", role="officer")
        task = await service.do(task, "start", role="officer")
        took = [PATIENCE]
        while min(took) >= 4 and len(took) < 6:  # a busy machine may need a second chance
            task = await service.do(task, "report", {"summary": "Một nửa"}, role="officer")
            took.append(await until_shown(log, len(world.rows())))
        assert min(took) < 4
        await service.do(task, "report", {"summary": "Gần xong"}, role="officer")
        accepted = len(world.rows())
    assert shown_size(log) >= accepted
    # The clock, which has months to make up for here, may have recorded more while it ended.
    sequencer = log.sequencer()
    if signed := sequencer.turn():
        sequencer.publish(signed.note)
    check_sound(log)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_two_services_on_one_database_publish_one_log(
    database_url: str, temporal_server: TemporalServer, tmp_path: Path
) -> None:
    world = World(database_url)
    for number in range(3):
        world.assigned(f"Q-{number}")
    logs = [published(world, tmp_path / name) for name in ("one", "two")]
    settings = [Sequencing(log.files.root, log.signing) for log in logs]
    clients = [await connect(temporal_server.address) for _ in logs]
    async with (
        running(world, clients[0], sequencing=settings[0], task_queue="publisher-2") as first,
        running(world, clients[1], sequencing=settings[1], task_queue="publisher-2") as second,
    ):
        for number, service in enumerate((first, second, first)):
            task = service.service.recorder.task(f"Q-{number}")
            assert task is not None
            task = await service.do(task, "confirm", role="officer")
            await asyncio.sleep(0.3)
            await service.do(task, "start", role="officer")
        for log in logs:
            await until_shown(log, len(world.rows()))
    check_sound(logs[0])
    check_same_line(logs[0], logs[1].files.root)
    world.close()
