"""CSV and YAML files, and the encodings they come in."""

import unicodedata

import pytest

from domain.refusal import Refused
from intake.encoding import _TCVN3
from intake.reading import read_bytes
from tests.intake.building import CANARY, ROW, TODAY, codes, csv_text, sheet

CELLS = sheet(ROW | {"issued_on": "05/01/2026", "due_on": "31/03/2026"})
YAML = """\
documents:
  - number: 012
    symbol: CT-UBND
    issued_on: 2026-01-05
    issuer: Ủy ban nhân dân tỉnh
    secrecy: thường
    document_title: Chỉ thị
    tasks:
      - key: 1a
        title: Báo cáo
        each: [so-noi-vu, thanh-tra]
        monitor: vpub
        updates: {every: month, before_day: 10}
      - key: 1b
        title: "no"
        lead: vpub
        monitor: so-noi-vu
        content: |
          Dòng một
          Dòng hai
"""


def _refusal(data: bytes, name: str) -> tuple[str, dict[str, str | int]]:
    with pytest.raises(Refused) as refused:
        read_bytes(data, name, TODAY)
    assert CANARY not in str(refused.value)
    return refused.value.code, dict(refused.value.facts)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_is_read_as_excel_saves_it(delimiter: str, encoding: str) -> None:
    data = csv_text(CELLS, delimiter).encode(encoding)
    (draft,) = read_bytes(data, "tasks.CSV", TODAY).drafts
    assert draft.arguments["due_on"] == "2026-03-31"
    assert draft.arguments["number"] == "12"


def _tcvn3(text: str) -> str:
    """As it stands in a file for TCVN3 fonts. Most capitals have no place there."""
    return text.translate({letter: code for code, letter in _TCVN3.items()})


def _cp1258(text: str) -> bytes:
    """Its tone marks stand behind their letter; ă â đ ê ô ơ ư are letters of their own."""
    parts = (_toneless(character) for character in unicodedata.normalize("NFC", text))
    return "".join(letter + tone for letter, tone in parts).encode("cp1258")


def _toneless(character: str) -> tuple[str, str]:
    marks = unicodedata.normalize("NFD", character)
    tone = "".join(mark for mark in marks if mark in "\u0300\u0301\u0303\u0309\u0323")
    rest = "".join(mark for mark in marks if mark not in tone)
    return unicodedata.normalize("NFC", rest), tone


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (csv_text(CELLS).encode("utf-16"), "UTF-16"),
        (csv_text(CELLS).encode("utf-16-le"), "UTF-16"),
        (csv_text(CELLS).encode("utf-32"), "UTF-32"),
        (_cp1258(csv_text(CELLS)), "Windows-1258"),
        (_tcvn3(csv_text(CELLS)).encode("latin-1", errors="replace"), "TCVN3 (ABC)"),
        (_tcvn3(csv_text(CELLS)).encode(), "TCVN3 (ABC)"),
    ],
)
def test_other_encodings_are_named(data: bytes, named: str) -> None:
    assert _refusal(data, "tasks.csv") == ("wrong_encoding", {"encoding": named})


def test_an_encoding_that_is_not_recognised_is_said_to_be_so() -> None:
    assert _refusal(b"caf\xe9;na\xefve\n", "tasks.csv") == ("unknown_encoding", {})
    assert _refusal(b"documents: caf\xe9\n", "tasks.yaml") == ("unknown_encoding", {})


def test_five_megabytes_in_a_field_are_reported_without_being_repeated() -> None:
    huge = (CANARY + " ") * 400_000
    cells = sheet(ROW | {"content": huge, "issued_on": "05/01/2026", "due_on": None})
    intake = read_bytes(csv_text(cells).encode(), "tasks.csv", TODAY)
    assert codes(intake) == [(2, "content", "text_too_long")]
    assert CANARY not in repr(intake)
    in_yaml = YAML.replace("Dòng hai", huge)
    intake = read_bytes(in_yaml.encode(), "tasks.yaml", TODAY)
    assert codes(intake) == [(18, "content", "text_too_long")]
    assert CANARY not in repr(intake)


def test_a_broken_csv_is_refused() -> None:
    text = csv_text(CELLS) + '"' + CANARY
    assert _refusal(text.encode(), "tasks.csv")[0] == "csv_broken"
    assert _refusal(csv_text(CELLS).encode() + b"\0", "tasks.csv")[0] == "csv_broken"


def test_yaml_scalars_are_what_they_are_written_as() -> None:
    first, second, third = read_bytes(YAML.encode(), "tasks.yaml", TODAY).drafts
    assert first.arguments["number"] == "012"
    assert first.arguments["updates"] == {"every": "month", "before_day": 10}
    assert (first.arguments["lead"], second.arguments["lead"]) == ("so-noi-vu", "thanh-tra")
    assert third.arguments["title"] == "no"
    assert third.arguments["content"] == "Dòng một\nDòng hai"
    assert [first.row, third.row] == [9, 14]


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("title: Báo cáo", "title: *a", "yaml_alias", 10),
        ("title: Báo cáo", "title: !!python/none x", "yaml_tag", 10),
        ("monitor: vpub\n", "monitor: vpub\n        monitor: vpub\n", "yaml_duplicate_key", 13),
        ("documents:", "tasks:", "yaml_shape", 1),
        ("title: Báo cáo", "title: [" * 9, "yaml_too_deep", 10),
        ('title: "no"', f'title: "{CANARY}', "yaml_broken", None),
    ],
)
def test_what_yaml_could_hide_is_refused(old: str, new: str, code: str, line: int | None) -> None:
    found, facts = _refusal(YAML.replace(old, new).encode(), "tasks.yml")
    assert found == code
    assert line in {None, facts["line"]}


def test_yaml_fields_of_the_wrong_name_or_kind_are_reported_by_line() -> None:
    text = YAML.replace("key: 1a", "khoá: 1a").replace("monitor: vpub", "monitor: [vpub]")
    intake = read_bytes(text.replace("number: 012", "number:").encode(), "tasks.yaml", TODAY)
    assert codes(intake) == [
        (2, "number", "missing_value"),
        (9, "", "unknown_field"),
        (12, "monitor", "yaml_wrong_kind"),
        (12, "monitor", "missing_value"),
    ]
    none = "documents:\n  - number: 1\n    tasks: []\n"
    assert codes(read_bytes(none.encode(), "a.yaml", TODAY)) == [(2, "tasks", "no_tasks")]


def test_the_highest_secrecy_is_refused_wherever_yaml_has_it() -> None:
    for old, new in [
        ("secrecy: thường", "secrecy: [TUYỆT MẬT]"),
        ("title: Báo cáo", f"title: {CANARY}\n        secrecy: văn bản tuyệt mật"),
        ("documents:", "mark: tuyệt mật\ndocuments:"),
        ("documents:", "tuyệt mật: x\ndocuments:"),
    ]:
        text = YAML.replace(old, new)
        line = next(n for n, each in enumerate(text.splitlines(), 1) if "mật" in each.lower())
        assert _refusal(text.encode(), "tasks.yaml") == ("secrecy_forbidden", {"row": line})
