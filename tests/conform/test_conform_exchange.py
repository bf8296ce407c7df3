"""How a check goes on from question to answer."""

from understudy.conform.exchange import Ask, Check, Fault, Reply, Scene, Skipped, Trial, Undecided, put

SCENE = Scene("m")


def trial(plan):
    return Trial(Check("group.name", ("CC-1.1",), "says", "costs", plan), SCENE)


def test_headers_are_changed_and_taken_out():
    ask = Ask(headers=(("user-agent", "a"), ("x-app", "cli")))
    assert ask.more(user_agent="b", x_new="c").headers == (
        ("x-app", "cli"),
        ("user-agent", "b"),
        ("x-new", "c"),
    )
    assert ask.more(x_app=None).headers == (("user-agent", "a"),)
    assert ask.once_more("why") != ask == ask.once_more("")


def test_a_plan_is_asked_step_by_step():
    def plan(scene):
        one = yield from put(Ask(b"1"))
        two, three = yield Ask(b"2"), Ask(b"3")
        return f"{scene.model} {one.status} {two.status} {three.status}"

    running = trial(plan)
    assert (running.asks, running.result) == ((Ask(b"1"),), None)
    running.tell([Reply(1)])
    assert running.asks == (Ask(b"2"), Ask(b"3"))
    running.tell([Reply(2), Reply(3)])
    result = running.result
    assert (running.asks, result.status, result.note, result.requests) == ((), "pass", "m 1 2 3", 3)
    assert result.asks == (Ask(b"2"), Ask(b"3"))


def verdict(error):
    def plan(_scene):
        yield from put(Ask())
        raise error

    running = trial(plan)
    running.tell([Reply(200)])
    return running.result


def test_verdicts():
    found = verdict(Fault("seen", "expected"))
    assert (found.status, found.seen, found.expected, found.note, found.requests) == (
        "fail",
        "seen",
        "expected",
        "",
        1,
    )
    assert (verdict(Undecided("hm")).status, verdict(Undecided("hm")).note) == ("undecided", "hm")
    assert verdict(Skipped("no")).status == "skipped"


def test_a_check_that_asks_nothing():
    def plan(_scene):
        raise Skipped("no key")
        yield ()

    result = trial(plan).result
    assert (result.status, result.requests, result.check.group, result.check.level) == (
        "skipped",
        0,
        "group",
        "must",
    )
