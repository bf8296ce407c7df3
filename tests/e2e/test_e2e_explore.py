import time
from e2e.stage import *
from understudy.engines.child import LlamaChild
from understudy.engines.worker import WorkerSettings
STEPS = [
 ("I write the notes first.", hermes("Write", content="alpha  \nbeta\t\ngamma\n", file_path="{cwd}/notes.txt")),
 ("Two looks at once.", hermes("Bash", description="Slow look", command="sleep 0.5 && echo slow") + "\n" + hermes("Read", file_path="{cwd}/notes.txt")),
 ("An edit is next.", hermes("Edit", new_string="BETA   ", old_string="beta", file_path="{cwd}/notes.txt")),
 ("The shell adds a line.", hermes("Bash", timeout=5000.0, description="Append", command="cd {cwd} && echo delta >> notes.txt")),
 ("I look at the end.", hermes("Read", limit="2", offset="3", file_path="{cwd}/notes.txt")),
 ("How long is it now?", hermes("Bash", description="Count lines", run_in_background=False, command="wc -l < {cwd}/notes.txt")),
 ("One more file is needed.", hermes("Write", content="done \n", file_path="{cwd}/done.txt")),
 ("That was all of it.", ""),
]
TURNS = [f"{a}\n{b}".strip() for a,b in STEPS]
MARKS = [a for a,_ in STEPS]
def show(s):
    for e in s.events:
        if e["type"] in ("assistant","user"): print("  ", e["type"][:4], json.dumps(e["message"]["content"])[:300])
        elif e["type"] == "result": print("  ", json.dumps(e)[:500])
    for u in s.usages(): print("   ", u, round(u.share,3))
async def test_ours(tmp_path):
    async with embedded(tmp_path, TURNS, markers=MARKS) as stage:
        t=time.time()
        s = await stage.claude("go", "--include-partial-messages")
        print("ran", time.time()-t); t=time.time()
        show(s)
        for r in stage.log(): print({k:r.get(k) for k in ("seconds","prefix","input_tokens","cached_tokens","outcome")})
        print(await stage.outcomes())
async def test_theirs(tmp_path):
    home = Home(tmp_path/"home")
    w = weights(tmp_path, TURNS, home, markers=MARKS)
    async with LlamaChild(WorkerSettings(model=str(w), key="", alias="scripted", context=32768)) as child:
        t=time.time()
        s = await claude(home, client_environment(child.url, child.key, "scripted", 32768), "go", "--include-partial-messages")
        print("ran", time.time()-t); t=time.time()
        show(s)
