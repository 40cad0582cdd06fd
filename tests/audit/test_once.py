"""A command that was recorded twice is found, however far apart."""

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from audit.once import CommandIds, Repeated

LEAF = "ab" * 32


def test_a_repetition_is_the_later_one_and_knows_its_place() -> None:
    ids = CommandIds()
    ids.add("01" * 16, "a", 1, LEAF, 7)
    ids.add("02" * 16, "a", 2, LEAF, 8)
    ids.add("01" * 16, "a", 3, "cd" * 32, 9)
    expected = [Repeated("a", 3, "cd" * 32, "01" * 16, 9)]
    assert list(ids.repeated()) == expected
    assert list(ids.repeated()) == expected, "asking changes nothing"


def test_one_id_on_two_chains_is_of_two_commands() -> None:
    ids = CommandIds()
    ids.add("01" * 16, "a", 1, LEAF)
    ids.add("01" * 16, "b", 1, LEAF)
    assert not list(ids.repeated())


@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abc")), max_size=60), st.integers(1, 9)
)
def test_runs_on_disk_say_what_one_run_in_memory_says(
    commands: list[tuple[int, str]], run: int
) -> None:
    spilled, whole = CommandIds(run), CommandIds()
    seen = set[tuple[int, str]]()
    expected = set()
    for index, (number, chain) in enumerate(commands):
        for ids in (spilled, whole):
            ids.add(f"{number:032x}", chain, index + 1, LEAF, index)
        if (number, chain) in seen:
            expected.add(Repeated(chain, index + 1, LEAF, f"{number:032x}", index))
        seen.add((number, chain))
    assert set(spilled.repeated()) == set(whole.repeated()) == expected
    assert list(spilled.repeated()) == list(whole.repeated())


def test_more_runs_than_a_process_may_open_files() -> None:
    ids, chance = CommandIds(run=16), random.Random(1)  # noqa: S311 - a test's own
    numbers = [chance.getrandbits(128) for _ in range(40_000)]
    for index, number in enumerate([*numbers, numbers[0]]):
        ids.add(f"{number:032x}", "a", index + 1, LEAF, index)
    (found,) = ids.repeated()
    assert (found.seq, found.index) == (40_001, 40_000)


def test_memory_does_not_grow_with_the_log() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        ids = CommandIds(run=1_000)
        for index in range(count):
            ids.add(f"{index * 7919:032x}", "a", index + 1, LEAF, index)
        assert not list(ids.repeated())
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    small, large = peak(5_000), peak(20_000)
    assert large < small + 1_500_000
