"""The scripted engine: answers from a script instead of a model. It ships with the product and says what it is.

For demonstrations, and for tests of everything above the engines: no sockets, no model, no clock.
"""

import asyncio
import hashlib
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from understudy.dialects.refusal import classify
from understudy.engines import Facts
from understudy.engines.performance import Beat, perform, tokens_of
from understudy.engines.script import Fault, Pause, Script, ScriptError, parse
from understudy.language.embedding import EmbeddingRequest, Embeddings
from understudy.language.errors import EngineError, EngineLost, NoTarget, PromptTooLong, UnderstudyError
from understudy.language.events import Event, Failed, Listener, Progress, told
from understudy.language.request import Request
from understudy.language.target import Model

MODEL = Model("scripted-coder", 65536, "understudy's scripted engine")
NOTICE = "these answers come from a script: no model is running"
SHIPPED = ("hello", "agent", "conform")
"""Scripts inside the package."""
KEPT = 256
"""Requests that are remembered for tests."""

Sleep = Callable[[float], Awaitable[None]]


def load(script: str | Path, variables: Mapping[str, str] | None = None) -> Script:
    """A script from a file, or one of SHIPPED by its name.

    Raises:
        ScriptError: it cannot be read or played.
    """
    if str(script) in SHIPPED:
        place = resources.files("understudy.engines") / "scripts" / f"{script}.jsonl"
        return parse(place.read_text(encoding="utf-8"), variables, f"{script}.jsonl")
    try:
        text = Path(script).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(
            f"{script}: cannot be read ({error}). Name a file, or one of {', '.join(SHIPPED)}"
        ) from error
    return parse(text, variables, str(script))


class ScriptedEngine:
    """See `Engine`.

    Args:
        script: what it says; a greeting when None.
        name: the engine's name.
        models: what it claims to serve; a prompt over a model's window is refused, as engines do.
        slots: how many answers it claims to work on at once.
        sleep: waits for a script's delays.

    Attributes:
        requests: the last KEPT requests.
        cancelled: answers that were left before their end.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        name: str = "scripted",
        models: Sequence[Model] = (MODEL,),
        slots: int = 0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.facts = Facts(name, "scripted", notice=NOTICE, slots=slots, tool_syntax="native")
        self.requests: deque[Request] = deque(maxlen=KEPT)
        self.cancelled = 0
        self._script = script or load("hello")
        self._models = {model.id: model for model in models}
        self._sleep = sleep
        self._served = 0
        self._performed = 0

    async def start(self) -> None:
        """Nothing."""

    async def models(self) -> tuple[Model, ...]:
        """What it was told to serve."""
        return tuple(self._models.values())

    async def answer(self, request: Request, session: str, listener: Listener) -> None:
        """See `Engine.answer`. What stands between two delays of the script is one batch."""
        del session  # a script has no cache to keep warm
        self.requests.append(request)
        beats = self._beats(request)
        finished = False
        try:
            await self._play(beats, listener)
            finished = True
        except UnderstudyError:
            finished = True
            raise
        finally:
            self.cancelled += not finished

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Eight numbers for each text, the same for the same text."""
        return Embeddings(tuple(map(vector_of, request.inputs)), sum(len(text) for text in request.inputs))

    async def count(self, request: Request) -> int | None:
        """As a script counts: four bytes are a token."""
        return tokens_of(request)

    async def aclose(self) -> None:
        """Nothing."""

    def _beats(self, request: Request) -> list[Beat]:
        model = self._models.get(request.model)
        if model is None:
            raise NoTarget(
                f"the scripted engine has no model {request.model!r}, only {', '.join(self._models)}"
            )
        tokens = tokens_of(request)
        if model.context and tokens > model.context:
            raise PromptTooLong(tokens, model.context)
        answer = self._script.choose(request, self._served)
        self._served += answer.when is None
        beats = perform(answer, request, input_tokens=tokens, serial=self._performed)
        self._performed += 1
        return beats

    async def _play(self, beats: list[Beat], listener: Listener) -> None:
        batch: list[Event] = []
        said = False
        for beat in beats:
            if not isinstance(beat, Pause | Fault):
                batch.append(beat)
                said = said or not isinstance(beat, Progress)
                continue
            if batch:
                await told(listener, batch)
                batch = []
            if isinstance(beat, Pause):
                await self._sleep(beat.seconds)
            elif (error := await _failure(beat)) is not None:
                if not said:
                    raise error
                await told(listener, [Failed(error)])
                return
        if batch:
            await told(listener, batch)


def vector_of(text: str | tuple[int, ...]) -> bytes:
    """A vector of length 1 for a text that means nothing: it is drawn from the text's hash."""
    numbers = [byte - 127.5 for byte in hashlib.sha256(repr(text).encode(errors="replace")).digest()[:8]]
    length = math.hypot(*numbers)
    return msgspec.json.encode([round(number / length, 6) for number in numbers])


async def _failure(fault: Fault) -> UnderstudyError | None:
    """What the fault is to the gateway; None for one that only bytes can show."""
    match fault.kind:
        case "reset":
            return EngineLost("the script dropped the connection")
        case "cut":
            return EngineLost("the script ended the answer before it was complete")
        case "garbage":
            return EngineError("the script sent something that cannot be read")
        case "error":
            return classify(fault.status, fault.message)
        case "hang":
            await asyncio.Event().wait()
    return None
