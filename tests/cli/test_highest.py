"""The highest level of secrecy at every door of a served log: refused, and no trace left of it."""

import http.client
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle, product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog

from activities.queue import RecorderQueue
from activities.recorder import Handed
from activities.steps import StepActivities
from audit.commitment import Opening
from audit.entry import open_command
from audit.signing import seal, sign_command
from audit.submission import Submission, format_submission
from cli import status
from domain.refusal import Refused
from domain.refused import SUMMED
from domain.secrecy import refuse_highest
from gateway.composing import compose
from messages import LANGUAGES
from tests.cli.shell import Shell, utc_now
from tests.intake.building import ROW, csv_text, sheet, workbook
from tests.support.canary import Canary
from tests.support.patience import PATIENCE
from tests.support.refusals import refused, stated
from tests.support.world import HEADER, World, key_of
from workflows.messages import RecordStep

CANARY = Canary("of the highest level")
MARKINGS = ("tuyet_mat", "tuyệt mật", "TUYỆT MẬT", "Độ mật: Tuyệt mật", "highest_secrecy",
            "absolute-secret", "ｔｕｙệｔ ｍậｔ")  # fmt: skip
INVISIBLE = "TUYỆT\u200bMẬT"
OWN = {"tuyệt mật", "TUYỆT MẬT", "Độ mật: Tuyệt mật"}
"""What our own sentence says by itself."""
FORBIDDEN = {"refused": "secrecy_forbidden", "facts": {}}


@pytest.fixture(name="kept")
def _kept(served: Shell) -> Iterator[Shell]:
    """A served log with a task; afterwards nobody may find the words anywhere."""
    served.world.registered("T-1", issued_on="2026-02-27", due_on=None)
    entries = len(served.world.rows())
    yield served
    kept = refused(served.world)
    summed = stated(served.world, SUMMED)
    assert len(served.world.rows()) == entries + len(kept) + len(summed)
    # Of such a command the log keeps that there was one, and nothing else.
    for each in kept:
        assert {name for name, value in each.items() if value is not None} == {"at", "code"}
    assert CANARY.tables(served.world.engine) == set()
    assert CANARY.files(served.home.path) == []
    assert not served.home.receipts.exists()


def signed(world: World, level: str, **arguments: Any) -> Submission:
    """A registration of this level as a client of somebody else's would sign it."""
    plain = world.submission(
        "T-9", "register", {**HEADER, "document_title": CANARY.words}, role="office",
        issued_at=utc_now(),
    )  # fmt: skip
    statement = open_command(plain.command)
    given: Any = statement.predicate["arguments"]
    predicate = {
        **{name: value for name, value in statement.predicate.items() if name != "key"},
        "arguments": {**given, "secrecy": level, "issuer": CANARY.words, **arguments},
    }
    return Submission(
        sign_command(statement.subject, predicate, key_of("vp.office")), plain.openings
    )


def post(shell: Shell, body: bytes) -> Mapping[str, Any]:
    running = shell.home.read_running()
    assert running is not None
    address = urlsplit(running.door)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE)
    connection.request("POST", "/commands", body)
    answer: Mapping[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


BODIES: Mapping[str, Callable[[World, str], bytes]] = {
    "a signed command": lambda world, level: format_submission(signed(world, level)),
    "another field": lambda world, level: format_submission(signed(world, "secret", symbol=level)),
    "an unknown field": lambda world, level: format_submission(
        signed(world, "normal", classification=level)
    ),
    "words": lambda world, level: format_submission(
        Submission(signed(world, "normal").command, (Opening("title", level, b"s" * 32),))
    ),
    "no submission": lambda _, level: json.dumps(
        {"secrecy": f"văn bản {level}", "title": CANARY.words}
    ).encode(),
    "a payload that is no statement": lambda _, level: format_submission(
        Submission(seal(json.dumps([CANARY.words, level]).encode(), key_of("vp.office")))
    ),
    "a form": lambda _, level: f"secrecy={level}&title={CANARY.words}".encode(),
}


@pytest.mark.parametrize("body", BODIES)
def test_the_door_turns_it_down_in_every_shape(
    kept: Shell, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # What is signed has a canonical form, and that has no invisible characters.
    raw = (INVISIBLE,) if body in {"no submission", "a form"} else ()
    with structlog.testing.capture_logs() as logs:
        for level in (*MARKINGS, *raw):
            assert post(kept, BODIES[body](kept.world, level)) == FORBIDDEN
    assert not CANARY.in_bytes(f"{logs} {caplog.text}".encode())


async def test_so_do_the_recorder_and_the_step_that_came_through_temporal(kept: Shell) -> None:
    queue = RecorderQueue(kept.world.recorder, lambda _recorded, _asker: None)
    activities = StepActivities(kept.world.recorder, queue, utc_now)
    for level in MARKINGS:
        submission = signed(kept.world, level)
        answer = kept.world.recorder.record([Handed(submission, utc_now())])[0]
        assert isinstance(answer, Refused)
        assert (answer.code, answer.facts) == ("secrecy_forbidden", {})
        for text in (format_submission(submission).decode(), f'{{"secrecy": "{level}"}}', level):
            told = await activities.record_step(RecordStep("T-9", text))
            assert (told.refused, told.facts, told.entry) == ("secrecy_forbidden", {}, None)
    queue.stop()


def test_nobody_can_compose_it(kept: Shell) -> None:
    world = kept.world
    for level in (*MARKINGS, INVISIBLE):
        for change in ({"secrecy": level}, {"title": level}, {"coordinators": [level]}):
            given = {**HEADER, **change, "summary": CANARY.words}
            with pytest.raises(Refused, match="secrecy_forbidden") as refused:
                compose(world.origin, "T-9", "register", given, world.people["office"], utc_now())
            assert refused.value.facts == {}


@pytest.mark.parametrize(
    "words",
    [
        ("task", "list", "--state", "{level}"),
        ("task", "list", "--secrecy={level}", "{canary}"),
        ("task", "show", "{level}", "--as", "{canary}"),
        ("task", "urge", "T-1", "--channel", "phone", "--note", "{level}", "--as", "ttt.monitor"),
        ("task", "recall", "{canary}", "--reason={level}", "--receipt", "{canary}"),
        ("task", "{level}", "{canary}"),
        ("{level}", "{canary}"),
        ("import", "{canary}", "{level}"),
    ],
)
def test_the_command_repeats_nothing_of_what_it_was_given(
    kept: Shell, words: tuple[str, ...]
) -> None:
    for level, language in product((*MARKINGS, INVISIBLE), LANGUAGES):
        given = [word.format(level=level, canary=CANARY.words) for word in words]
        assert kept(*given, language=language) == status.REFUSED
        said = kept.said + kept.complained
        assert not CANARY.in_bytes(said.encode())
        assert ("Art. 5" if language == "en" else "Điều 5") in said
        assert kept.json(*given)["refused"] == "secrecy_forbidden"
        assert level in OWN or level not in kept.said


def yaml_text(level: str) -> bytes:
    return (
        "documents:\n  - number: '1'\n    symbol: CT\n    issued_on: 2026-01-05\n"
        f"    issuer: {CANARY.words}\n    secrecy: '{level}'\n    document_title: {CANARY.words}\n"
        f"    tasks:\n      - title: {CANARY.words}\n        lead: snv\n        monitor: ttt\n"
    ).encode()


def cells(level: str) -> list[list[Any]]:
    other = dict.fromkeys(("title", "document_title", "issuer", "lead"), CANARY.words)
    return sheet(ROW, {**ROW, **other, "number": "13", "secrecy": level})


FILES: Mapping[str, tuple[Callable[[str], bytes], int]] = {
    "a.yaml": (yaml_text, 6),
    "a.yml": (yaml_text, 6),
    "a.xlsx": (lambda level: workbook(cells(level)), 3),
    "a.csv": (lambda level: csv_text(cells(level)).encode("utf-8-sig"), 3),
    "b.csv": (lambda level: csv_text(cells(level), ";").encode(), 3),
    "c.csv": (lambda level: csv_text(cells(level), "\t").encode(), 3),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_refused_whole_and_its_row_named_by_number(
    kept: Shell, tmp_path: Path, name: str
) -> None:
    made, row = FILES[name]
    folder = tmp_path / "in"
    folder.mkdir()
    for level, check in zip(MARKINGS, cycle([(), ("--check",)]), strict=False):
        file = folder / name
        file.write_bytes(made(level))
        assert kept.json("import", str(file), *check) == {
            "refused": "secrecy_forbidden",
            "facts": {"row": row},
            "text": kept_text(kept),
        }
        for language in LANGUAGES:
            assert kept("import", str(file), *check, language=language) == status.REFUSED
            said = kept.said + kept.complained
            assert f"{'row' if language == 'en' else 'dòng'} {row}" in said
            assert not CANARY.in_bytes(said.encode())
            assert level in OWN or level not in said
    assert [task["id"] for task in kept.json("task", "list")] == ["T-1"]


def kept_text(shell: Shell) -> str:
    text: str = json.loads(shell.said)["text"]
    return text


def test_words_about_such_documents_are_no_marking() -> None:
    refuse_highest({"title": "Rà soát việc bảo quản văn bản tuyệt mật", "secrecy": "secret"})
    with pytest.raises(Refused, match="secrecy_forbidden"):
        refuse_highest({"secrecy": ["văn bản tuyệt mật"]})
