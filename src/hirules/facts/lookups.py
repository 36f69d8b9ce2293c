"""One look-up: what it found, or why not, and what it cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence

import msgspec

from hirules.facts.cache import Cache
from hirules.facts.deadline import Deadline, LookupFailed
from hirules.model.reading import Fields
from hirules.model.request import Entities, Lookup, Request, plain
from hirules.model.vocabulary import Vocabulary

NO_FIELDS: Fields = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Of a look-up: ``entities`` or ``context``, or the ``error`` that left them unknown."""

    source: str
    needed: tuple[str, ...]
    milliseconds: float = 0.0
    entities: Entities | None = None
    context: Fields = NO_FIELDS
    cached: bool = False
    error: str | None = None

    def __repr__(self) -> str:
        return f"Answer({self.source!r}, {len(self.needed)} needed, error={self.error!r})"


class _Flight:
    """A look-up that is under way: equal ones wait for it."""

    __slots__ = ("answer", "landed")

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.answer: Answer | None = None


class Lookups:
    """Asks ``Request.lookup`` and plugins, each within ``seconds``.

    The answers of ``Request.lookup`` are kept for the actions that retrieve, since one retrieval makes
    many requests for the same study, until :meth:`forget`; equal ones at the same time are one. What a change
    is decided on is always asked anew. Plugins' facts are not kept here: they may depend on the time, and a
    plugin knows how long its own are good.
    """

    def __init__(self, vocabulary: Vocabulary, *, seconds: float = 10.0, cache_seconds: float = 5.0, cache_size: int = 1024) -> None:
        self.vocabulary = vocabulary
        """What can be looked up; that of the policy set that decides."""
        self._deadline = Deadline(seconds)
        self._cache: Cache[Entities] = Cache(cache_seconds, cache_size)
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _Flight] = {}

    def entities(self, request: Request, needed: frozenset[str]) -> Answer:
        """What ``request`` reaches, by its own look-up."""
        lookup = request.lookup
        if lookup is None:
            raise ValueError("the request has no look-up")
        age, key = self._cache.age, self._key(request, needed)
        if key is None:
            return self._entities(lookup, request, needed)
        kept = self._cache.get(key)
        if kept is not None:
            return Answer(source="lookup", needed=tuple(sorted(needed)), entities=kept, cached=True)
        # what was asked before the archive changed is another question
        flight, ours = self._boarded((key, age))
        if not ours:
            return self._awaited(flight, needed)
        try:
            flight.answer = answer = self._entities(lookup, request, needed)
            if answer.entities is not None:
                self._cache.put(key, answer.entities, age)
        finally:
            with self._lock:
                del self._flights[key, age]
            flight.landed.set()
        return answer

    def forget(self) -> None:
        """The archive has changed: no answer from before is given again."""
        self._cache.clear()

    def _entities(self, lookup: Lookup, request: Request, needed: frozenset[str]) -> Answer:
        return self._ask("lookup", needed, lambda: Answer(source="lookup", needed=(), entities=_entities(lookup(request, needed))))

    def _boarded(self, key: Hashable) -> tuple[_Flight, bool]:
        """The look-up for ``key`` that is under way, or a new one, which is ours."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            self._flights[key] = flight = _Flight()
            return flight, True

    def _awaited(self, flight: _Flight, needed: frozenset[str]) -> Answer:
        """The answer that another request waits for; it has the same deadline and began earlier."""
        begun = time.perf_counter()
        flight.landed.wait()
        spent = round((time.perf_counter() - begun) * 1000, 3)
        if flight.answer is None:
            return Answer(source="lookup", needed=tuple(sorted(needed)), milliseconds=spent, error="another request's look-up gave no answer")
        return msgspec.structs.replace(flight.answer, milliseconds=spent, cached=flight.answer.error is None)

    def facts(self, source: str, needed: frozenset[str], function: Callable[[], tuple[Entities | None, Fields]]) -> Answer:
        """What the plugin ``source`` knows: entities, context, both or nothing."""

        def ask() -> Answer:
            entities, context = function()
            return Answer(source=source, needed=(), entities=None if entities is None else _entities(entities), context=context)

        return self._ask(source, needed, ask)

    def _ask(self, source: str, needed: frozenset[str], function: Callable[[], Answer]) -> Answer:
        names = tuple(sorted(needed))
        begun = time.perf_counter()
        try:
            found = self._deadline.call(source, function)
        except LookupFailed as error:
            found = Answer(source=source, needed=names, error=str(error))
        except Exception as error:  # noqa: BLE001 - whatever a look-up raises, its facts are unknown, and the record says so
            found = Answer(source=source, needed=names, error=f"raised {type(error).__name__}")
        return msgspec.structs.replace(found, needed=names, milliseconds=round((time.perf_counter() - begun) * 1000, 3))

    def _key(self, request: Request, needed: frozenset[str]) -> Hashable | None:
        """Equal for requests that reach the same; ``None``: not to be kept."""
        action = self.vocabulary.actions.get(request.action)
        if action is None or not action.retrieve:
            return None
        selecting = {
            path.split(".")[1]
            for path, attribute in self.vocabulary.attributes.items()
            if attribute.selects and path.startswith("request.") and request.action in attribute.actions
        }
        try:
            values = msgspec.json.encode({name: plain(request.request.get(name)) for name in sorted(selecting)})
            # the look-up itself is part of the key: another client's may see another archive
            key = (request.lookup, request.action, needed, values, request.request.get("AffectedSOPClassUID"))
            hash(key)
        except (TypeError, ValueError):
            return None
        return key


def _entities(found: object) -> Entities:
    if isinstance(found, Sequence) and not isinstance(found, str | bytes) and all(isinstance(entity, Mapping) for entity in found):
        return found
    raise LookupFailed("the look-up did not answer a list of entities")
