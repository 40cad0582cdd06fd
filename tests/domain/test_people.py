"""People of the directory: roles for a time, substitutes, operators, and those who leave."""

from datetime import UTC, datetime, timedelta
from time import thread_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.directory import Directory, KeyState, Period, key_id
from domain.refusal import Refused
from tests.support.directories import (
    Keeper,
    agency,
    an_enrolment,
    founded,
    period,
    person,
    rotation,
    spki,
)
from tests.support.world import START

DAY = timedelta(days=1)
LATER = START + 10 * DAY
OFFICER = {"agency": "snv", "role": "officer"}
PLACE = {"absent": "an", "substitute": "binh", **OFFICER}


@pytest.fixture(name="keeper")
def _keeper() -> Keeper:
    """an: officer of snv, with a key. binh, cuc: no role at all, with keys. dao: operator."""
    keeper = founded("snv", "sxd")
    keeper.does("add_people", {"people": [
        person("an", ("snv", "officer")), person("binh"), person("cuc"),
        person("dao", ("snv", "operator")),
    ]})  # fmt: skip
    for who in ("an", "binh", "cuc", "dao"):
        keeper.does("enrol", an_enrolment(who, who))
    return keeper


def acts(
    directory: Directory, who: str, at: datetime, behalf: str | None = None, role: str = "officer"
) -> str:
    """What comes of it: ok, or the code with which a command of this person is refused."""
    try:
        actor = directory.actor(key_id(spki(who)), "snv", role, at, behalf)
    except Refused as refusal:
        return refusal.code
    assert (actor.person, actor.behalf) == (who, behalf)
    return "ok"


def test_a_role_counts_from_its_beginning_up_to_but_not_including_its_end(keeper: Keeper) -> None:
    keeper.does("appoint", {"person": "binh", **OFFICER, **period(START + DAY, LATER)})
    moment = timedelta(microseconds=1)
    found = [acts(keeper.directory, "binh", at) for at in (
        START, START + DAY - moment, START + DAY, LATER - moment, LATER, LATER + DAY,
    )]  # fmt: skip
    assert found == ["role_not_begun"] * 2 + ["ok"] * 2 + ["role_ended"] * 2


def test_a_role_without_an_end_counts_for_good(keeper: Keeper) -> None:
    assert acts(keeper.directory, "an", datetime(9998, 1, 1, tzinfo=UTC)) == "ok"


def test_a_dismissal_ends_the_role_when_it_was_received(keeper: Keeper) -> None:
    keeper.does("dismiss", {"person": "an", **OFFICER}, at=LATER)
    # What stood at the door before may be recorded after: it counts.
    assert acts(keeper.directory, "an", LATER - DAY) == "ok"
    assert acts(keeper.directory, "an", LATER) == "role_ended"
    assert keeper.refusal("dismiss", {"person": "an", **OFFICER}, at=LATER) == "role_ended"
    keeper.does("appoint", {"person": "an", **OFFICER, **period(LATER, None)})
    assert acts(keeper.directory, "an", LATER) == "ok"


def test_a_dismissal_up_to_the_beginning_leaves_nothing_of_the_role(keeper: Keeper) -> None:
    keeper.does("appoint", {"person": "binh", **OFFICER, **period(LATER, None)})
    keeper.does("dismiss", {"person": "binh", **OFFICER}, at=LATER)
    assert acts(keeper.directory, "binh", LATER + DAY) == "role_not_held"


def test_a_substitute_acts_for_the_absent_person_within_the_period_only(keeper: Keeper) -> None:
    keeper.does("substitute", {**PLACE, **period(START + DAY, LATER)})
    directory = keeper.directory
    assert acts(directory, "binh", START, "an") == "not_substitute"
    assert acts(directory, "binh", START + DAY, "an") == "ok"
    assert acts(directory, "binh", LATER, "an") == "not_substitute"
    # Only in this role, only for this person, and never in the substitute's own name.
    assert acts(directory, "binh", START + DAY, "an", "approver") == "not_substitute"
    assert acts(directory, "binh", START + DAY, "cuc") == "not_substitute"
    assert acts(directory, "binh", START + DAY, "nobody") == "not_substitute"
    assert acts(directory, "binh", START + DAY) == "role_not_held"
    assert acts(directory, "cuc", START + DAY, "an") == "not_substitute"
    assert acts(directory, "an", START + DAY) == "ok"


def test_a_substitute_of_a_substitute_has_nothing(keeper: Keeper) -> None:
    keeper.does("substitute", {**PLACE, **period(START, LATER)})
    onwards = {**PLACE, "absent": "binh", "substitute": "cuc"}
    assert keeper.refusal("substitute", {**onwards, **period(START, LATER)}) == "role_not_held"
    # Even one who had the role once hands on nothing while only standing in.
    keeper.does("appoint", {"person": "binh", **OFFICER, **period(START, START + DAY)})
    keeper.does("substitute", {**onwards, **period(START, LATER)})
    assert acts(keeper.directory, "cuc", START, "binh") == "ok"
    assert acts(keeper.directory, "cuc", START + DAY, "binh") == "role_ended"
    assert acts(keeper.directory, "cuc", START + DAY, "an") == "not_substitute"


def test_a_substitution_ends_with_the_role_of_the_absent_person(keeper: Keeper) -> None:
    keeper.does("substitute", {**PLACE, **period(START, LATER)})
    keeper.does("dismiss", {"person": "an", **OFFICER}, at=START + DAY)
    assert acts(keeper.directory, "binh", START, "an") == "ok"
    assert acts(keeper.directory, "binh", START + DAY, "an") == "role_ended"


def test_a_substitution_is_ended_early(keeper: Keeper) -> None:
    keeper.does("substitute", {**PLACE, **period(START, LATER)})
    keeper.does("end_substitution", PLACE, at=START + DAY)
    assert acts(keeper.directory, "binh", START, "an") == "ok"
    assert acts(keeper.directory, "binh", START + DAY, "an") == "not_substitute"
    assert keeper.refusal("end_substitution", PLACE, at=START + DAY) == "no_substitution"
    keeper.does("substitute", {**PLACE, **period(START + DAY, LATER)})


def test_who_leaves_loses_role_key_and_place_for_good(keeper: Keeper) -> None:
    keeper.does("substitute", {**PLACE, **period(START, LATER)})
    keeper.does("appoint", {"person": "cuc", **OFFICER, **period(START, None)})
    keeper.does("substitute", {**PLACE, "absent": "cuc", "substitute": "an",
                               **period(START, LATER)})  # fmt: skip
    keeper.does("leave", {"person": "an"}, at=START + DAY)
    directory = keeper.directory
    for at in (START, START + DAY):
        assert acts(directory, "an", at) == "person_left"
        assert acts(directory, "an", at, "cuc") == "person_left"
        assert acts(directory, "binh", at, "an") == "person_left"
    key = directory.keys[key_id(spki("an"))]
    assert (key.state, key.reason, directory.key_of("an")) == (KeyState.REVOKED, "left", None)
    assert [each.period.ends for each in directory.covering("an")] == [START + DAY]
    assert [each.period.ends for each in directory.substitutions["an"]] == [START + DAY]
    assert acts(directory, "cuc", LATER) == "ok"


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("leave", {"person": "an"}),
        ("clear", {"person": "an", "clearance": "secret"}),
        ("dismiss", {"person": "an", **OFFICER}),
        ("appoint", {"person": "an", **OFFICER, **period(LATER, None)}),
        ("enrol", an_enrolment("an", "2")),
        ("rotate", rotation("an", "2")),
        ("substitute", {**PLACE, **period(START, LATER)}),
        ("substitute", {**PLACE, "absent": "cuc", "substitute": "an", **period(START, LATER)}),
    ],
)
def test_who_left_never_comes_back_under_the_same_id(
    keeper: Keeper, event: str, arguments: dict[str, Any]
) -> None:
    keeper.does("leave", {"person": "an"})
    assert keeper.refusal(event, arguments, at=LATER) == "person_left"
    again = {"people": [person("an", ("snv", "officer"))]}
    assert keeper.refusal("add_people", again) == "person_exists"


def test_a_clearance_is_that_of_the_last_word(keeper: Keeper) -> None:
    key = key_id(spki("an"))
    assert keeper.directory.actor(key, "snv", "officer", START).clearance == "normal"
    keeper.does("clear", {"person": "an", "clearance": "top_secret"})
    assert keeper.directory.actor(key, "snv", "officer", START).clearance == "top_secret"


def test_a_system_operator_holds_no_other_role_at_the_same_time(keeper: Keeper) -> None:
    officer = {"person": "dao", **OFFICER}
    operator = {"person": "an", "agency": "sxd", "role": "operator"}
    assert keeper.refusal("appoint", {**officer, **period(LATER, None)}) == "operator_alone"
    assert keeper.refusal("appoint", {**operator, **period(LATER, None)}) == "operator_alone"
    standing = {**PLACE, "substitute": "dao", **period(START, LATER)}
    assert keeper.refusal("substitute", standing) == "operator_alone"
    both = person("em", ("snv", "operator"), ("snv", "officer"))
    assert keeper.refusal("add_people", {"people": [both]}) == "operator_alone"
    # At another agency, or before or after, they may.
    keeper.does("appoint", {**operator, "person": "dao", **period(START, None)})
    keeper.does("dismiss", {"person": "an", **OFFICER}, at=LATER)
    keeper.does("appoint", {**operator, **period(LATER, None)}, at=LATER)


def test_a_substitute_does_not_become_operator_meanwhile(keeper: Keeper) -> None:
    keeper.does("substitute", {**PLACE, **period(START, LATER)})
    operator = {"person": "binh", "agency": "snv", "role": "operator"}
    assert keeper.refusal("appoint", {**operator, **period(START, None)}) == "operator_alone"
    keeper.does("appoint", {**operator, **period(LATER, None)})


@pytest.mark.parametrize("role", ["inspector", "leader", "auditor", "operator", "monitor"])
def test_every_role_of_the_rules_can_be_held(keeper: Keeper, role: str) -> None:
    appointment = {"person": "binh", "agency": "snv", "role": role, **period(START, LATER)}
    keeper.does("appoint", appointment)
    assert acts(keeper.directory, "binh", START, role=role) == "ok"


NEVER = {**period(START, LATER), "until": None}


@pytest.mark.parametrize(
    ("event", "arguments", "expected"),
    [
        ("add_people", {"people": []}, "bad_argument"),
        ("add_people", {"people": {}}, "bad_argument"),
        ("add_people", {"people": ["em"]}, "bad_argument"),
        ("add_people", {"people": [{**person("em"), "key": "x"}]}, "bad_argument"),
        ("add_people", {"people": [{**person("em"), "clearance": "highest"}]}, "bad_argument"),
        ("add_people", {"people": [{**person("em"), "roles": [OFFICER]}]}, "bad_argument"),
        ("add_people", {"people": [{**person("em"), "roles": [
            {**OFFICER, "from": "soon", "until": None}]}]}, "bad_argument"),
        ("add_people", {"people": [person("")]}, "bad_argument"),
        ("add_people", {"people": [person("../em")]}, "bad_argument"),
        ("add_people", {"people": [person("e\nm")]}, "bad_argument"),
        ("add_people", {"people": [person("em"), person("em")]}, "person_exists"),
        ("add_people", {"people": [person("em"), person("an")]}, "person_exists"),
        ("add_people", {"people": [person("clock")]}, "person_exists"),
        ("add_people", {"people": [person("em", ("x", "officer"))]}, "unknown_agency"),
        ("add_people", {"people": [person("em", ("snv", "king"))]}, "unknown_role"),
        ("add_people", {"people": [person("em", ("snv", "clock"))]}, "unknown_role"),
        ("add_people", {"people": [person("em", *[("snv", "officer")] * 2)]}, "role_overlaps"),
        ("add_people", {"people": [{**person("em"), "roles": [
            {**OFFICER, **period(LATER, START)}]}]}, "period_empty"),
        ("appoint", {"person": "an", **OFFICER, **period(START, LATER)}, "role_overlaps"),
        ("appoint", {"person": "binh", **OFFICER, **period(START, START)}, "period_empty"),
        ("appoint", {"person": "em", **OFFICER, **period(START, LATER)}, "unknown_person"),
        ("appoint", {"person": "clock", **OFFICER, **period(START, LATER)}, "unknown_person"),
        ("appoint", {"person": "binh", "agency": "x", "role": "officer",
                     **period(START, LATER)}, "unknown_agency"),
        ("appoint", {"person": "binh", "agency": "snv", "role": "clock",
                     **period(START, LATER)}, "unknown_role"),
        ("appoint", {"person": "binh", **OFFICER}, "missing_argument"),
        ("dismiss", {"person": "binh", **OFFICER}, "role_not_held"),
        ("dismiss", {"person": "em", **OFFICER}, "unknown_person"),
        ("clear", {"person": "em", "clearance": "secret"}, "unknown_person"),
        ("clear", {"person": "an", "clearance": "highest"}, "bad_argument"),
        ("leave", {"person": "em"}, "unknown_person"),
        ("leave", {"person": "clock"}, "unknown_person"),
        ("substitute", {**PLACE, "absent": "em", **period(START, LATER)}, "unknown_person"),
        ("substitute", {**PLACE, "substitute": "em", **period(START, LATER)}, "unknown_person"),
        ("substitute", {**PLACE, "substitute": "clock", **period(START, LATER)}, "unknown_person"),
        ("substitute", {**PLACE, "substitute": "an", **period(START, LATER)}, "substitute_self"),
        ("substitute", {**PLACE, "agency": "x", **period(START, LATER)}, "unknown_agency"),
        ("substitute", {**PLACE, "role": "king", **period(START, LATER)}, "unknown_role"),
        ("substitute", {**PLACE, "role": "approver", **period(START, LATER)}, "role_not_held"),
        ("substitute", {**PLACE, **NEVER}, "bad_argument"),
        ("substitute", {**PLACE, **period(LATER, START)}, "period_empty"),
        ("end_substitution", PLACE, "no_substitution"),
    ],
)  # fmt: skip
def test_a_change_of_people_against_the_rules_is_refused(
    keeper: Keeper, event: str, arguments: dict[str, Any], expected: str
) -> None:
    assert keeper.refusal(event, arguments) == expected


def test_nobody_is_substituted_before_or_after_holding_the_role(keeper: Keeper) -> None:
    keeper.does("appoint", {"person": "cuc", **OFFICER, **period(START + DAY, START + 2 * DAY)})
    place = {**PLACE, "absent": "cuc"}
    before, after = period(START, START + DAY), period(START + 2 * DAY, LATER)
    assert keeper.refusal("substitute", {**place, **before}) == "role_not_begun"
    assert keeper.refusal("substitute", {**place, **after}) == "role_ended"
    keeper.does("substitute", {**place, **period(START, LATER)})
    again = {**place, **period(START + DAY, LATER)}
    assert keeper.refusal("substitute", again) == "substitution_overlaps"


HOURS = st.integers(0, 60).map(lambda hours: START + timedelta(hours=hours))
_PERIODS = st.tuples(HOURS, HOURS | st.none()).filter(
    lambda pair: pair[1] is None or pair[0] < pair[1]
)


@given(_PERIODS, _PERIODS)
def test_periods_overlap_when_they_share_a_moment(
    first: tuple[datetime, datetime | None], second: tuple[datetime, datetime | None]
) -> None:
    one, other = Period(*first), Period(*second)
    # Whole hours: what two of them share begins on an hour.
    hours = [START + timedelta(hours=number) for number in range(200)]
    shared = any(one.covers(hour) and other.covers(hour) for hour in hours)
    assert one.overlaps(other) == other.overlaps(one) == shared


@given(_PERIODS, HOURS, HOURS)
def test_a_cut_period_covers_what_lay_before_the_cut(
    given_: tuple[datetime, datetime | None], cut: datetime, at: datetime
) -> None:
    whole = Period(*given_)
    left = whole.cut(cut)
    assert (left is not None and left.covers(at)) == (whole.covers(at) and at < cut)


_WHO = st.sampled_from(["an", "binh", "cuc"])
_BOUNDED = _PERIODS.filter(lambda pair: pair[1] is not None)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("appoint"), _WHO, _WHO, _PERIODS),
        st.tuples(st.just("dismiss"), _WHO, _WHO, _PERIODS),
        st.tuples(st.just("substitute"), _WHO, _WHO, _BOUNDED),
        st.tuples(st.just("end_substitution"), _WHO, _WHO, _BOUNDED),
        st.tuples(st.just("leave"), _WHO, _WHO, _PERIODS),
    ),
    max_size=12,
)
_Model = dict[tuple[str, ...], set[datetime]]


def _spelled(
    event: str, who: str, other: str, given_: tuple[datetime, datetime | None]
) -> dict[str, Any]:
    match event:
        case "appoint":
            return {"person": who, **OFFICER, **period(*given_)}
        case "dismiss":
            return {"person": who, **OFFICER}
        case "substitute":
            return {"absent": who, "substitute": other, **OFFICER, **period(*given_)}
        case "end_substitution":
            return {"absent": who, "substitute": other, **OFFICER}
    return {"person": who}


@given(_STEPS)
@settings(max_examples=150, deadline=None)
def test_who_may_act_when_is_what_a_list_of_hours_says(
    steps: list[tuple[str, str, str, tuple[datetime, datetime | None]]],
) -> None:
    """The oracle keeps for each person, and each pair of persons, the hours in which they act."""
    keeper = founded("snv")
    keeper.does("add_people", {"people": [person(who) for who in ("an", "binh", "cuc")]})
    for who in ("an", "binh", "cuc"):
        keeper.does("enrol", an_enrolment(who, who))
    hours = [START + timedelta(hours=number) for number in range(62)]
    model: _Model = {}
    left = set[str]()
    for number, (event, who, other, given_) in enumerate(steps):
        at = hours[number * 5]
        subject: tuple[str, ...] = (who, other) if "substitut" in event else (who,)
        try:
            keeper.does(event, _spelled(event, who, other, given_), at=at)
        except Refused:
            continue
        spoken = {hour for hour in hours if Period(*given_).covers(hour)}
        if event in {"appoint", "substitute"}:
            model[subject] = model.get(subject, set()) | spoken
        elif event == "leave":
            left.add(who)
        else:
            model[subject] = {hour for hour in model[subject] if hour < at}
    for hour in hours:
        for who in ("an", "binh", "cuc"):
            direct = who not in left and hour in model.get((who,), set())
            assert (acts(keeper.directory, who, hour) == "ok") == direct
            for absent in ("an", "binh", "cuc"):
                there = left.isdisjoint({who, absent}) and hour in model.get((absent,), set())
                stands = there and hour in model.get((absent, who), set())
                assert (acts(keeper.directory, who, hour, absent) == "ok") == stands


def test_a_decision_takes_no_longer_in_a_directory_of_a_nation() -> None:
    keeper = founded("root")
    directory = keeper.directory
    for number in range(2_000):
        keeper.does("add_agency", agency(f"a{number}", "root"))
    for batch in range(100):
        people = [
            person(f"p{number}", (f"a{number % 2_000}", "officer"))
            for number in range(batch * 500, batch * 500 + 500)
        ]
        keeper.does("add_people", {"people": people})
    keeper.does("enrol", an_enrolment("p49999", "p49999"))
    keeper.does("enrol", an_enrolment("p3", "p3"))
    place = {"absent": "p49999", "substitute": "p3", "agency": "a1999", "role": "officer"}
    keeper.does("substitute", {**place, **period(START, LATER)})
    key = key_id(spki("p3"))
    begun = thread_time()
    for _ in range(1_000):
        directory.actor(key, "a1999", "officer", START, "p49999")
    assert thread_time() - begun < 1, "a decision takes more than a millisecond"
    begun = thread_time()
    for number in range(200):
        appointment = {"person": f"p{number}", "agency": "root", "role": "leader"}
        keeper.does("appoint", {**appointment, **period(START, None)})
    assert thread_time() - begun < 0.2, "a change takes more than a millisecond"
