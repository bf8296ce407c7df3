"""Real llama.cpp makes grammars of schemas: run as a program, it reads lists of schemas and writes what became of each.

    stdin:  one JSON list of schemas a line
    stdout: one JSON list a line, of {"grammar": ..., "rule": ...} or {"error": ...}

The way is that of a tool call: the chat endpoint of llama.cpp's server, with the schemas as parameters of tools, converts
them (`common/json-schema-to-grammar.cpp`), and its sampler parses the grammar. One token is asked of a tiny model. The
text of the grammar comes back because the server is told to be talkative; what else it says goes to stderr.
"""

import json
import sys
import tempfile
from pathlib import Path

import httpx
import xllamacpp

from understudy.engines.tinygguf import write_rehearsal


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        write_rehearsal(path)
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.hostnames, params.port = ["127.0.0.1"], 0
        params.n_ctx, params.n_parallel, params.n_batch = 65_536, 1, 2_048
        params.warmup, params.verbosity = False, 10
        server = xllamacpp.Server(params)
        for line in sys.stdin:
            print(json.dumps(made(server.listening_address, json.loads(line))), flush=True)


def made(url, schemas):
    """All at once; each alone, if one of them costs the whole request."""
    status, answer = asked(url, schemas)
    if status == 200:
        settings = answer["__verbose"]["generation_settings"]
        return [{"grammar": settings["grammar"], "rule": f"tool-{i}-schema"} for i in range(len(schemas))]
    if len(schemas) == 1:
        return [{"error": answer["error"]["message"]}]
    return [result for schema in schemas for result in made(url, [schema])]


def asked(url, schemas):
    tools = [
        {"type": "function", "function": {"name": f"t{i}", "description": "", "parameters": schema}}
        for i, schema in enumerate(schemas)
    ]
    body = {
        "messages": [{"role": "user", "content": "go"}],
        "tools": tools,
        "max_tokens": 1,
        "tool_choice": "required",
    }
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    return answer.status_code, answer.json()


if __name__ == "__main__":
    main()
