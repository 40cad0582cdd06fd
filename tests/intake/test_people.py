"""Agencies and people out of workbooks and CSV: what is taken, and what is refused and where."""

import contextlib
from datetime import UTC, date, datetime

import pytest

from domain.directory import ASSIGNABLE, SERVICE
from domain.refusal import Refused
from domain.task import Role
from intake.archive import Bounds
from intake.people.columns import COLUMNS
from intake.people.listing import AGENCIES, PEOPLE, Agency, Holding, Listing, Person
from intake.people.reading import read_files
from intake.people.words import ROLES, clearance, role
from messages import LANGUAGES, Texts
from tests.intake.listing import (
    HANOI,
    POSTS,
    TREE,
    errors,
    listing,
    person,
    read,
    text_table,
    workbook,
)


def refusal(name: str, data: bytes) -> str:
    with pytest.raises(Refused) as refused:
        read_files([(name, data)], HANOI, Listing())
    return refused.value.code


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_tree_and_its_people_are_read_under_headings_of_both_languages(language: str) -> None:
    found = read(TREE, POSTS, language=language).listing
    assert [(each.id, each.parent) for each in found.agencies.values()] == [
        ("vp", None), ("snv", "vp"), ("snv-tcbc", "snv"),
    ]  # fmt: skip
    assert found.people["vp.office"].clearance == "secret"
    an = found.people["snv.an"]
    assert (an.title_vi, an.title_en, an.clearance) == ("Cán bộ", "Officer", "")
    assert [(each.agency, each.role) for each in an.holdings] == [
        ("snv", "officer"), ("snv-tcbc", "officer"),
    ]  # fmt: skip


def test_days_are_those_of_viet_nam_and_the_last_one_counts() -> None:
    found = listing(TREE, POSTS)
    held = found.people["snv.an"].holdings[0]
    assert held.begins == datetime(2026, 1, 31, 17, 0, tzinfo=UTC)
    assert held.until == datetime(2026, 12, 31, 17, 0, tzinfo=UTC)
    assert found.people["vp.office"].holdings[0].begins == datetime(2025, 12, 31, 17, tzinfo=UTC)
    assert found.people["snv.an"].holdings[1].begins is None


@pytest.mark.parametrize(
    ("cell", "begins"),
    [
        ("2026-03-01 07:30", datetime(2026, 3, 1, 0, 30, tzinfo=UTC)),
        ("01/03/2026 07:30:15.25", datetime(2026, 3, 1, 0, 30, 15, 250_000, tzinfo=UTC)),
        (datetime(2026, 3, 1, 7, 30), datetime(2026, 3, 1, 0, 30, tzinfo=UTC)),  # noqa: DTZ001 - as Excel has it
        (date(2026, 3, 1), datetime(2026, 2, 28, 17, 0, tzinfo=UTC)),
    ],
)
def test_a_role_may_begin_at_a_moment_of_a_day(cell: object, begins: datetime) -> None:
    found = listing(TREE, [person(**{"from": cell})])
    assert found.people["snv.binh"].holdings[0].begins == begins


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_files_hold_one_sheet_each_and_say_which_by_their_headings(delimiter: str) -> None:
    rows = [["vp.office", "Điều phối", "Coordinator", "mật", "vp", "Văn phòng", "01/01/2026", ""]]
    files = [
        ("b.csv", text_table(PEOPLE, rows, delimiter)),
        ("a.csv", text_table(AGENCIES, TREE, delimiter)),
    ]
    found = read_files(files, HANOI, Listing()).listing
    assert list(found.agencies) == ["vp", "snv", "snv-tcbc"]
    assert found.people["vp.office"].holdings[0].role == "office"
    alone = read_files(files[1:], HANOI, Listing()).listing
    assert not alone.has_people


def test_a_file_that_is_no_listing_is_refused() -> None:
    assert refusal("a.txt", b"x") == "unknown_file_kind"
    assert refusal("a.csv", b"") == "file_empty"
    assert refusal("a.csv", b"a,b\n1,2\n") == "sheet_unknown"
    assert refusal("a.xlsx", b"PK\x03\x04") == "workbook_broken"
    assert refusal("a.xlsx", workbook(finish=lambda book: book.add_worksheet())) == "file_empty"
    other = workbook(TREE, finish=lambda book: book.add_worksheet("Khác").write(0, 0, "x"))
    assert refusal("a.xlsx", other) == "sheet_unknown"
    twice = workbook(TREE, finish=lambda book: book.add_worksheet("Agencies").write(0, 0, "x"))
    assert refusal("a.xlsx", twice) == "sheet_twice"
    with pytest.raises(Refused) as refused:
        read_files([("a.csv", text_table(AGENCIES, TREE))] * 2, HANOI, Listing())
    assert refused.value.code == "sheet_twice"


def test_a_broken_workbook_is_refused_and_never_an_error_of_ours() -> None:
    data = workbook(TREE, POSTS)
    broken = [*range(30, len(data), 41), 125, data.rindex(b"PK\x01\x02") + 6]
    for place in broken:
        flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with contextlib.suppress(Refused):  # and nothing else
            read_files([("a.xlsx", flipped)], HANOI, Listing())
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    assert refusal("a.xlsx", ole) == "old_excel_format"
    assert refusal("a.xlsx", ole + "EncryptedPackage".encode("utf-16-le")) == "password_protected"


def test_more_rows_or_bytes_than_a_file_may_have_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("intake.people.sheets.MAX_ROWS", 2)
    assert refusal("a.xlsx", workbook(TREE)) == "too_many_rows"
    monkeypatch.setattr("intake.people.text_table.MAX_ROWS", 1)
    assert refusal("a.csv", text_table(AGENCIES, TREE)) == "too_many_rows"
    wide = [[*TREE[0], *["x"] * 100]]
    assert refusal("a.csv", text_table(AGENCIES, wide)) == "too_many_columns"
    monkeypatch.setattr("intake.people.workbook._BOUNDS", Bounds(1))
    assert refusal("a.xlsx", workbook(TREE)) == "too_many_rows"
    monkeypatch.setattr("intake.people.workbook._BOUNDS", Bounds(unpacked=2_000))
    assert refusal("a.xlsx", workbook(TREE)) == "workbook_too_large"


def test_a_hidden_sheet_is_not_read() -> None:
    def hide(book: object) -> None:
        book.get_worksheet_by_name("Tài khoản").hide()  # type: ignore[attr-defined]  # XlsxWriter's

    assert not read(TREE, POSTS, finish=hide).listing.has_people


def test_a_column_with_the_names_of_people_is_not_taken() -> None:
    table = text_table(PEOPLE, [[*POSTS[0], "Nguyễn Văn A"]]).decode().split("\r\n")
    table[0] += ",Họ và tên"
    found = read_files([("a.csv", "\n".join(table).encode())], HANOI, None)
    assert ("people", 1, "I", "column_for_names") in errors(found)
    assert "Nguyễn" not in repr(found)


def test_every_wrong_row_is_named_by_sheet_row_and_column() -> None:
    found = read(
        [
            *TREE,
            ("snv", "Lần nữa", "Again", None),
            ("sở y tế", "Sở Y tế", "Health", None),
            ("syt", "Sở Y tế", None, "khong-co"),
            ("tu", "Tự", "Self", "tu"),
        ],
        [
            person(role="giám đốc"),
            person(person="snv.cuong", agency="khong-co"),
            person(person="clock"),
            person(person="001234567890"),
            person(person="snv.dung", clearance="tuyệt mật"),
            person(person="snv.em", **{"from": "31/02/2026"}),
            person(person="snv.gia", **{"from": date(2026, 5, 2), "until": date(2026, 5, 1)}),
            person(person="snv.ha", title_en=None),
            person(person="snv.hoa", agency=None),
            person(person="snv.hue", title_vi="a\u200bb"),
            person(person="snv.kha", title_vi=12),
            person(person="snv.lan", title_vi="x" * 401),
        ],
    )
    assert errors(found) == [
        ("agencies", 5, "id", "agency_twice_listed"),
        ("agencies", 6, "id", "bad_id"),
        ("agencies", 7, "name_en", "missing_value"),
        ("agencies", 7, "parent", "agency_nowhere"),
        ("agencies", 8, "parent", "tree_circle"),
        ("people", 2, "role", "bad_role"),
        ("people", 3, "agency", "agency_nowhere"),
        ("people", 4, "person", "reserved_id"),
        ("people", 5, "person", "personal_number"),
        ("people", 6, "clearance", "bad_clearance"),
        ("people", 7, "from", "bad_date"),
        ("people", 8, "until", "period_backward"),
        ("people", 9, "title_en", "missing_value"),
        ("people", 10, "agency", "missing_value"),
        ("people", 11, "title_vi", "text_with_invisible_marks"),
        ("people", 12, "title_vi", "not_text"),
        ("people", 13, "title_vi", "text_too_long"),
    ]
    texts = Texts("en", first="people")
    assert all(error.code in texts for error in found.errors)
    assert "a\u200bb" not in repr(found)


@pytest.mark.parametrize("reserved", SERVICE)
def test_no_person_is_called_like_a_key_of_the_service(reserved: str) -> None:
    assert errors(read(TREE, [person(person=reserved)])) == [("people", 2, "person", "reserved_id")]


def test_headings_that_are_missing_unknown_or_doubled_are_named() -> None:
    table = "Mã cơ quan,Tên cơ quan,Tên cơ quan,Ghi chú\nvp,Văn phòng,Office,x\n,,,,lạc\n"
    found = read_files([("a.csv", table.encode())], HANOI, None)
    assert errors(found)[:4] == [
        ("agencies", 1, "C", "duplicate_column"),
        ("agencies", 1, "D", "unknown_column"),
        ("agencies", 1, "name_en", "missing_column"),
        ("agencies", 1, "parent", "missing_column"),
    ]
    assert ("agencies", 3, "E", "cell_without_heading") in errors(found)


def test_a_broken_formula_is_no_open_end_whichever_sheet_it_is_in() -> None:
    def break_one(book: object) -> None:
        page = book.get_worksheet_by_name("Tài khoản")  # type: ignore[attr-defined]  # XlsxWriter's
        page.write_formula(1, 7, "=NA()", None, "#N/A")
        page.merge_range(1, 1, 2, 1, "Cán bộ")

    assert errors(read(TREE, POSTS, finish=break_one)) == [
        ("people", 2, "B", "merged_cells"),
        ("people", 2, "until", "formula_error"),
    ]


def test_a_circle_through_the_directory_is_found_before_anything_is_written() -> None:
    known = Listing({each.id: each for each in (Agency("a", "A", "A"), Agency("b", "B", "B", "a"))})
    assert errors(read([("a", "A", "A", "b")], None, known)) == [
        ("agencies", 2, "parent", "tree_circle")
    ]
    turned = listing([("a", "A", "A", "b"), ("b", "B", "B", None)], None, known)
    assert turned.agencies["a"].parent == "b"
    three = read([("x", "X", "X", "z"), ("y", "Y", "Y", "x"), ("z", "Z", "Z", "y")])
    assert errors(three) == [("agencies", 2, "parent", "tree_circle")]
    assert three.errors[0].facts == {"agencies": "x → z → y → x"}


def test_ids_that_excel_takes_for_numbers_are_ids() -> None:
    found = listing([(12, "A", "A", None), (13, "B", "B", 12)], [person(person=7, agency=13)])
    assert {each.id: each.parent for each in found.agencies.values()} == {"12": None, "13": "12"}
    assert found.people["7"].holdings[0].agency == "13"


def test_a_person_has_no_more_roles_than_an_entry_holds() -> None:
    tree = [(f"a{number}", "A", "A", None) for number in range(101)]
    rows = [person(agency=f"a{number}") for number in range(101)]
    assert errors(read(tree, rows)) == [("people", 2, "role", "too_many_roles")]
    listing(tree, rows[:100])


def test_agencies_are_found_by_id_or_by_a_name_that_only_one_has() -> None:
    rows = [*TREE, ("snv-2", "Phòng Tổ chức", "Other", "snv")]
    by_name = [person(agency="  sở nội VỤ "), person(person="snv.ba", agency="Other")]
    found = listing(rows, by_name)
    assert found.people["snv.binh"].holdings[0].agency == "snv"
    assert found.people["snv.ba"].holdings[0].agency == "snv-2"
    assert errors(read(rows, [person(agency="Phòng Tổ chức")])) == [
        ("people", 2, "agency", "agency_ambiguous")
    ]


def test_rows_of_one_person_agree_and_hold_no_role_twice_at_once() -> None:
    found = read(TREE, [
        person(until=date(2026, 6, 30)),
        person(title_vi="Khác", **{"from": date(2026, 7, 1)}),
        person(**{"from": date(2026, 7, 1), "until": date(2026, 8, 1)}),
    ])  # fmt: skip
    assert errors(found) == [
        ("people", 3, "title_vi", "person_differs"),
        ("people", 4, "role", "role_twice"),
    ]


def test_an_operator_is_nothing_else_at_the_same_time() -> None:
    first = person(role="operator", until=date(2026, 6, 30))
    assert errors(read(TREE, [first, person(**{"from": date(2026, 6, 30)})])) == [
        ("people", 3, "role", "operator_beside")
    ]
    listing(TREE, [first, person(**{"from": date(2026, 7, 1)})])
    listing(TREE, [first, person(role="operator", agency="vp")])


def test_who_left_does_not_come_back_and_a_title_stays() -> None:
    known = Listing(
        agencies=listing(TREE).agencies,
        people={"snv.an": Person("snv.an", "Cán bộ", "Officer", "normal")},
        left=frozenset({"snv.binh"}),
    )
    found = read(None, [person(), person(person="snv.an", title_en="Head")], known)
    assert errors(found) == [
        ("people", 2, "person", "person_left_before"),
        ("people", 3, "title_en", "title_differs"),
    ]
    listing(None, [person(person="snv.an", title_vi=None, title_en=None)], known)


def test_without_a_directory_ids_of_agencies_are_taken_as_they_stand() -> None:
    data = workbook(None, [person(agency="so-nao-do")])
    assert read_files([("a.xlsx", data)], HANOI, None).errors == ()


def test_the_words_for_roles_are_all_roles_and_those_that_the_screens_show() -> None:
    assert set(ROLES) == ASSIGNABLE
    for language in LANGUAGES:
        texts = Texts(language)
        for each in ASSIGNABLE:
            assert role(texts.name("role", each)) == each, (language, each)
        for level in ("normal", "secret", "top_secret"):
            assert clearance(texts.name("secrecy", level)) == level
    assert role(str(Role.CLOCK)) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_has_a_name_for_the_table_of_errors(language: str) -> None:
    texts = Texts(language)
    wanted = [f"column_of_{kind}_{column.name}" for kind in COLUMNS for column in COLUMNS[kind]]
    assert [code for code in wanted if code not in texts] == []


def test_periods_meet_when_one_moment_is_in_both() -> None:
    day = [datetime(2026, 1, each, tzinfo=UTC) for each in range(1, 5)]
    held = Holding("a", "officer", day[0], day[1])
    assert not held.meets(Holding("a", "officer", day[1], day[2]))
    assert held.meets(Holding("a", "officer", None, day[1]))
    assert held.meets(Holding("a", "officer", day[0], None))
