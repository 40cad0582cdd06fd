"""What holds for every draft: its id, its form, and that it survives being written down."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.private_keys import private_key
from domain.refusal import Refused
from domain.task import Recurrence, format_recurrence, parse_recurrence
from gateway.composing import Signer, compose
from intake.documents import EXAMPLE_NUMBER
from intake.drafts import Draft
from intake.reading import read_bytes
from intake.recurrence import format_updates
from intake.words import is_highest_marking
from samples.loading import TASKS_NAME, load_directory, load_tasks
from tests.intake.building import ROW, TODAY, read_sheet, sheet, workbook

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 2, 13, 2, tzinfo=UTC)


def _compose(draft: Draft) -> None:
    signer = Signer(private_key(bytes(32)), "vpub", "office")
    compose("log.test", draft.task, "register", draft.arguments, signer, NOW)


def test_the_sample_is_read_and_every_draft_is_a_command_that_the_rules_take() -> None:
    directory = load_directory()
    intake = read_bytes(load_tasks(), TASKS_NAME, TODAY, agencies=directory.agencies)
    assert intake.errors == ()
    assert len(intake.drafts) == 63
    for draft in intake.drafts:
        _compose(draft)


def test_the_sample_has_both_posts_in_each_agency_and_no_account_twice() -> None:
    directory = load_directory()
    roles = {role for account in directory.accounts for role in account.roles}
    for agency in directory.agencies:
        assert {(agency.id, "officer"), (agency.id, "approver")} <= roles
    assert {("vpub", "office"), ("vpub", "monitor"), ("so-noi-vu", "monitor")} <= roles
    assert len({account.person for account in directory.accounts}) == len(directory.accounts)


def test_the_sample_s_agencies_never_follow_themselves_up() -> None:
    for draft in read_bytes(load_tasks(), TASKS_NAME, TODAY).drafts:
        assert draft.arguments["lead"] != draft.arguments["monitor"]


def test_reading_a_file_twice_gives_the_same_ids() -> None:
    first, second = (read_bytes(load_tasks(), TASKS_NAME, TODAY) for _ in range(2))
    assert first == second
    ids = [draft.task for draft in first.drafts]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9-]{1,40}", task) for task in ids)


def test_a_task_s_id_is_pinned_for_files_imported_before() -> None:
    (draft,) = read_sheet(ROW | {"lead": None, "each": "so-noi-vu"}).drafts
    assert draft.task == "zop7xpnf-01-63qxgz"


def test_a_file_imported_again_is_not_wrong_because_time_has_passed() -> None:
    data = workbook(sheet(ROW, ROW | {"title": "B"}))
    first = read_bytes(data, "a.xlsx", TODAY).drafts
    later = date(2026, 5, 1)
    known = {draft.task for draft in first}
    assert read_bytes(data, "a.xlsx", later, known=known).drafts == first
    partly = read_bytes(data, "a.xlsx", later, known={first[0].task})
    assert [error.row for error in partly.errors] == [3]


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


_VISIBLE = st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Cn", "Co"))
TEXT = (
    st.text(_VISIBLE | st.just("\n"), max_size=200)
    .map(_normal)
    .filter(lambda text: bool(text) and not is_highest_marking(text))
)
LINE = TEXT.map(lambda text: _normal(" ".join(text.split()))).filter(
    lambda text: bool(text) and text.isprintable() and len(text) <= 120
)
AGENCY = st.from_regex(r"[a-z]{1,5}(-[a-z]{1,5})?", fullmatch=True)
UPDATES = st.sampled_from(
    [
        Recurrence("month"),
        Recurrence("month", 10),
        Recurrence("year", 13, 11),
        Recurrence("quarter"),
    ]
).map(format_recurrence)
ARGUMENTS = st.fixed_dictionaries(
    {
        "number": LINE.filter(lambda text: text != EXAMPLE_NUMBER),
        "symbol": LINE,
        "issued_on": st.dates(date(1970, 1, 1), TODAY).map(str),
        "issuer": LINE,
        "secrecy": st.just("normal"),
        "document_title": TEXT,
        "title": TEXT,
        "lead": AGENCY,
        "coordinators": st.lists(AGENCY, max_size=3, unique=True),
        "monitor": AGENCY,
        "priority": st.sampled_from(["key", "regular", "urgent"]),
    },
    optional={
        "signatory": TEXT,
        "summary": TEXT,
        "content": TEXT,
        "products": TEXT,
        "due_on": st.dates(TODAY, date(2199, 12, 31)).map(str),
        "updates": UPDATES,
    },
).filter(lambda arguments: arguments["lead"] not in arguments["coordinators"])


def _as_row(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A draft as a clerk would write it."""
    row = dict(arguments) | {"coordinators": "; ".join(arguments["coordinators"])}
    if "updates" in row:
        row["updates"] = format_updates(parse_recurrence(row["updates"]))
    if "due_on" in row:
        row["due_on"] = date.fromisoformat(row["due_on"])
    return {name: value for name, value in row.items() if name != "document"}


@settings(max_examples=60)
@given(st.lists(ARGUMENTS, min_size=1, max_size=4, unique_by=lambda one: str(one["number"])))
def test_drafts_written_to_a_workbook_are_read_again(written: list[dict[str, Any]]) -> None:
    intake = read_sheet(*map(_as_row, written))
    assert intake.errors == ()
    for draft, arguments in zip(intake.drafts, written, strict=True):
        assert draft.arguments == arguments | {"document": draft.arguments["document"]}
        assert draft.task == f"{draft.arguments['document']}-01"
        _compose(draft)
    assert read_sheet(*(_as_row(draft.arguments) for draft in intake.drafts)) == intake


@given(st.lists(st.lists(st.text(max_size=20) | st.floats(allow_nan=False, allow_infinity=False)
       | st.dates(date(1900, 1, 1)), max_size=12), max_size=5))  # fmt: skip
@settings(max_examples=60)
def test_whatever_stands_in_a_sheet_there_is_an_answer(cells: list[list[object]]) -> None:
    try:
        intake = read_bytes(workbook([*sheet(ROW)[:1], *cells]), "a.xlsx", TODAY)
    except Refused as refused:
        found = {refused.code}
    else:
        found = {error.code for error in intake.errors}
        assert bool(intake.errors) != bool(intake.drafts)
    assert found <= CODES


def _sentences(language: str) -> dict[str, str]:
    folder = ROOT / "messages" / language
    return {
        code: text
        for name in ("refusals.toml", "intake.toml")
        for code, text in tomllib.loads((folder / name).read_text(encoding="utf-8")).items()
    }


_CODE = re.compile(r'(?:Fault|Refused)\(\s*"(\w+)"|"(\w+)" if |'
                   r'note\([^()]*, "(\w+)"|RowError\(.*?, "(\w+)", ')  # fmt: skip
CODES = {
    next(filter(None, match.groups()))
    for file in (ROOT / "intake").glob("*.py")
    for match in _CODE.finditer(file.read_text(encoding="utf-8"))
} | {"protected_content", "old_excel_format"}


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_code_has_its_sentence(language: str) -> None:
    assert len(CODES) > 50
    assert CODES - _sentences(language).keys() == set()


def test_the_sentences_of_both_languages_use_the_same_facts() -> None:
    folder = ROOT / "messages"
    texts = [
        tomllib.loads((folder / language / "intake.toml").read_text(encoding="utf-8"))
        for language in ("vi", "en")
    ]
    fields = [
        {code: {name for _, name, _, _ in Formatter().parse(text)} for code, text in one.items()}
        for one in texts
    ]
    assert fields[0] == fields[1]
    assert texts[0].keys() <= CODES
