"""The classifier: what decides, in which order, how quickly, and that it is right about plain cases."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from taskprompts import CHINESE, ENGLISH

from understudy.language.routes import TASKS
from understudy.routing import table, tasks
from understudy.routing.tasks import guess, keyword, named

PLAIN = {
    "code": [
        "Why does my Go program deadlock when two goroutines share a channel?",
        "refactor the login handler so that it no longer touches the database twice",
        "用java写一个线程安全的计数器",
        "这段SQL为什么慢？SELECT * FROM a JOIN b ON a.id = b.a_id",
        "add a --json flag to the export command and update the tests",
        "git 提交之后怎么改上一次的说明",
    ],
    "math": [
        "Find all integer solutions of 3x + 5y = 47.",
        "A tank holds 240 litres and leaks 6 litres an hour. How much is left after 15 hours?",
        "求函数 y = x^3 - 3x 在区间 [0, 2] 上的最大值",
        "小李买了7支钢笔，每支12元，付了100元，应找回多少元？",
    ],
    "reasoning": [
        "Anna is taller than Ben, Ben is taller than Cleo. Who is second tallest? Explain step by step.",
        "Analyze the strategy of a small airline that faces rising fuel prices and recommend three options.",
        "甲乙丙丁四人中只有一人说了真话，甲说是乙做的，乙说是丁做的，究竟是谁做的？",
    ],
    "docs": [
        "Summarize the following report in five bullet points:\nThe committee met to discuss the budget for roads.",
        "Explain in detail how the kidneys filter blood.",
        "请概括下面这篇文章的主要内容：茶起源于中国，最早用作药材，唐代以后饮茶之风盛行。",
    ],
    "creative": [
        "Write a short story about a lighthouse keeper who is afraid of the dark.",
        "Draft a friendly e-mail that declines an invitation to a conference.",
        "写一篇关于外婆的散文，要有画面感",
        "你是一名导游，请热情地向我介绍西安的夜市",
        "Escribe un poema sobre la lluvia en primavera",
    ],
    "translation": [
        "Translate into German: The meeting has been moved to Thursday.",
        "把下面这句话翻译成英语：明天的会议取消了。",
        "How do you say 'thank you for your patience' in Korean?",
    ],
    "chinese": [
        "“破釜沉舟”这个成语出自哪里？请造句。",
        "把下面的文言文翻译成现代汉语：山不在高，有仙则名。",
        "赏析王维《鹿柴》的意境",
        "写一首七言绝句，咏梅",
        "下列句子中没有语病的一项是",
    ],
    "general": [
        "What is the capital of Mongolia?",
        "hello",
        "你好，你是谁？",
        "推荐几个适合周末去的地方",
        "Which of the following organs produces insulin?\nA. liver\nB. pancreas\nC. kidney\nD. spleen",
    ],
}
CASES = [(text, task) for task, texts in PLAIN.items() for text in texts]


@pytest.mark.parametrize(("text", "task"), CASES)
def test_plain_cases(text, task):
    assert guess(text).task == task


@pytest.mark.parametrize(("prompts", "least"), [(CHINESE, 0.8), (ENGLISH, 0.7)], ids=["Chinese", "English"])
def test_prompts_written_by_hand(prompts, least):
    pairs = [(task, guess(text).task) for task, texts in prompts.items() for text in texts]
    assert np.mean([task == guessed for task, guessed in pairs]) > least


DEV = Path(__file__).parents[3] / "shared" / "data" / "routing" / "dev.jsonl"


@pytest.mark.skipif(not DEV.exists(), reason="the shared prompts are not here")
def test_the_table_fits_the_code():
    """Prompts it was made with: if they are guessed worse, the traits have changed and the table has not."""
    rows = [msgspec.json.decode(line) for line in DEV.read_text(encoding="utf-8").splitlines()]
    right = [guess(row["text"]).task in row["accept"] for row in rows]
    assert np.mean(right) > 0.9


def test_who_says_it_counts_more():
    assert guess("Write a poem", said="code") == tasks.Guess("code", 1.0, "said", "the request says code")
    assert guess("Write a poem", said="nonsense").task == "creative"


NAMED = [
    ("code", "code"),
    (" Coding ", "code"),
    ("documents", "docs"),
    ("zh", "chinese"),
    ("", None),
    ("poetry!", None),
]


@pytest.mark.parametrize(("word", "task"), NAMED)
def test_named(word, task):
    assert named(word) == task


def test_every_name_means_a_task():
    assert set(tasks.NAMES.values()) <= set(TASKS)
    assert not set(tasks.NAMES) & set(TASKS)


KEYWORDS = [
    ("code review bug", "code"),
    ("a bug in it", "code"),
    ("中文 翻译 古诗", "chinese"),
    ("explain document", "docs"),
    ("create story", "creative"),
    ("analyze strategy", "reasoning"),
    ("请分析一下", "reasoning"),
    ("debugging", None),
    ("storybook", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "task"), KEYWORDS)
def test_keywords(text, task):
    found = keyword(text)
    assert (found and found[0]) == task


def test_keywords_decide_where_the_table_is_not_sure():
    unsure = guess("document", sure=1.1)
    assert (unsure.task, unsure.by) == ("docs", "keywords")
    assert "'document' speaks for docs" in unsure.why
    assert guess("document", sure=0).by == "table"
    assert guess("zzz", sure=1.1).by == "table"


def test_a_guess_says_how_sure_it_is():
    found = guess("Write a Python function that reverses a list")
    assert found.confidence > 0.7
    assert found.why == f"it reads like code ({found.confidence:.0%})"


ODD = [
    "",
    " ",
    "\x00" * 500,
    "😀" * 500,
    "\ud800\udfff",
    bytes(range(256)).decode("latin-1") * 40,
    "a" * 10_000_000,
]


@pytest.mark.parametrize("text", ODD, ids=lambda text: repr(text[:4]))
def test_odd_texts_have_a_task(text):
    assert guess(text).task in TASKS


@given(st.text(alphabet=st.characters(), max_size=500))
def test_any_text_has_a_task(text):
    chances = table.probabilities(text)
    assert np.isfinite(chances).all()
    assert guess(text).confidence == pytest.approx(float(chances.max()))
