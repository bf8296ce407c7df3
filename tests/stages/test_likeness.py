"""Names that were nearly right, and names that only look so."""

import pytest

from understudy.stages.likeness import folded, one_slip, renamed, tool

OFFERED = [
    "Bash",
    "Read",
    "TodoWrite",
    "mcp__github__create_issue",
    "mcp__jira__create_ticket",
    "get_user",
    "git_push",
    "task_1",
]

# called, meant, rule
TOOLS = [
    ("BASH", "Bash", "tool-case"),
    (" Bash ", "Bash", "tool-prefix"),
    ("functions.Bash", "Bash", "tool-prefix"),
    ("tools/Bash", "Bash", "tool-prefix"),
    ("default_api:bash", "Bash", "tool-case"),
    ("functions.Bash:12", "Bash", "tool-prefix"),
    ("todo-write", "TodoWrite", "tool-separators"),
    ("mcp.github.create_issue", "mcp__github__create_issue", "tool-separators"),
    ("createTicket", "mcp__jira__create_ticket", "tool-server"),
    ("jira_create_ticket", "mcp__jira__create_ticket", "tool-server"),
    ("Bash<|channel|>commentary", "Bash", "tool-prefix"),
    ("functions.Bash<|constrain|>json", "Bash", "tool-prefix"),
    ("Bash tool", "Bash", "tool-affix"),
    ("tool_read", "Read", "tool-affix"),
    ("TodoWirte", "TodoWrite", "tool-spelling"),
    ("ToddoWrit", "TodoWrite", "tool-spelling"),
    ("Readd", "Read", "tool-spelling"),
]


@pytest.mark.parametrize(("called", "meant", "rule"), TOOLS)
def test_tool(called, meant, rule):
    assert tool(called, OFFERED) == (meant, rule)


@pytest.mark.parametrize(
    "called",
    [
        "",
        "Lead",
        "Bush2",
        "set_user",
        "git_pull",
        "task_2",
        "create",
        "Write",
        "mcp__github__delete_issue",
        "x" * 500,
        "___",
    ],
)
def test_no_tool(called):
    assert tool(called, OFFERED) is None


def test_two_tools_are_none():
    assert tool("search", ["mcp__a__search", "mcp__b__search"]) is None
    assert tool("read-file", ["read_file", "ReadFile", "read_fill"]) is None


@pytest.mark.parametrize(
    ("word", "right", "same"),
    [("form", "from", True), ("fron", "from", True), ("frm", "from", True), ("froom", "from", True), ("frmo", "from", True),
     ("from", "from", False), ("fo", "from", False), ("task1", "task2", False),
     ("push", "pull", False), ("abdc", "bacd", False)],
)  # fmt: skip
def test_one_slip(word, right, same):
    assert one_slip(word, right) is same


# unknown, absent, required -> renames
PROPERTIES = [
    (["filePath"], ["file_path"], ["file_path"], {"filePath": "file_path"}),
    (["FILE-PATH"], ["file_path"], [], {"FILE-PATH": "file_path"}),
    (["path"], ["file_path"], ["file_path"], {"path": "file_path"}),
    (["path"], ["file_path"], [], {}),
    (["path", "file"], ["file_path"], ["file_path"], {}),
    (["file"], ["file_path", "notebook_path"], ["file_path", "notebook_path"], {}),
    (["query"], ["pattern"], ["pattern"], {"query": "pattern"}),
    (["comand"], ["command"], ["command"], {"comand": "command"}),
    (["comand"], ["command"], [], {"comand": "command"}),
    (["desc"], ["description"], [], {"desc": "description"}),
    (["des"], ["description"], [], {}),
    (["ons"], ["on"], [], {"ons": "on"}),
    (["cmd"], ["command"], [], {"cmd": "command"}),
    (["max_num"], ["maximum_number"], [], {"max_num": "maximum_number"}),
    (["repository"], ["repo"], ["repo"], {"repository": "repo"}),
    (["script"], ["command"], [], {}),
    (["sql", "query"], ["statement"], ["statement"], {}),
    (["start_time"], ["start"], ["start"], {"start_time": "start"}),
    (["start_time"], ["start"], [], {}),
    (["time"], ["start_time", "end_time"], ["start_time", "end_time"], {}),
    (["old_sring"], ["old_string", "new_string"], [], {"old_sring": "old_string"}),
    (["contnet_type"], ["content", "content_type"], [], {"contnet_type": "content_type"}),
    (["explanation"], ["content"], ["content"], {}),
    (["old", "new"], ["old_string", "new_string"], ["old_string", "new_string"], {"old": "old_string", "new": "new_string"}),
    ([f"k{i}" for i in range(40)], ["command"], ["command"], {}),
    ([], ["command"], ["command"], {}),
]  # fmt: skip


@pytest.mark.parametrize(("unknown", "absent", "required", "renames"), PROPERTIES)
def test_renamed(unknown, absent, required, renames):
    assert renamed(unknown, absent, required) == renames


def test_folded():
    assert {folded(name) for name in ("filePath", "file_path", "file-path", "FILE PATH")} == {"filepath"}
