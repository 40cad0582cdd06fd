"""Steps taken by the command, through a real door, signed with a person's own key file."""

from pathlib import Path

import pytest

from audit.entry import leaf_hash
from embedded.home import Running
from embedded.keyring import person_path, save_key, save_public
from tests.cli.shell import Shell
from tests.support.world import key_of

SO_NOI_VU = ("--as", "snv.officer")
APPROVER = ("--as", "snv.approver")
OFFICE = ("--as", "vp.office")


def assigned(shell: Shell, task: str = "D1-1", **header: object) -> None:
    fields = {"issued_on": "2026-02-27", "due_on": None, **header}
    shell.world.assigned(task, **fields)


def ok(shell: Shell, *words: str) -> str:
    assert shell(*words) == 0, shell.complained
    return shell.said


def refused(shell: Shell, *words: str) -> str:
    """The code of a refusal, after a look at its sentence."""
    assert shell(*words) == 1, shell.said
    told = shell.complained
    assert told.strip().endswith((".", ")"))
    assert "Traceback" not in told
    answer = shell.json(*words)
    assert set(answer) == {"refused", "facts", "text"}
    assert answer["text"] == told.strip()
    assert shell.status == 1
    return str(answer["refused"])


def test_a_task_walks_from_assigned_to_done(served: Shell, tmp_path: Path) -> None:
    assigned(served)
    evidence = tmp_path / "biên bản.pdf"
    evidence.write_bytes(b"%PDF-1.7 evidence")
    said = ok(served, "task", "confirm", "D1-1", *SO_NOI_VU)
    assert "Tiếp nhận nhiệm vụ: D1-1 nay “đã tiếp nhận”." in said
    ok(served, "task", "start", "D1-1", *SO_NOI_VU)
    ok(served, "task", "report", "D1-1", *SO_NOI_VU, "--summary", "Nửa việc", "--percent", "50")
    ok(served, "task", "endorse", "D1-1", *APPROVER, "--item", "report")
    ok(served, "task", "submit", "D1-1", *SO_NOI_VU, "--summary", "Xong",
       "--file", str(evidence))  # fmt: skip
    ok(served, "task", "approve", "D1-1", *APPROVER)
    shown = served.json("task", "show", "D1-1")
    assert (shown["state"], shown["timeliness"]) == ("done", "on_time")
    ok(served, "task", "evaluate", "D1-1", "--as", "ttt.monitor", "--rating", "met")
    ok(served, "audit", "verify")


def test_a_disputed_task_is_reassigned_and_goes_on_elsewhere(served: Shell) -> None:
    assigned(served)
    ok(served, "task", "dispute", "D1-1", *SO_NOI_VU, "--reason", "Không thuộc thẩm quyền")
    ok(served, "task", "reassign", "D1-1", *OFFICE, "--lead", "sxd", "--reason", "Đúng việc")
    assert refused(served, "task", "confirm", "D1-1", *SO_NOI_VU) == "other_agency"
    answer = served.json("task", "confirm", "D1-1", "--as", "sxd.officer")
    assert (answer["from"], answer["to"]) == ("assigned", "confirmed")
    assert answer["next_deadline"]["clock"] in {"dispute", "update"}


def test_the_receipt_is_the_entry_itself(served: Shell, tmp_path: Path) -> None:
    assigned(served)
    file = tmp_path / "receipt.json"
    answer = served.json("task", "confirm", "D1", *SO_NOI_VU, "--receipt", str(file))
    row = served.world.chain("D1-1")[-1]
    assert file.read_bytes() == row.data
    assert answer["leaf"] == row.leaf == leaf_hash(row.data)


def test_a_wrong_state_says_what_is_possible(served: Shell) -> None:
    assigned(served)
    assert refused(served, "task", "start", "D1-1", *SO_NOI_VU) == "wrong_state"
    assert (
        "confirm (Tiếp nhận nhiệm vụ)" in served.json("task", "start", "D1-1", *SO_NOI_VU)["text"]
    )


def test_a_wrong_or_ambiguous_id_is_refused(served: Shell) -> None:
    assigned(served)
    assigned(served, "D1-2")
    assert refused(served, "task", "confirm", "zzz", *SO_NOI_VU) == "unknown_task"
    assert refused(served, "task", "confirm", "D1", *SO_NOI_VU) == "ambiguous_task"
    assert "D1-1, D1-2" in served.json("task", "show", "D1-")["text"]
    assigned(served, "D1-10")
    ok(served, "task", "confirm", "D1-1", *SO_NOI_VU)


def test_an_unknown_step_is_no_command(served: Shell) -> None:
    assert served("task", "teleport", "D1-1") == 2
    assert "Không có lệnh “teleport”." in served.complained
    assert served("task", "lapse", "D1-1") == 2
    assert served("task", "register", "D1-1") == 2


def test_words_come_from_a_file_and_too_many_are_refused(served: Shell, tmp_path: Path) -> None:
    assigned(served)
    file = tmp_path / "reason.txt"
    dispute = ("task", "dispute", "D1-1", *SO_NOI_VU, "--reason", f"@{file}")
    assert refused(served, *dispute) == "text_file_missing"
    file.write_bytes("Không đúng thẩm quyền".encode("utf-16"))
    assert refused(served, *dispute) == "text_not_utf8"
    file.write_text("chữ " * 1_310_720, encoding="utf-8")
    assert refused(served, *dispute) == "text_too_long"
    assert "4000" in served.json(*dispute)["text"]
    file.write_text("\ufeffKhông đúng thẩm quyền\n", encoding="utf-8")
    ok(served, *dispute)
    history = served.json("task", "history", "D1-1")["entries"]
    assert history[-1]["texts"] == {"reason": "Không đúng thẩm quyền"}


def test_a_command_line_in_a_wrong_encoding_is_a_sentence(served: Shell) -> None:
    assigned(served)
    broken = "\udcca\udce3"
    dispute = ("task", "dispute", "D1-1", *SO_NOI_VU, "--reason", broken)
    assert served.json(*dispute)["refused"] == "text_with_surrogates"
    assert served("task", "show", broken) == 1
    assert served("task", "list", "--agency", broken) == 1
    assert "Traceback" not in served.complained
    empty = ("task", "dispute", "D1-1", *SO_NOI_VU, "--reason", " ")
    assert refused(served, *empty) == "text_empty"


def test_the_environment_may_say_who(served: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assigned(served)
    monkeypatch.setenv("DONDOC_AS", "snv.officer")
    assert served.json("task", "confirm", "D1-1")["person"] == "snv.officer"


def test_days_in_the_past_and_days_that_are_none(served: Shell) -> None:
    assigned(served, due_on=None)
    ok(served, "task", "dispute", "D1-1", *SO_NOI_VU, "--reason", "x")
    correct = ("task", "correct", "D1-1", *OFFICE, "--reason", "x", "--due-on")
    assert refused(served, *correct, "01/02/2020") == "due_before_assignment"
    assert served(*correct, "31/02/2030") == 2
    assert "“31/02/2030”" in served.complained
    ok(served, *correct, "2030-02-28")


def test_who_does_it_must_be_said_and_known(served: Shell) -> None:
    assigned(served)
    assert served("task", "confirm", "D1-1") == 2
    assert "--as" in served.complained
    assert refused(served, "task", "confirm", "D1-1", "--as", "nobody") == "unknown_person"
    assert refused(served, "task", "confirm", "D1-1", *OFFICE) == "no_fitting_role"
    person_path(served.home, "snv.officer").unlink()
    assert refused(served, "task", "confirm", "D1-1", *SO_NOI_VU) == "key_file_missing"


def test_maker_is_never_checker(served: Shell) -> None:
    assigned(served)
    both = ("--as", "snv.both")
    for step in (["confirm"], ["start"], ["submit", "--summary", "Xong"]):
        ok(served, "task", step[0], "D1-1", *both, *step[1:])
    assert refused(served, "task", "approve", "D1-1", *both) == "maker_is_checker"


def test_a_key_file_alone_says_who_it_is(
    served: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assigned(served)
    file = tmp_path / "mine.pem"
    save_key(file, key_of("snv.officer"), b"my own")
    confirm = ("task", "confirm", "D1-1", "--key", str(file))
    assert refused(served, *confirm) == "private_key_unreadable"
    monkeypatch.setenv("DONDOC_PASSPHRASE", "my own")
    assert refused(served, *confirm, "--as", "snv.approver") == "key_of_other"
    assert served.json(*confirm)["person"] == "snv.officer"
    save_key(file, key_of("a stranger"), b"my own")
    assert refused(served, *confirm) == "unknown_key"


def test_without_a_service_nothing_is_recorded_and_it_says_how_to_start_one(shell: Shell) -> None:
    assigned(shell)
    confirm = ("task", "confirm", "D1-1", *SO_NOI_VU)
    assert refused(shell, *confirm) == "not_running"
    assert "`dondoc up`" in shell.json(*confirm)["text"]
    shell.home.write_running(Running(1, "http://127.0.0.1:1", "", ""))
    assert refused(shell, *confirm) == "not_running"
    assert len(shell.world.chain("D1-1")) == 2


def test_a_receipt_of_another_log_is_not_believed(served: Shell) -> None:
    assigned(served)
    save_public(served.home.log_key, key_of("another log").public)
    answer = served.json("task", "confirm", "D1-1", *SO_NOI_VU)
    assert answer["refused"] == "receipt_wrong"
