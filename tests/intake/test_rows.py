"""What a row may say, and what is wrong with the others."""

import unicodedata
from datetime import date, datetime

import pytest

from domain.directory import Agency
from domain.refusal import Refused
from intake.reading import read_bytes
from tests.intake.building import CANARY, ROW, TODAY, codes, read_sheet, sheet, workbook


def test_a_row_becomes_a_draft_of_register() -> None:
    (draft,) = read_sheet(ROW | {"coordinators": "thanh-tra; so-tttt", "key": "1c"}).drafts
    document = draft.arguments["document"]
    assert draft.task == f"{document}-01c"
    assert draft.row == 2
    assert draft.arguments == {
        "document": document,
        "number": "12",
        "symbol": "CT-UBND",
        "issued_on": "2026-01-05",
        "issuer": "Ủy ban nhân dân tỉnh",
        "secrecy": "normal",
        "document_title": "Chỉ thị về kỷ cương",
        "title": "Báo cáo kết quả",
        "lead": "so-noi-vu",
        "coordinators": ["thanh-tra", "so-tttt"],
        "monitor": "vpub",
        "priority": "regular",
        "due_on": "2026-03-31",
    }


def test_all_errors_of_all_rows_are_reported_at_once_and_no_draft_is_left() -> None:
    intake = read_sheet(
        ROW,
        ROW | {"title": "B", "due_on": "31/02/2026", "priority": "gấp lắm"},
        ROW | {"title": None, "monitor": " ", "due_on": None},
        ROW | {"title": 5, "lead": "Sở Nội vụ"},
    )
    assert intake.drafts == ()
    assert codes(intake) == [
        (3, "due_on", "bad_date"),
        (3, "priority", "bad_priority"),
        (4, "title", "missing_value"),
        (4, "monitor", "missing_value"),
        (5, "title", "not_text"),
        (5, "lead", "bad_agency_id"),
    ]


@pytest.mark.parametrize(
    "written",
    ["31/03/2026", "31-3-2026", "31.03.2026", "2026-03-31", datetime(2026, 3, 31)],  # noqa: DTZ001 - what Excel has
)
def test_a_day_may_be_a_date_or_text(written: object) -> None:
    (draft,) = read_sheet(ROW | {"due_on": written}).drafts
    assert draft.arguments["due_on"] == "2026-03-31"


@pytest.mark.parametrize(
    "written",
    ["03/31/2026", "31/3/26", "46112", 46112, "cuối tháng", datetime(2026, 3, 31, 9)],  # noqa: DTZ001
)
def test_what_is_not_surely_a_day_is_refused(written: object) -> None:
    assert codes(read_sheet(ROW | {"due_on": written})) == [(2, "due_on", "bad_date")]


def test_days_out_of_order_are_refused() -> None:
    intake = read_sheet(
        ROW | {"due_on": date(2026, 2, 12)},
        ROW | {"title": "B", "due_on": TODAY},
        ROW | {"number": "13", "issued_on": date(2026, 2, 14)},
        ROW | {"number": "14", "due_on": "01/01/2999"},
    )
    assert codes(intake) == [
        (2, "due_on", "due_before_assignment"),
        (4, "issued_on", "document_from_future"),
        (5, "due_on", "date_out_of_range"),
    ]


def test_a_number_is_text_where_people_type_numbers() -> None:
    (draft,) = read_sheet(ROW | {"number": 12, "key": 1}).drafts
    assert draft.arguments["number"] == "12"
    assert draft.task.endswith("-01")
    assert codes(read_sheet(ROW | {"number": 12.5, "symbol": 7})) == [
        (2, "number", "not_text"),
        (2, "symbol", "not_text"),
    ]


def test_text_is_brought_to_nfc_and_hidden_characters_are_refused() -> None:
    (draft,) = read_sheet(
        ROW | {"title": unicodedata.normalize("NFD", " Rà soát \r\n quy chế ")}
    ).drafts
    assert draft.arguments["title"] == "Rà soát \n quy chế"
    assert codes(read_sheet(ROW | {"title": "a\u200bb"}, ROW | {"title": "a\x85b"})) == [
        (2, "title", "text_with_invisible_marks"),
        (3, "title", "text_with_control_characters"),
    ]


def test_the_document_is_given_once_or_on_each_row() -> None:
    task = {name: ROW[name] for name in ("lead", "monitor")}
    once = read_sheet(ROW, task | {"title": "B"}, ROW | {"number": "13"}, task | {"title": "C"})
    each = read_sheet(
        ROW, ROW | {"title": "B", "due_on": None}, ROW | {"number": "13"},
        ROW | {"number": "13", "title": "C", "due_on": None},
    )  # fmt: skip
    assert once == each
    assert [draft.task[-2:] for draft in once.drafts] == ["01", "02", "01", "02"]


def test_rows_of_one_document_must_agree_about_it() -> None:
    intake = read_sheet(ROW, ROW | {"title": "B", "secrecy": "mật", "document_title": "Khác"})
    assert codes(intake) == [
        (3, "secrecy", "document_differs"),
        (3, "document_title", "document_differs"),
    ]
    assert intake.errors[0].facts == {"first": 2}


def test_the_same_task_twice_is_found_however_it_is_spelt() -> None:
    again = unicodedata.normalize("NFD", "  BÁO  cáo kết quả")
    intake = read_sheet(ROW, ROW | {"title": again, "priority": "khẩn"})
    assert codes(intake) == [(3, "title", "duplicate_task")]
    intake = read_sheet(ROW | {"each": "thanh-tra; so-noi-vu", "lead": None}, ROW)
    assert codes(intake) == [(3, "title", "duplicate_task")]
    assert read_sheet(ROW, ROW | {"title": "Bao cao ket qua"}).errors == ()


def test_an_item_is_used_once_and_on_every_row_or_none() -> None:
    intake = read_sheet(
        ROW | {"key": "1"}, ROW | {"key": "01", "title": "B"}, ROW | {"title": "C"},
        ROW | {"key": "báo-cáo", "title": "D"},
    )  # fmt: skip
    assert codes(intake) == [
        (3, "key", "duplicate_key"),
        (4, "key", "key_missing"),
        (5, "key", "bad_key"),
    ]


def test_each_of_several_agencies_gets_a_task_of_its_own() -> None:
    shared = ROW | {"lead": None, "each": "so-noi-vu; thanh-tra\nso-tttt"}
    drafts = read_sheet(shared).drafts
    assert [draft.arguments["lead"] for draft in drafts] == ["so-noi-vu", "thanh-tra", "so-tttt"]
    turned = read_sheet(shared | {"each": "so-tttt;thanh-tra;so-noi-vu;"}).drafts
    assert {draft.task for draft in drafts} == {draft.task for draft in turned}
    assert len({draft.task for draft in drafts}) == 3
    assert codes(read_sheet(shared | {"lead": "vpub"})) == [(2, "lead", "lead_or_each")]
    assert codes(read_sheet(ROW | {"lead": None})) == [(2, "lead", "lead_or_each")]
    assert codes(read_sheet(shared | {"each": "a;a"})) == [(2, "each", "agency_twice")]
    assert codes(read_sheet(ROW | {"coordinators": "so-noi-vu"})) == [
        (2, "coordinators", "agency_twice")
    ]
    many = ";".join(f"a{number}" for number in range(101))
    assert codes(read_sheet(ROW | {"coordinators": many})) == [
        (2, "coordinators", "too_many_agencies")
    ]


def test_agencies_are_found_by_their_names_when_the_directory_is_known() -> None:
    agencies = [
        Agency("so-noi-vu", "Sở Nội vụ", "Department of Home Affairs"),
        Agency("vhtt", "Sở Văn hóa, Thể thao và Du lịch", "Department of Culture"),
    ]
    row = ROW | {"lead": "SỞ NỘI VỤ", "monitor": "department of culture", "coordinators":
                 "Sở Văn hóa, Thể thao và Du lịch"}  # fmt: skip
    data = workbook(sheet(row))
    (draft,) = read_bytes(data, "a.xlsx", TODAY, agencies=agencies).drafts
    assert draft.arguments["lead"] == "so-noi-vu"
    assert draft.arguments["coordinators"] == [draft.arguments["monitor"]] == ["vhtt"]
    unknown = read_bytes(workbook(sheet(ROW)), "a.xlsx", TODAY, agencies=agencies)
    assert codes(unknown) == [(2, "monitor", "unknown_agency")]


@pytest.mark.parametrize(
    "word", ["mật", "SECRET", "tối mật", "Top secret", "top_secret", "TỐI MẬT"]
)
def test_a_protected_document_has_no_words_of_content(word: str) -> None:
    row = ROW | {"secrecy": word}
    (draft,) = read_sheet(row).drafts
    assert draft.arguments["secrecy"] in {"secret", "top_secret"}
    intake = read_sheet(row | {"content": CANARY, "summary": CANARY, "products": CANARY})
    assert sorted((error.column, error.code) for error in intake.errors) == [
        ("content", "protected_content"),
        ("products", "protected_products"),
        ("summary", "protected_content"),
    ]
    assert CANARY not in repr(intake)


HIGHEST = [
    "tuyệt mật", "TUYỆT MẬT", unicodedata.normalize("NFD", "Tuyệt Mật"), "Độ: tuyệt  mật!",
    "tuyet_mat", "TUYỆT\u200bMẬT", "of the highest secrecy", "Absolute Secret", "absolute secrecy",
]  # fmt: skip


@pytest.mark.parametrize("marking", HIGHEST)
def test_the_highest_secrecy_refuses_the_whole_file_and_tells_nothing_of_it(marking: str) -> None:
    row = ROW | {"title": CANARY, "document_title": CANARY, "secrecy": marking, "due_on": CANARY}
    with pytest.raises(Refused) as refused:
        read_sheet(ROW, row | {"number": "13"})
    assert (refused.value.code, dict(refused.value.facts)) == ("secrecy_forbidden", {"row": 3})
    assert refused.value.__context__ is None


def test_the_marking_is_seen_in_a_column_it_strayed_into_and_on_any_sheet() -> None:
    for cells in ([["TUYỆT MẬT"], *sheet(ROW)], [["?", "!"], ["x", "Độ mật: tuyệt mật"]]):
        with pytest.raises(Refused, match="secrecy_forbidden"):
            read_bytes(workbook(cells), "a.xlsx", TODAY)
    named = workbook(sheet(ROW), lambda book, _: book.add_worksheet("Tuyệt mật"))
    with pytest.raises(Refused, match=r"^secrecy_forbidden$"):
        read_bytes(named, "a.xlsx", TODAY)
    hidden = workbook(
        sheet(ROW),
        lambda book, _: (page := book.add_worksheet("B")).write(0, 0, "Tuyệt mật") or page.hide(),
    )
    with pytest.raises(Refused, match="secrecy_forbidden"):
        read_bytes(hidden, "a.xlsx", TODAY)


def test_a_task_may_be_about_such_documents() -> None:
    title = "Rà soát việc bảo quản văn bản tuyệt mật"
    (draft,) = read_sheet(ROW | {"title": title}).drafts
    assert draft.arguments["title"] == title
