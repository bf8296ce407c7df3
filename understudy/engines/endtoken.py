"""The end token, taken out of a model's own text.

The embedded llama.cpp shows control tokens: with them some families mark their tool calls and their reasoning
(`[TOOL_CALLS]`, `<|channel|>`, `<|python_tag|>`), and without them nobody could tell. So it shows the token that ends an
answer, too, which is no part of it: the next prompt's template writes it again.
"""

from typing import Final

from understudy.language.events import BlockStop, Event, Listener, MessageStop, Slow, TextDelta

ENDS: Final = (
    "<|im_end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<turn|>",
    "<eos>",
    "</s>",
    "<｜end▁of▁sentence｜>",
    "<|end▁of▁sentence|>",
    "<|return|>",
    "<|end|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|end_of_turn|>",
    "<|end_of_role|>",
    "[EOS]",
    "[EOT]",
    "[e~[",
    "<EOT>",
    "<|EOT|>",
    "<|user|>",
    "<|observation|>",
    "<seed:eos>",
    "<|role_end|>",
    "<|flush|>",
)
"""The tokens with which models end their turn (llama.cpp's `llama-vocab.cpp` counts them as ends of generation)."""


class WithoutEnd:
    """A `Listener` between an engine that shows its end token and whoever must not see it.

    Args:
        listener: who is told.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._held = ""  # it looks like the end, and nothing has followed yet

    def more(self, text: str) -> Slow:
        """See `Listener`."""
        if self._held or text.endswith(ENDS):
            return self.tell([TextDelta(text)])
        return self._listener.more(text)

    def tell(self, events: list[Event]) -> Slow:
        """See `Listener`."""
        out: list[Event] = []
        for event in events:
            self._take(event, out)
        return self._listener.tell(out) if out else None

    def _take(self, event: Event, out: list[Event]) -> None:
        if isinstance(event, TextDelta):
            text, self._held = self._held + event.text, ""
            end = next((end for end in ENDS if text.endswith(end)), "")
            self._held = end
            if said := text.removesuffix(end):
                out.append(TextDelta(said))
            return
        if isinstance(event, BlockStop | MessageStop):
            self._held = ""
        elif self._held:  # more of the answer follows, so it was no end
            out.append(TextDelta(self._held))
            self._held = ""
        out.append(event)
