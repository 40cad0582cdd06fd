"""Every code that may reach a person has a sentence in both languages, and every sentence works."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from audit.report import Check
from audit.saying import Speaker
from domain.attestation import DIFFERENCES
from domain.attestation import FIELDS as ATTESTATION_FIELDS
from domain.command import CHANNELS, FIELDS, ITEMS, RATINGS, Kind
from domain.directory import FIELDS as DIRECTORY_FIELDS
from domain.lifecycle import EVENTS
from domain.task import Priority, Role, Secrecy, State, Timeliness
from domain.timetable import RULES
from messages import LANGUAGES, Texts, language_of, load
from messages.sentences import placeholders, sentence

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "activities", "audit", "cli", "domain", "embedded", "evidence", "gateway", "intake", "samples",
    "sequencing", "store", "vault", "witness", "workflows",
)  # fmt: skip
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


NEVER_TOLD = {
    "heads_differ", "key_in_use", "log_behind_checkpoint", "log_forked",
    "other_task", "rotate_first",
}  # fmt: skip
"""As bytes these are only found by the verifier, which has sentences of its own, or logged."""


ALWAYS_MANY = {
    "disputed_more", "heads_not_newer", "length_days", "reconcile_more", "stamp_too_old",
    "unit_hours", "unit_minutes", "unit_seconds",
}  # fmt: skip
"""Their word is the same for one, or it stands for no count."""


@cache
def calls() -> list[tuple[str, ast.Call]]:
    """Every call in our sources, with the bare name of what is called."""
    return list(_calls())


def _calls() -> Iterator[tuple[str, ast.Call]]:
    files = [ROOT / "worker.py", *(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                function = node.func
                name = getattr(function, "attr", getattr(function, "id", ""))
                yield name, node


def constants(node: ast.expr | None) -> list[str]:
    """The texts that an argument may be: a literal, or either side of a condition."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=body, orelse=orelse):
            return constants(body) + constants(orelse)
    return []


def raised(*names: str, position: int = 0) -> Iterator[tuple[str, ast.Call]]:
    for name, call in calls():
        if name in names and len(call.args) > position:
            for code in constants(call.args[position]):
                yield code, call


def refusals() -> set[str]:
    return {code for code, _ in raised("Refused", "Malformed")}


@pytest.mark.parametrize("file", sorted(f.name for f in (ROOT / "messages/vi").glob("*.toml")))
def test_both_languages_say_the_same_things_with_the_same_facts(file: str) -> None:
    vietnamese, english = (
        tomllib.loads((ROOT / "messages" / language / file).read_text(encoding="utf-8"))
        for language in LANGUAGES
    )
    assert vietnamese.keys() == english.keys()
    differing = [c for c in english if placeholders(vietnamese[c]) != placeholders(english[c])]
    assert differing == []


def test_both_languages_have_the_same_files() -> None:
    found = [{f.name for f in (ROOT / "messages" / lang).glob("*.toml")} for lang in LANGUAGES]
    assert found[0] == found[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_in_the_sources_has_a_sentence(language: str) -> None:
    assert len(refusals()) > 80
    assert sorted(refusals() - load(language).keys()) == []


def test_codes_passed_on_by_variable_have_sentences_too() -> None:
    by_variable = {"unknown_argument", "missing_argument", "malformed_command", "malformed_record"}
    assert by_variable <= load("vi").keys()


def test_a_sentence_asks_for_no_fact_that_its_refusal_may_lack() -> None:
    lacking = []
    for code, call in raised("Refused"):
        given = {keyword.arg for keyword in call.keywords}
        wanted = placeholders(load("en").get(code, ""))
        if None not in given and not wanted <= given:
            lacking.append((code, wanted - given))
    for code, _ in raised("Malformed"):
        wanted = placeholders(load("en").get(code, ""))
        if wanted - {"detail"} and code not in NEVER_TOLD:
            lacking.append((code, wanted))
    assert lacking == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_of_the_verifier_has_a_sentence(language: str) -> None:
    found = {code for code, _ in raised("_Broken", position=1)}
    found |= {code for code, _ in raised("Illegal", "finding")}
    found |= {f"{field}_differs" for field, _ in raised("_check_claim")}
    found |= {code for code, _ in raised("Finding", "_find", position=1)}
    found |= {code for code, _ in raised("_find_entry", position=2)}
    assert len(found) > 30
    texts = Texts(language)
    assert sorted(code for code in found if f"finding_{code}" not in texts) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_that_the_command_uses_is_there(language: str) -> None:
    used = {code for code, _ in raised("texts")}
    used |= {
        text
        for name, call in calls()
        for keyword in call.keywords
        if name in {"Option", "Argument"} and keyword.arg == "help"
        for text in constants(keyword.value)
    }
    assert len(used) > 80
    assert sorted(used - load(language).keys()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_verifier_by_itself_calls_its_checks_what_the_command_calls_them(language: str) -> None:
    speaker, texts = Speaker(language), Texts(language)
    for check in Check:
        assert speaker(f"check_{check.value}") == texts.name("check", check.name.lower())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_of_the_domain_has_a_name(language: str) -> None:
    fields = {name for event in FIELDS.values() for name in event}
    wanted: dict[str, Iterable[str]] = {
        "state": State,
        "event": [*EVENTS, *DIRECTORY_FIELDS, *ATTESTATION_FIELDS],
        "difference": DIFFERENCES,
        "role": Role,
        "clock": RULES,
        "rule": RULES,
        "priority": Priority,
        "secrecy": Secrecy,
        "timeliness": Timeliness,
        "item": [*ITEMS, "result"],
        "rating": RATINGS,
        "channel": CHANNELS,
        "kind": Kind,
        "field": fields,
        "weekday": map(str, range(7)),
    }
    names = {f"{kind}_{code}" for kind, codes in wanted.items() for code in codes}
    assert sorted(names - load(language).keys()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_can_be_filled_in(language: str) -> None:
    texts = Texts(language)
    for code, template in load(language).items():
        if code in {"help_default", "help_required", "help_envvar"}:  # Typer fills these in
            continue
        facts = dict.fromkeys(placeholders(template), "x")
        many = re.sub(r"\{(\w+):[^|}]*\|([^}]*)\}", r"x \2", template)
        assert texts(code, **facts) == many.format(**facts)


COUNTS = (
    "agencies", "broken", "bytes", "count", "days", "driven", "entries", "errors", "files", "keys",
    "later", "more", "needed", "new", "number", "own", "parts", "people", "queued", "rows",
    "size", "skipped", "terminated", "total", "workflows",
)  # fmt: skip


def test_a_count_has_the_word_for_one_or_for_many_behind_it() -> None:
    told = Texts("en")
    assert told("verify_ok", entries=1, chains=2) == "The log is sound: 1 entry, 2 chains."
    assert told("verify_ok", entries=0, chains=1) == "The log is sound: 0 entries, 1 chain."
    assert "with 1 entry of" in told("directory_imported", entries="1"), "facts come as text too"


def test_english_counts_choose_their_word_and_vietnamese_ones_need_not() -> None:
    unchanging = re.compile(rf"\{{(?:{'|'.join(COUNTS)})\}} (?!of |to |and )[a-z]")
    wrong = [code for code, text in load("en").items() if unchanging.search(text)]
    assert sorted(set(wrong) - ALWAYS_MANY) == []
    assert [code for code, text in load("vi").items() if re.search(r"\{\w+:", text)] == []


def test_a_sentence_turns_codes_into_words() -> None:
    facts = {"event": "send_back", "state": "in_progress", "allowed": "report,submit"}
    told = sentence(Texts("vi"), "wrong_state", facts)
    assert "“send-back”" in told
    assert "“đang thực hiện”" in told
    assert "report (Cập nhật tiến độ); submit (Nộp kết quả)" in told
    closed = sentence(Texts("en"), "wrong_state", {**facts, "state": "done", "allowed": ""})
    assert "Possible now: no step, the task is closed." in closed


def test_days_are_written_as_people_write_them() -> None:
    facts = {"due_on": "2026-02-13", "today": "2026-02-16"}
    assert "13/02/2026" in sentence(Texts("vi"), "due_before_assignment", facts)


def test_an_unknown_code_shows_itself_and_its_facts() -> None:
    assert Texts("vi")("not_foreseen", task="D1") == "not_foreseen (task=D1)"
    assert Texts("vi")("unknown_task") == "unknown_task"
    assert sentence(Texts("en"), "not_foreseen", {"detail": "here"}) == "not_foreseen (detail=here)"


def test_a_detail_without_a_place_is_put_behind() -> None:
    told = sentence(Texts("en"), "not_json", {"detail": "JSONDecodeError"})
    assert told == "The data is not JSON. (JSONDecodeError)"


@pytest.mark.parametrize(
    ("argv", "environ", "language"),
    [
        ([], {}, "vi"),
        ([], {"LANG": "C"}, "vi"),
        ([], {"LANG": "POSIX"}, "vi"),
        ([], {"LANG": "de_DE.UTF-8"}, "vi"),
        ([], {"LANG": "en_US.UTF-8"}, "en"),
        ([], {"LANG": "en_US.UTF-8", "LC_ALL": "vi_VN.UTF-8"}, "vi"),
        ([], {"LANG": "vi_VN", "LC_MESSAGES": "en_GB"}, "en"),
        ([], {"LC_ALL": "", "LANG": "en_GB"}, "en"),
        (["--lang", "en"], {"LANG": "vi_VN"}, "en"),
        (["task", "list", "--lang=vi"], {"LANG": "en_US"}, "vi"),
        (["--lang", "fr"], {"LANG": "en_US"}, "en"),
        (["--lang"], {}, "vi"),
    ],
)
def test_the_language_is_asked_for_or_follows_the_locale(
    argv: list[str], environ: dict[str, str], language: str
) -> None:
    assert language_of(argv, environ) == language


def test_the_end_of_a_day_is_24_00_of_that_day() -> None:
    texts = Texts("vi")
    midnight = datetime(2026, 2, 27, 17, 0, tzinfo=UTC)
    assert texts.instant(midnight, HANOI) == "27/02/2026 24:00"
    assert texts.weekday(midnight, HANOI) == "Thứ Sáu"
    assert texts.instant(midnight + timedelta(minutes=1), HANOI) == "28/02/2026 00:01"
    assert texts.moment(midnight, HANOI) == "28/02/2026 00:00:00"
    assert texts.until(midnight, HANOI) == "27/02/2026 24:00"
    assert texts.until(midnight + timedelta(seconds=1), HANOI) == "28/02/2026 00:00:01"


def test_the_time_left_has_two_units() -> None:
    texts = Texts("vi")
    assert texts.time_left(timedelta(days=2, hours=3, minutes=4)) == "còn 2 ngày 3 giờ"
    assert texts.time_left(timedelta(hours=-3, minutes=-4)) == "quá 3 giờ 4 phút"
    assert Texts("en").time_left(timedelta(minutes=9)) == "9 min left"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_stands_in_two_files(language: str) -> None:
    """The second would quietly take the place of the first. Importing has words of its own."""
    found = sorted((ROOT / "messages" / language).glob("*.toml"))
    files = [file for file in found if file.stem not in {"intake", "people"}]
    codes = [code for file in files for code in tomllib.loads(file.read_text(encoding="utf-8"))]
    assert sorted(code for code, number in Counter(codes).items() if number > 1) == []
