"""Three tasks from the command line: done on time, done late, and done by another agency."""

from datetime import timedelta

from tests.cli.shell import Make, Shell, open_door, utc_now

OFFICER, APPROVER = "snv.officer", "snv.approver"
OTHER_OFFICER, OTHER_APPROVER = "sxd.officer", "sxd.approver"


def walk(shell: Shell, task: str, *steps: tuple[str, ...]) -> None:
    """Each step by its own person, and each accepted."""
    for event, person, *options in steps:
        assert shell("task", event, task, "--as", person, *options) == 0, shell.complained


def events(shell: Shell, task: str) -> list[str]:
    history = shell.json("task", "history", task)
    return [entry["event"] for entry in history["entries"]]


def is_explained(shell: Shell, task: str) -> bool:
    """Every deadline that the task ever had is computed again, and is the one recorded."""
    return shell("task", "why", task, language="en") == 0


def test_a_task_is_done_on_time(served: Shell) -> None:
    today = served.world.now.date()
    task = served.world.assigned(
        issued_on=today.isoformat(), due_on=(today + timedelta(days=40)).isoformat()
    )
    walk(
        served,
        task.id,
        ("confirm", OFFICER),
        ("start", OFFICER),
        ("report", OFFICER, "--summary", "Đã được một nửa", "--percent", "50"),
        ("endorse", APPROVER, "--item", "report"),
        ("submit", OFFICER, "--summary", "Đã xong"),
        ("approve", APPROVER),
    )
    shown = served.json("task", "show", task.id)
    assert (shown["state"], shown["timeliness"]) == ("done", "on_time")
    assert events(served, task.id) == [
        "register", "transfer", "confirm", "start", "report", "endorse", "submit", "approve",
    ]  # fmt: skip
    assert is_explained(served, task.id)
    assert served("audit", "verify") == 0


def test_a_task_is_done_late_and_the_clock_has_said_so_first(make_shell: Make) -> None:
    shell = make_shell(utc_now() - timedelta(days=60))
    start = shell.world.now.date()
    task = shell.world.in_progress(
        issued_on=start.isoformat(), due_on=(start + timedelta(days=20)).isoformat()
    )
    with open_door(shell.home, shell.world):
        walk(
            shell,
            task.id,
            ("submit", OFFICER, "--summary", "Đã xong, chậm"),
            ("approve", APPROVER),
            ("explain", OFFICER, "--reason", "Thiếu số liệu của các huyện"),
        )
    shown = shell.json("task", "show", task.id)
    assert (shown["state"], shown["timeliness"]) == ("done", "late")
    told = events(shell, task.id)
    assert told.index("lapse") < told.index("submit")
    assert told.count("lapse") == 3  # near due, due, and the final update
    assert is_explained(shell, task.id)
    assert shell("audit", "verify") == 0


def test_a_task_is_disputed_and_done_by_the_agency_it_belongs_to(served: Shell) -> None:
    today = served.world.now.date()
    task = served.world.assigned(
        issued_on=today.isoformat(), due_on=(today + timedelta(days=40)).isoformat()
    )
    reason = ("--reason", "Thuộc thẩm quyền của Sở Xây dựng")
    walk(
        served,
        task.id,
        ("dispute", OFFICER, *reason),
        ("reassign", "vp.office", *reason, "--lead", "sxd"),
    )
    assert served("task", "confirm", task.id, "--as", OFFICER) == 1
    walk(
        served,
        task.id,
        ("confirm", OTHER_OFFICER),
        ("start", OTHER_OFFICER),
        ("submit", OTHER_OFFICER, "--summary", "Đã xong"),
        ("approve", OTHER_APPROVER),
    )
    shown = served.json("task", "show", task.id)
    assert (shown["state"], shown["lead"]) == ("done", "sxd")
    assert is_explained(served, task.id)
    assert served("audit", "verify") == 0
