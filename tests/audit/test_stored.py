"""The verifier by itself: its report, its manners with hostile input, and its judge."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.canonical import canonical
from audit.stored import Check, Report, Stored, verify
from domain.refusal import Refused
from domain.replay import Replay
from store.ledger import Row
from tests.support.forging import audit, audit_with_read_model, with_bytes
from tests.support.world import ORIGIN, START, World, key_of


@dataclass(frozen=True)
class Loose:
    """A stored entry in which anything may stand in any column."""

    chain: Any
    seq: Any
    prev: Any
    leaf: Any
    command: Any
    data: Any


def judged(entries: Any, judge: Any = lambda *_: None) -> Report:
    return verify(
        entries,
        origin=ORIGIN,
        log_key=key_of("log").public,
        openings=lambda _leaf: {},
        judge=judge,
    )


@pytest.fixture(scope="module", name="rows")
def _rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Row]]:
    world = World(f"sqlite:///{tmp_path_factory.mktemp('log') / 'log.sqlite'}")
    for number in range(60):
        world.registered(f"D1-{number}")
    yield world.rows()
    world.close()


def test_an_empty_log_is_sound_and_says_so() -> None:
    report = judged([])
    assert report.ok
    assert (report.entries, report.chains, report.first) == (0, 0, None)


def test_the_numbers_of_the_checks_never_change() -> None:
    assert [(int(check), check.name) for check in Check] == [
        (1, "FORM"),
        (2, "RECORD_SIGNATURE"),
        (3, "COMMAND_SIGNATURE"),
        (4, "BINDING"),
        (5, "CHAIN"),
        (6, "ONCE"),
        (7, "OPENINGS"),
        (8, "RULES"),
        (9, "READ_MODEL"),
        (10, "TREE"),
        (11, "CHECKPOINT"),
        (12, "HEADS"),
    ]


def test_progress_is_told_on_the_way_and_at_the_end(rows: list[Row]) -> None:
    seen: list[int] = []
    several = rows * 20
    verify(
        several,
        origin=ORIGIN,
        log_key=key_of("log").public,
        openings=lambda _leaf: {},
        judge=lambda *_: None,
        progress=seen.append,
    )
    assert seen[0] == 500
    assert seen[-1] == len(several)


def test_the_judge_hears_each_entry_once_and_in_order(rows: list[Row]) -> None:
    heard: list[tuple[str, str]] = []
    report = judged(
        rows, lambda chain, _header, leaf, _command, _record: heard.append((chain, leaf))
    )
    assert report.ok
    assert heard == [(row.chain, row.leaf) for row in rows]


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), RecursionError(), TypeError()])
def test_a_judge_that_stumbles_is_a_finding_and_no_traceback(
    rows: list[Row], error: Exception
) -> None:
    def stumbling(*_: object) -> None:
        raise error

    report = judged(rows, stumbling)
    assert report.first is not None
    assert (report.first.check, report.first.code) == (Check.RULES, "judge_failed")
    assert type(error).__name__ in report.first.detail


def test_findings_are_kept_up_to_a_limit_and_all_are_counted(rows: list[Row]) -> None:
    broken = [replace(row, prev="f" * 64) if row.chain != "directory" else row for row in rows]
    report = judged(broken)
    assert len(report.findings) == 50
    assert len(report.broken) == 60
    assert report.chains == 61
    assert report.first is not None
    assert report.first.chain == "D1-0"


def test_a_finding_reads_like_a_sentence(rows: list[Row]) -> None:
    report = judged([*rows[:3], *rows[4:]])
    assert str(report.first) == (
        "check 5: entry_missing: directory entry 4: entry 5 stands where 4 should"
    )


def test_another_log_key_fits_nothing(rows: list[Row]) -> None:
    report = verify(
        rows,
        origin=ORIGIN,
        log_key=key_of("stranger").public,
        openings=lambda _leaf: {},
        judge=Replay(),
    )
    assert report.first is not None
    assert report.first.check is Check.RECORD_SIGNATURE
    assert report.passed[Check.FORM] == 0


def test_without_its_directory_no_task_can_be_checked(rows: list[Row]) -> None:
    report = judged([row for row in rows if row.chain != "directory"])
    assert report.first is not None
    assert report.first.code == "log_not_founded"
    assert report.heads == {}


ANYTHING = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=80)


@given(st.lists(st.builds(Loose, *([ANYTHING] * 6)), max_size=5))
@settings(max_examples=200)
def test_whatever_stands_in_the_table_the_answer_is_a_report(entries: list[Stored]) -> None:
    report = judged(entries)
    assert report.ok == (not entries)
    assert report.entries == len(entries)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("aé01", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["command", "record", "v", "payload", "payloadType", "signatures", "sig"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_canonical_bytes_that_are_no_entry_are_findings(value: Any) -> None:
    data = canonical(value)
    report = judged([Row("D1-1", 1, "0" * 64, "0" * 64, "0" * 32, data)])
    assert report.first is not None
    assert report.first.check is Check.FORM


def test_the_same_log_on_postgresql_verifies_alike(database_url: str, tmp_path: Path) -> None:
    world = World(database_url)
    world.done()
    here = audit(world)
    world.close()
    other = World(f"sqlite:///{tmp_path / 'other.sqlite'}")
    other.done()
    there = audit(other)
    other.close()
    assert here.ok
    assert here == there


def test_bytes_may_come_as_a_memoryview(rows: list[Row]) -> None:
    entries: Any = [replace(row, data=memoryview(row.data)) for row in rows]  # type: ignore[arg-type]
    assert judged(entries).ok


def test_a_huge_entry_is_refused_by_its_size(rows: list[Row]) -> None:
    report = judged([with_bytes(rows[0], b"[" * 70_000)])
    assert report.first is not None
    assert report.first.code == "entry_too_large"


EVENTS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("transfer", {}, "office"),
    ("confirm", {}, "officer"),
    ("dispute", {"reason": "Sai đầu mối"}, "officer"),
    ("keep", {"reason": "Đúng"}, "office"),
    ("correct", {"reason": "Sửa", "due_on": "2026-09-30"}, "office"),
    ("reassign", {"reason": "Chuyển", "lead": "sxd"}, "office"),
    ("start", {}, "officer"),
    ("report", {"summary": "Đang làm", "percent": 40}, "officer"),
    ("endorse", {"item": "report"}, "approver"),
    ("ask_extension", {"reason": "Chậm", "due_on": "2026-12-31"}, "officer"),
    ("endorse", {"item": "extension"}, "approver"),
    ("grant_extension", {}, "office"),
    ("submit", {"summary": "Xong", "evidence": ["0" * 64]}, "both_officer"),
    ("send_back", {"reason": "Thiếu"}, "approver"),
    ("approve", {}, "both_approver"),
    ("approve", {"note": "Tốt"}, "approver"),
    ("evaluate", {"rating": "met"}, "monitor"),
    ("explain", {"reason": "Mưa bão"}, "officer"),
    ("urge", {"channel": "phone"}, "monitor"),
    ("confirm", {}, "other_officer"),
)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3), st.sampled_from(EVENTS), st.integers(0, 60), st.integers(0, 23)
        ),
        min_size=20,
        max_size=60,
    )
)
@settings(max_examples=25)
def test_whatever_the_recorder_has_recorded_verifies(
    steps: list[tuple[int, tuple[str, dict[str, Any], str], int, int]],
) -> None:
    world = World("sqlite://")
    standing = {"due_on": None, "updates": {"every": "month", "before_day": 10}}
    for number in (1, 2, 3):
        world.assigned(f"D1-{number}", **(standing if number == 3 else {}))
    recorded = 0
    for number, (event, arguments, role), days, behind in steps:
        world.forward(hours=days * 8)
        task = world.recorder.task(f"D1-{number}")
        assert task is not None
        # Some stood at the door for hours before they were recorded, if the log is that old.
        received = max(world.now - timedelta(hours=behind), START)
        with suppress(Refused):
            world.do(task, event, arguments, role=role, received_at=received)
            recorded += 1
    report = audit_with_read_model(world)
    rows = len(world.rows())
    world.close()
    assert report.findings == ()
    assert report.entries == rows >= 12 + 6 + recorded
