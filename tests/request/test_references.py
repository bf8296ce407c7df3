"""References: which way each is."""

import pytest

from understudy.request.references import INLINED, References, Way

TREE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}
LEAF = {"type": "string"}
ROOT = {"$defs": {"tree": TREE, "leaf": LEAF, "any": True, "a b_c": {"type": "null"}}}


def references(recursive=(), *, followed=True, shared_names=False, root=ROOT):
    known = frozenset(id(target) for target in recursive)
    return References(root, known, followed=followed, shared_names=shared_names)


@pytest.mark.parametrize(
    ("ref", "way", "target"),
    [
        ("#/$defs/leaf", Way.INLINE, LEAF),
        ("#/$defs/any", Way.ANYTHING, {}),
        ("#/$defs/nothing", Way.NOWHERE, {}),
        ("http://127.0.0.1:9/x", Way.NOWHERE, {}),
        (7, Way.NOWHERE, {}),
        ("#", Way.ITSELF, {}),
    ],
)
def test_ways(ref, way, target):
    assert references().lead(ref, alone=True) == (way, target)


def test_below_an_id_nothing_is_followed():
    assert references(followed=False).lead("#/$defs/leaf", alone=True) == (Way.NOWHERE, {})


def test_what_is_met_inside_itself_leads_back():
    refs = references()
    with refs.inlining(TREE):
        assert refs.lead("#/$defs/tree", alone=True) == (Way.ITSELF, {})
        with refs.inside():
            assert refs.lead("#/$defs/tree", alone=True) == (Way.BACK, TREE)
        assert refs.lead("#/$defs/tree", alone=True) == (Way.ITSELF, {})
    assert refs.lead("#/$defs/tree", alone=True) == (Way.INLINE, TREE)
    assert refs.met == {id(TREE)}


def test_a_known_one_is_kept_where_it_stands_alone_and_not_at_the_start():
    refs = references([TREE])
    assert refs.lead("#/$defs/tree", alone=True) == (Way.INLINE, TREE)
    with refs.inside():
        assert refs.lead("#/$defs/tree", alone=False) == (Way.INLINE, TREE)
        assert refs.lead("#/$defs/tree", alone=True) == (Way.KEPT, TREE)
    assert refs.kept(TREE, "#/$defs/tree") == {"$ref": "#/$defs/tree"}
    assert refs.kept(TREE, "#/$defs/tree") == {"$ref": "#/$defs/tree"}
    assert refs.waiting == [(TREE, "tree")]
    refs.define(TREE)
    assert refs.lead("#/$defs/tree", alone=True) == (Way.ITSELF, {})


def test_names_are_plain_and_differ():
    refs = references()
    targets = [{}, {}, {}, {}]
    names = ["#/$defs/a b_c", "#/properties/a%20b_c/abc", "#", "#/$defs/" + "n" * 90]
    found = [refs.kept(target, name)["$ref"] for target, name in zip(targets, names, strict=True)]
    assert found == ["#/$defs/abc", "#/$defs/abc-2", "#/$defs/root", "#/$defs/" + "n" * 40]


def test_shared_names_say_which_document_they_are_from():
    one, other = references(shared_names=True), references(shared_names=True, root={**ROOT, "title": "x"})
    name, elsewhere = one.kept(TREE, "#/$defs/tree")["$ref"], other.kept(TREE, "#/$defs/tree")["$ref"]
    assert name != elsewhere
    assert name.startswith("#/$defs/tree-")
    assert references(shared_names=True, root={}).kept(TREE, name) == {"$ref": name}


def test_targets_have_a_ceiling():
    large = {"enum": ["x" * (INLINED // 3)]}
    refs = references(root={"$defs": {"large": large}})
    ways = [refs.lead("#/$defs/large", alone=True)[0] for _ in range(4)]
    assert ways == [Way.INLINE, Way.INLINE, Way.NOWHERE, Way.NOWHERE]
