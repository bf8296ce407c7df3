"""Chat templates of the tiny models, in the two ways of writing tool calls that coder models were trained on.

All are ChatML (`<|im_start|>role`, `<|im_end|>`). `hermes` writes a call as JSON inside `<tool_call>`, `qwen-xml`
as `<function=...>` with one `<parameter=...>` element each; `plain` knows nothing of tools. llama.cpp recognises
the first two by what they render and then parses calls natively.
"""

from typing import Literal

Template = Literal["hermes", "qwen-xml", "plain"]

_HEAD = """\
{%- set system = '' %}
{%- if messages and messages[0].role == 'system' %}{% set system = messages[0].content %}{% endif %}
{%- if tools %}
{{- '<|im_start|>system\\n' }}
{%- if system %}{{- system + '\\n\\n' }}{% endif %}
"""
_BODY = """\
{{- '<|im_end|>\\n' }}
{%- elif system %}
{{- '<|im_start|>system\\n' + system + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}
{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{% endif %}
{{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{% endif %}
{%- elif message.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' }}
{%- if message.reasoning_content %}
{{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}
{%- endif %}
{%- if message.content %}{{- message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}
{%- if not loop.first or message.content %}{{- '\\n' }}{% endif %}
"""
_TAIL = """\
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- elif message.role != 'system' or not loop.first %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}
"""

HERMES = (
    _HEAD
    + """\
{{- 'Tools you may call, as JSON schemas:\\n<tools>' }}
{%- for tool in tools %}{{- '\\n' + (tool | tojson) }}{% endfor %}
{{- '\\n</tools>\\nTo call one, write:\\n<tool_call>\\n{"name": <name>, "arguments": <object>}\\n</tool_call>' }}
"""
    + _BODY
    + """\
{{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{%- if call.function.arguments is string %}{{- call.function.arguments }}
{%- else %}{{- call.function.arguments | tojson }}{% endif %}
{{- '}\\n</tool_call>' }}
"""
    + _TAIL
)

QWEN_XML = (
    _HEAD
    + """\
{{- 'Tools you may call, as JSON schemas:\\n<tools>' }}
{%- for tool in tools %}{{- '\\n' + (tool | tojson) }}{% endfor %}
{{- '\\n</tools>\\nTo call one, write:\\n<tool_call>\\n<function=name>\\n<parameter=key>\\nvalue\\n</parameter>\\n' }}
{{- '</function>\\n</tool_call>' }}
"""
    + _BODY
    + """\
{{- '<tool_call>\\n<function=' + call.function.name + '>\\n' }}
{%- for key, value in call.function.arguments | items %}
{{- '<parameter=' + key + '>\\n' }}
{%- if value is string %}{{- value }}{% else %}{{- value | tojson }}{% endif %}
{{- '\\n</parameter>\\n' }}
{%- endfor %}
{{- '</function>\\n</tool_call>' }}
"""
    + _TAIL
)

PLAIN = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}
"""

TEMPLATES: dict[Template, str] = {"hermes": HERMES, "qwen-xml": QWEN_XML, "plain": PLAIN}
