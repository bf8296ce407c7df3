import pytest

from understudy.batching.room import Room
from understudy.engines import Facts

QUIET = 20.0


class Engines:
    """A pool of one engine, as far as the room looks at it."""

    def __init__(self, slots, in_flight):
        self.facts = Facts("e", "vllm", slots=slots)
        self.flying = in_flight

    def engine(self, name):
        assert name == "e"
        return self

    def in_flight(self, name):
        assert name == "e"
        return self.flying


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def room(slots=0, in_flight=0, quiet=QUIET):
    clock = Clock()
    return Room(Engines(slots, in_flight), quiet, clock), clock


FREE = [  # slots, in flight, on their way -> is there room
    (0, 0, 0, True),
    (0, 1, 0, False),
    (0, 0, 1, False),
    (1, 0, 0, True),
    (1, 1, 0, False),
    (2, 0, 0, True),
    (2, 1, 0, False),  # the second is for people
    (2, 0, 1, False),
    (4, 2, 0, True),
    (4, 2, 1, False),
    (4, 3, 0, False),
    (4, 9, 0, False),
]


@pytest.mark.parametrize(("slots", "in_flight", "coming", "expected"), FREE)
def test_room(slots, in_flight, coming, expected):
    assert room(slots, in_flight)[0].free("e", coming) is expected


CROWDS = [(0, 0, 0), (0, 1, 0), (0, 2, 1), (1, 3, 2), (2, 2, 0), (2, 3, 1), (4, 4, 0), (4, 9, 5)]


@pytest.mark.parametrize(("slots", "in_flight", "expected"), CROWDS)
def test_crowd(slots, in_flight, expected):
    assert room(slots, in_flight)[0].crowd("e") == expected


@pytest.mark.parametrize("slots", [0, 1])
def test_a_single_slot_is_left_alone_for_a_while(slots):
    found, clock = room(slots)
    assert found.free("e")
    found.others_asked("e")
    assert not found.free("e")
    clock.now += QUIET - 0.001
    assert not found.free("e")
    clock.now += 0.001
    assert found.free("e")


def test_of_several_slots_one_is_free_anyway():
    found, _ = room(2)
    found.others_asked("e")
    assert found.free("e")


def test_without_quiet_it_is_free_at_once():
    found, _ = room(1, quiet=0.0)
    found.others_asked("e")
    assert found.free("e")
