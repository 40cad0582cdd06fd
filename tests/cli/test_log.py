"""What an auditor and an operator do: verify, rebuild, rehydrate."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from embedded.keyring import save_public
from store.engine import writing
from tests.cli.shell import Make, Shell
from tests.support.world import key_of

MARCH = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


@pytest.fixture(name="kept")
def _kept(make_shell: Make) -> Shell:
    """A log with two tasks."""
    shell = make_shell(MARCH)
    shell.world.in_progress("D1-1")
    shell.world.assigned("D1-2")
    return shell


def tamper(shell: Shell, statement: str, **values: object) -> None:
    with writing(shell.world.engine) as connection:
        connection.execute(text("DROP TRIGGER entry_no_update"))
        connection.execute(text(statement), values)


def test_a_sound_log_passes_every_numbered_check(kept: Shell) -> None:
    assert kept("audit", "verify") == 0
    lines = kept.said.splitlines()
    assert [line[2:4] for line in lines[:12]] == [f"{n:>2}" for n in range(1, 13)]
    assert {line[0] for line in lines[:9]} == {"✓"}
    assert {line[0] for line in lines[9:12]} == {"–"}, "no tree and no statement is there yet"
    assert all(line.endswith("chưa kiểm tra gì") for line in lines[9:12])
    assert "Nhật ký nguyên vẹn" in lines[-1]
    assert kept("audit", "verify", "--quiet") == 0
    assert len(kept.said.splitlines()) == 1
    report = kept.json("audit", "verify")
    assert report["ok"]
    assert report["passed"]["rules"] == report["entries"] == len(kept.world.rows())


def test_a_changed_byte_is_named_and_the_status_is_1(kept: Shell) -> None:
    row = kept.world.chain("D1-1")[2]
    changed = bytes([row.data[0], row.data[1] ^ 1]) + row.data[2:]
    tamper(kept, "UPDATE entry SET data = :data WHERE leaf = :leaf", data=changed, leaf=row.leaf)
    assert kept("audit", "verify") == 1
    assert f"Mục hỏng đầu tiên: D1-1, mục 3, {row.leaf[:12]}" in kept.said
    report = kept.json("audit", "verify")
    assert kept.status == 1
    first = report["findings"][0]
    assert (first["chain"], first["seq"], first["leaf"]) == ("D1-1", 3, row.leaf)


def test_a_screen_that_says_something_else_is_found_and_rebuilt(kept: Shell) -> None:
    with writing(kept.world.engine) as connection:
        connection.execute(text("UPDATE task SET state = 'done' WHERE id = 'D1-2'"))
    assert kept("audit", "verify", language="en") == 1
    assert "D1-2" in kept.said
    assert "9 row_differs" in kept.said
    assert kept.json("rebuild") == {
        "entries": len(kept.world.rows()), "tasks": 2, "agencies": 4,
    }  # fmt: skip
    assert kept("audit", "verify") == 0


def test_another_key_or_name_verifies_nothing(kept: Shell, tmp_path: Path) -> None:
    other = tmp_path / "other.pub"
    save_public(other, key_of("another log").public)
    assert kept("audit", "verify", "--log-key", str(other)) == 1
    assert kept("audit", "verify", "--origin", "another.example/log") == 1
    assert "other_log" in kept.said
    assert kept("audit", "verify", "--log-key", str(tmp_path / "none.pub")) == 1


def test_the_log_key_is_printed_for_who_needs_it(kept: Shell) -> None:
    shown = kept.json("audit", "key")
    assert shown["origin"] == kept.world.origin
    assert shown["fingerprint"] == kept.world.keys.log.public.id
    assert kept("audit", "key") == 0
    assert "BEGIN PUBLIC KEY" in kept.said


def test_rebuild_fills_an_empty_read_model(kept: Shell) -> None:
    with writing(kept.world.engine) as connection:
        connection.execute(text("DELETE FROM task"))
    assert kept.json("task", "list") == []
    assert kept("rebuild") == 0
    assert [task["id"] for task in kept.json("task", "list")] == ["D1-2", "D1-1"]


def test_a_broken_log_is_not_rebuilt(kept: Shell) -> None:
    tamper(kept, "UPDATE entry SET seq = 9 WHERE chain = 'D1-1' AND seq = 4")
    before = kept.json("task", "list")
    tamper_again = "UPDATE entry SET data = :data WHERE chain = 'D1-2' AND seq = 2"
    with writing(kept.world.engine) as connection:
        connection.execute(text(tamper_again), {"data": kept.world.chain("D1-2")[0].data})
    assert kept("rebuild") == 1
    assert "audit verify" in kept.complained
    assert kept.json("task", "why", "D1-2")["refused"] == "log_broken"
    assert kept.json("task", "list") == before


def test_rehydrate_needs_a_temporal_that_answers(
    kept: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept.json("rehydrate")["refused"] == "not_running"
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert kept.json("rehydrate")["refused"] == "temporal_unreachable"
    assert kept.status == 1
