"""`dondoc audit reconcile` as an operator types it, on a real Temporal; no worker is needed."""

import pytest
from sqlalchemy import text

from activities.recorder import Recorded
from cli import status
from domain.attestation import DIFFERENCES
from messages import LANGUAGES
from store import tree
from store.engine import writing
from tests.cli.shell import Shell
from tests.support.temporal import TemporalServer

RECONCILE = ("audit", "reconcile")


@pytest.fixture(name="kept")
def _kept(shell: Shell, temporal_server: TemporalServer, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A log with one task that no workflow knows of yet. The name is the test's own: the server is
    shared.
    """
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_server.address)
    shell.world.registered(name(shell), issued_on="2026-02-27", due_on=None)
    with writing(shell.world.engine) as connection:
        tree.sequence(connection, 1_000)
    return shell


def name(shell: Shell) -> str:
    return f"R-{abs(hash(str(shell.home.path)))}"


def own(shell: Shell, differences: list[dict[str, str]]) -> list[str]:
    """The kinds of difference about this test's task."""
    return [each["kind"] for each in differences if each["subject"] == name(shell)]


def test_differences_are_an_alarm_and_are_repaired_when_asked(kept: Shell) -> None:
    with writing(kept.world.engine) as connection:
        connection.execute(text("UPDATE task SET state = 'done'"))
    found = kept.json(*RECONCILE)
    assert kept.status == status.REFUSED
    assert not found["ok"]
    assert own(kept, found["differences"]) == ["row_differs", "workflow_missing"]
    assert set(found["counts"]) == set(DIFFERENCES)
    assert found["size"] == len(kept.world.rows())
    repaired = kept.json(*RECONCILE, "--repair")
    assert own(kept, repaired["differences"]) == ["row_differs", "workflow_missing"]
    assert repaired["repaired"]["rows"] == 1
    assert own(kept, repaired["remaining"]["differences"]) == []
    assert kept.json("task", "list")[0]["state"] == "registered"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_difference_is_a_sentence_with_its_task(kept: Shell, language: str) -> None:
    assert kept(*RECONCILE, language=language) == status.REFUSED
    line = next(line for line in kept.said.splitlines() if line.startswith(name(kept)))
    assert line.endswith("[workflow_missing]")
    assert "difference_" not in kept.said
    assert kept(*RECONCILE, "--repair", "--terminate-foreign", language=language) == status.DONE
    assert kept(*RECONCILE, language=language) == status.DONE


def test_the_last_recorded_reconciliation_needs_no_server(shell: Shell) -> None:
    assert shell.json(*RECONCILE, "--last")["refused"] == "never_reconciled"
    counts = dict.fromkeys(DIFFERENCES, 0)
    arguments = {"size": 9, "tasks": 1, "workflows": 1, "differences": counts}
    assert isinstance(shell.world.attest("reconciled", arguments), Recorded)
    assert shell(*RECONCILE, "--last", language="en") == status.DONE
    assert "Compared 9 entries" in shell.said
    shell.world.forward(hours=1)
    worse = {**arguments, "differences": {**counts, "row_differs": 2, "workflow_ahead": 1}}
    shell.world.attest("reconciled", worse)
    assert shell(*RECONCILE, "--last", language="en") == status.REFUSED
    assert "3 differences." in shell.said
    assert "[workflow_ahead]" in shell.said
    shown = shell.json(*RECONCILE, "--last")
    assert (shown["seq"], shown["differences"]) == (2, worse["differences"])


def test_it_needs_a_temporal_that_answers_and_a_log_that_can_be_read(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell.json(*RECONCILE)["refused"] == "not_running"
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert shell.json(*RECONCILE)["refused"] == "temporal_unreachable"


def test_a_broken_log_is_not_compared(kept: Shell) -> None:
    with writing(kept.world.engine) as connection:
        connection.execute(text("DROP TRIGGER entry_no_update"))
        statement = text("UPDATE entry SET data = X'7b7d' WHERE chain = :task")
        connection.execute(statement, {"task": name(kept)})
    assert kept.json(*RECONCILE)["refused"] == "log_broken"


@pytest.mark.parametrize(
    "options", [("--last", "--repair"), ("--last", "--terminate-foreign"), ("--terminate-foreign",)]
)
def test_options_that_contradict_each_other_are_misuse(
    shell: Shell, options: tuple[str, ...]
) -> None:
    assert shell(*RECONCILE, *options) == status.MISUSE
