import msgspec
import pytest

from understudy.language.target import Model, Plan, Standing, Target


def test_a_target_is_shown_as_clients_may_name_it():
    assert str(Target("ollama", Model("qwen3:30b"))) == "ollama/qwen3:30b"


def test_targets_are_keys():
    one = Target("e", Model("m", 10, lacks=("tools",)))
    assert {one: 1}[Target("e", Model("m", 10, lacks=("tools",)))] == 1
    assert one != Target("e", Model("m", 20, lacks=("tools",)))


@pytest.mark.parametrize(
    "struct", [Model("m"), Target("e", Model("m")), Plan((), ""), Standing("e", "k", "up")]
)
def test_nobody_changes_them(struct):
    field = msgspec.structs.fields(struct)[0].name
    with pytest.raises(AttributeError):
        setattr(struct, field, "x")


def test_a_model_of_which_nothing_is_known_lacks_nothing():
    assert Model("m") == Model("m", 0, "", "", 0, ())


def test_states_are_the_three():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"engine": "e", "kind": "k", "state": "well"}, Standing)
