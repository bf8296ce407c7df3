"""Every target gets a question that it can read: pictures in words for one that cannot see, PDFs as their text for all.

Which targets cannot see is known from the settings, from what their engine tells of its models, or from a refusal: then the
target is remembered as blind, and asked once more. Toward the Claude API nothing of this happens.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from enum import Enum
from typing import Protocol

from understudy.config import Documents, Images
from understudy.dialects.words import BLIND
from understudy.engines.pool import Pool
from understudy.language.errors import EngineBlind
from understudy.language.request import Document, Image, Request, Text, change
from understudy.language.target import Target
from understudy.media.describer import Describer, sees
from understudy.media.pdfs import Pdfs
from understudy.observe import metrics
from understudy.request import media
from understudy.request.media import Medium

BLIND_SECONDS = 600.0
"""How long a refusal is remembered: an engine may be started again with another model, or with its projector."""
PERHAPS = Text("word " * 400)
"""About as long as a description that nobody has made yet."""


class Slip(Protocol):
    """What is written down of one request: see `relay.Receipt`."""

    media: str
    estimated: bool


class Fate(Enum):
    """What becomes of a picture or a document, in the words of the response header."""

    STAYS = ""
    DESCRIBED = "described by {name}"
    OMITTED = "omitted"
    NOT_FETCHED = "not fetched"
    READ = "as text"
    REFUSED = "refused"


class Media:
    """Makes questions readable.

    Args:
        pool: the engines.
        images: `[images]`.
        documents: `[documents]`.
        new_id: makes ids from their prefix.
        clock: seconds.
    """

    def __init__(
        self,
        pool: Pool,
        images: Images,
        documents: Documents,
        new_id: Callable[[str], str],
        clock: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._undescribed = Fate.OMITTED if images.missing == "omit" else Fate.REFUSED
        self._describer = Describer(pool, images, new_id)
        self._pdfs = Pdfs(documents)
        self._clock = clock
        self._blind: dict[str, float] = {}

    async def readable(self, request: Request, target: Target, slip: Slip) -> Request:
        """The question as this target can read it; `slip.media` says what was done.

        Raises:
            EngineBlind: it holds a picture, the target cannot see, and nobody is set to describe it.
            EngineError: it could not be described.
        """
        fates = self._fates(request, target, slip)
        if Fate.REFUSED in fates.values():
            raise EngineBlind(
                f"{target} cannot see pictures, and this question holds one. Ask a model that sees; or name one in"
                ' [images] describer = "engine/model" of understudy.toml, and it describes them to this one; or set'
                ' missing = "omit" there, to go on without them'
            )
        for fate in (Fate.OMITTED, Fate.NOT_FETCHED):
            metrics.PICTURES.labels(fate.value).inc(sum(found is fate for found in fates.values()))
        return await self._in_words(request, fates)

    async def countable(self, request: Request, target: Target, slip: Slip) -> Request:
        """The same, to be counted: what nobody has described yet is guessed at, and `slip.estimated` says so."""
        fates = self._fates(request, target, slip)
        guessed = {medium: PERHAPS for medium, fate in fates.items() if self._is_unknown(medium, fate)}
        slip.estimated = slip.estimated or bool(guessed)
        sure = {medium: fate for medium, fate in fates.items() if medium not in guessed}
        return await self._in_words(media.replaced(request, guessed), sure)

    def _is_unknown(self, medium: Medium, fate: Fate) -> bool:
        if fate is Fate.DESCRIBED:
            return isinstance(medium, Image) and self._describer.known(medium) is None
        return fate is Fate.REFUSED

    def found_blind(self, request: Request, target: Target) -> bool:
        """Remember that this target refused a question for its pictures; whether it holds any, to be put in words."""
        if not self._pool.engine(target.engine).facts.local:
            return False
        if not self._is_blind(target):
            self._blind[str(target)] = self._clock() + BLIND_SECONDS
        return any(isinstance(medium, Image) for medium in media.media(request))

    def _is_blind(self, target: Target) -> bool:
        if not sees(self._pool.engine(target.engine).facts, target.model):
            return True
        until = self._blind.get(str(target))
        if until is not None and until <= self._clock():
            del self._blind[str(target)]
            return False
        return until is not None

    def _fates(self, request: Request, target: Target, slip: Slip) -> Mapping[Medium, Fate]:
        """What becomes of each picture and document of a question; written down before it is done, which may take long."""
        local = self._pool.engine(target.engine).facts.local
        found = media.media(request) if local else ()
        fates = {medium: self._fate(medium, target) for medium in found}
        slip.media = _told(fates, self._describer.name)
        return fates

    def _fate(self, medium: Medium, target: Target) -> Fate:
        if isinstance(medium, Document):
            return Fate.READ if media.is_pdf(medium) or media.as_text(medium) else Fate.STAYS
        blind = self._is_blind(target)
        if medium.url:
            fetches = self._pool.engine(target.engine).facts.quirks.image_urls
            return Fate.STAYS if fetches and not blind else Fate.NOT_FETCHED
        if not blind:
            return Fate.STAYS
        return Fate.DESCRIBED if self._describer.name else self._undescribed

    async def _in_words(self, request: Request, fates: Mapping[Medium, Fate]) -> Request:
        changed = [medium for medium, fate in fates.items() if fate is not Fate.STAYS]
        found = await _all([self._words(medium, fates[medium]) for medium in changed])
        return media.replaced(request, dict(zip(changed, found, strict=True)))

    async def _words(self, medium: Medium, fate: Fate) -> Text | Document:
        if isinstance(medium, Document):
            text = media.as_text(medium)
            return text or change(medium, data="", text=await self._pdfs.text(medium.data))
        match fate:
            case Fate.DESCRIBED:
                return media.described(await self._describer.describe(medium), self._describer.name)
            case Fate.NOT_FETCHED:
                return media.not_fetched(medium)
            case _:
                return Text(BLIND)


def _told(fates: Mapping[Medium, Fate], name: str) -> str:
    """As in "2 pictures described by eyes/vl, 1 document as text"; the same picture is counted once."""
    found = Counter(
        ("document" if isinstance(medium, Document) else "picture", fate) for medium, fate in fates.items()
    )
    return ", ".join(
        f"{number} {what}{'' if number == 1 else 's'} {fate.value.format(name=name)}"
        for (what, fate), number in found.items()
        if fate is not Fate.STAYS
    )


async def _all(work: list[Coroutine[object, object, Text | Document]]) -> list[Text | Document]:
    """What all of them give. Where one fails the others are still waited for: what they find is kept for the next time.

    Raises:
        Exception: the first failure.
    """
    found = await asyncio.gather(*work, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return [one for one in found if not isinstance(one, BaseException)]
