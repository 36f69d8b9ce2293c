"""Facts about studies, series and instances, asked of the upstream by C-FIND.

    Archives.of(association) ─▶ Lookup(request, needed) ─▶ entities

    own       one query at the level of the entities: their attributes, and those of the levels above, which most archives add
    above     what it did not tell is asked at its own level, once a patient or study
    below     attributes of series and instances for a study, and what an archive does not count, are collected level by level

A UID that is not answered is an entity without a key: everything about it is unknown. Any end but success leaves the whole
look-up unknown. Queries are hierarchical (PS3.4 §C.4.1.2.1), so every archive takes them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from hirules.dimse.association import Association
from hirules.dimse.lookup_pool import Pool
from hirules.dimse.lookup_query import COLLECTED, COUNTS, LEVELS, Target, identifier, keywords, level_of, match, not_told, number, target_of, told, verified
from hirules.dimse.lookup_scu import PATIENT_ROOT, STUDY_ROOT, Connect, Node, NotAccepted, NotAnswered, Refused, connect
from hirules.dimse.negotiation import canonical_ae_title
from hirules.dimse.options import Options
from hirules.dimse.retrieve import UNIQUE_KEYS
from hirules.dimse.upstreams import toward
from hirules.facts import LookupFailed
from hirules.model.reading import Fields, Unknown
from hirules.model.request import Entities, Request

_UIDS_A_QUERY = 200
_MARGIN = 0.95
"""Of the deadline of the gate's look-ups: what is asked here ends before nobody listens any more."""


class Archives:
    """Makes the look-ups of the gateway's associations; they share one pool. ``seconds`` is the gate's deadline."""

    def __init__(self, options: Options, seconds: float = 10.0, *, connect: Connect = connect) -> None:
        self._options = options
        self._seconds = seconds * _MARGIN
        self._pool = Pool(options.lookup_associations, options.lookup_idle, connect)

    def of(self, association: Association) -> ArchiveLookup:
        """The look-up for the requests of ``association``, at the upstream that it goes to."""
        options = toward(self._options, association.upstream or self._options.upstream)
        if options is None:
            raise ValueError("the association goes to no upstream")
        calling = options.lookup_ae_title or options.calling_ae_title or canonical_ae_title(association.calling_ae_title, options)
        return ArchiveLookup(self, nodes_of(options), calling)

    def entities(self, nodes: tuple[Node, ...], calling: str, request: Request, needed: frozenset[str]) -> Entities:
        """What ``request`` reaches, asked of the first node that answers. Raises :class:`LookupFailed`."""
        target = target_of(request)
        until = time.monotonic() + self._seconds
        ordered = self._pool.ordered(nodes)
        for at, node in enumerate(ordered):
            now = time.monotonic()
            # one that is silent leaves its share to those after it
            deadline = now + (until - now) / (len(ordered) - at)
            try:
                return self._asked(node, calling, deadline, target, needed)
            except NotAnswered:
                if at + 1 == len(ordered):
                    raise
        raise LookupFailed("no archive answers look-ups")

    def close(self) -> None:
        """Release the associations."""
        self._pool.close()

    def _asked(self, node: Node, calling: str, deadline: float, target: Target, needed: frozenset[str]) -> Entities:
        def inquiry(patient_root: bool) -> Inquiry:
            return Inquiry(self._pool, node, calling, deadline, self._options, needed, patient_root=patient_root)

        if target.patient_root:
            try:
                return inquiry(True).entities(target)
            except NotAccepted:
                pass  # Study Root reaches the same: a patient's studies by its id, all else by its UIDs
        return inquiry(False).entities(target)


def nodes_of(options: Options) -> tuple[Node, ...]:
    """The archives that are asked about an upstream, in their order."""
    return tuple(map(Node.of, options.lookup_nodes)) or (Node(options.upstream_ae_title, options.upstream_host, options.upstream_port),)


class ArchiveLookup:
    """``lookup(request, needed)``. Equal where the same archive is asked under the same title: then the answer is the same, too."""

    __slots__ = ("_archives", "_calling", "_nodes")

    def __init__(self, archives: Archives, nodes: tuple[Node, ...], calling: str) -> None:
        self._archives = archives
        self._nodes = nodes
        self._calling = calling

    def __call__(self, request: Request, needed: frozenset[str]) -> Entities:
        """The entities that ``request`` reaches. Raises :class:`LookupFailed`."""
        return self._archives.entities(self._nodes, self._calling, request, needed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArchiveLookup) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[int, tuple[Node, ...], str]:
        return id(self._archives), self._nodes, self._calling


class Inquiry:
    """The queries of one look-up at one node, within one deadline and one number of matches."""

    def __init__(self, pool: Pool, node: Node, calling: str, deadline: float, options: Options, needed: frozenset[str], *, patient_root: bool) -> None:
        self._pool = pool
        self._node = node
        self._calling = calling
        self._deadline = deadline
        self._left = options.lookup_matches
        self._kept = options.lookup_kept
        self._patient_root = patient_root
        self._wanted = keywords(needed)
        self._counting = "instance_count" in needed
        self._shared: dict[tuple[object, ...], list[Fields]] = {}
        """Answers that several entities, or several attributes, share."""

    def entities(self, target: Target) -> list[Fields]:
        """The entities of ``target`` with the attributes that are needed. Raises :class:`LookupFailed`."""
        answers = self._own(target)
        entities = [self._entity(target.level, answer) for answer in answers]
        if target.key == "PatientID":
            return entities
        found = {answer.get(target.key) for answer in answers}
        return [*entities, *({} for value in target.values if value not in found)]

    # -- one entity -------------------------------------------------------------------------------

    def _entity(self, level: str, answer: Fields) -> Fields:
        entity: dict[str, object] = {name: answer[name] for name in UNIQUE_KEYS.values() if told(answer.get(name))}
        entity |= {name: self._value(level, answer, name) for name in self._wanted}
        if self._counting:
            entity["instance_count"] = self._count(level, answer)
        return entity

    def _value(self, level: str, answer: Fields, name: str) -> object:
        study = _collecting(level, name)
        if study is None and self._is_below(name, level):
            return self._collected(level, answer, name)
        value = self._told(level, answer, study or name)
        if told(value):
            return value
        if study is not None:
            return self._collected(level, answer, name)
        if name in COLLECTED:
            return self._collected("STUDY", answer, COLLECTED[name])
        return not_told(value, name, self._kept)

    def _told(self, level: str, answer: Fields, name: str) -> object:
        """What the archive tells at the level of the entity, else at the attribute's own."""
        value, own = answer.get(name), self._level(name, level)
        if told(value) or own == level:
            return value
        missing = frozenset(each for each in self._here(level) if self._level(each, level) == own and not told(answer.get(each)))
        values = [each.get(name) for each in self._above(own, answer, missing)]
        return values[0] if len(values) == 1 else Unknown("the archive answered it more than once") if values else None

    def _collected(self, scope: str, answer: Fields, name: str) -> object:
        """The values that the series or instances of an entity have."""
        answers = self._all(answer, scope, self._level(name, scope))
        if not answers:
            return Unknown("the archive answered nothing below the entity")
        found: list[object] = []
        for each in answers:
            value = each.get(name)
            value = value if told(value) else not_told(value, name, self._kept)
            for one in value if isinstance(value, list | tuple) else [value]:
                if one is not None and one not in found:
                    found.append(one)
        return found or None

    def _count(self, level: str, answer: Fields) -> object:
        """The instances of an entity: told, else counted."""
        if level == "IMAGE":
            return 1
        counted = number(answer.get(COUNTS[level]))
        if counted is None:
            counted = len(self._all(answer, level, "IMAGE"))
        return counted or Unknown("the archive tells of no instances of an entity that it has")

    # -- which attributes where -------------------------------------------------------------------

    def _here(self, level: str) -> frozenset[str]:
        """What is asked at the level of the entities: all that is not below it; of a study its modalities instead of each series'."""
        names = {_collecting(level, name) or name for name in self._wanted}
        return frozenset(name for name in names if not self._is_below(name, level)) | ({COUNTS[level]} if self._counting and level in COUNTS else set())

    def _at(self, level: str) -> frozenset[str]:
        """What is asked of series, or instances, that lie below an entity."""
        names = {*self._wanted, *(COLLECTED[name] for name in COLLECTED if name in self._wanted)}
        return frozenset(name for name in names if self._level(name, "STUDY") == level)

    def _level(self, name: str, entity: str) -> str:
        return level_of(name, entity, patient_root=self._patient_root)

    def _is_below(self, name: str, level: str) -> bool:
        return LEVELS.index(self._level(name, level)) > LEVELS.index(level)

    # -- queries ----------------------------------------------------------------------------------

    def _own(self, target: Target) -> list[Fields]:
        """The answers at the level of the entities."""
        level, here, above = target.level, self._here(target.level), dict(target.above)
        if not self._patient_root:
            above.pop("PatientID", None)
        if target.key == "PatientID":
            above["StudyInstanceUID"] = ""
        elif level == "IMAGE" and not above:
            # named by its UID alone: some archives take no query without the keys of the levels above
            above = {"StudyInstanceUID": "", "SeriesInstanceUID": ""}
        answers: list[Fields] = []
        for at in range(0, len(target.values), _UIDS_A_QUERY):
            keys = {**above, target.key: target.values[at : at + _UIDS_A_QUERY]}
            try:
                answers += self._find(level, keys, here)
            except Refused:
                plain = frozenset(name for name in here if self._level(name, level) == level)
                if plain == here:
                    raise
                # it does not take keys of other levels: those are asked there
                answers += self._find(level, keys, plain)
        return answers

    def _above(self, level: str, answer: Fields, wanted: frozenset[str]) -> list[Fields]:
        """The patient or study that an entity belongs to, with ``wanted``."""
        keys = self._hierarchy(answer, level)
        return [] if keys is None else self._once(level, keys, wanted)

    def _all(self, answer: Fields, scope: str, level: str) -> list[Fields]:
        """All series or instances (``level``) of the entity of level ``scope`` that an answer is about."""
        keys = self._hierarchy(answer, scope)
        if keys is None:
            raise LookupFailed("the archive's answer does not say what it is about")
        below = LEVELS[LEVELS.index(scope) + 1]
        found = self._once(below, {**keys, UNIQUE_KEYS[below]: ""}, self._at(below))
        return found if below == level else [each for one in found for each in self._all(one, below, level)]

    def _once(self, level: str, keys: Mapping[str, object], wanted: frozenset[str]) -> list[Fields]:
        key = (level, tuple(keys.items()), wanted)
        known = self._shared.get(key)
        if known is None:
            known = self._shared[key] = self._find(level, keys, wanted)
        return known

    def _find(self, level: str, keys: Mapping[str, object], wanted: frozenset[str]) -> list[Fields]:
        sop_class = PATIENT_ROOT if self._patient_root else STUDY_ROOT
        found = self._pool.find(self._node, self._calling, sop_class, identifier(level, keys, wanted), self._left, self._deadline)
        self._left -= len(found)
        return [verified(match(data), level, keys) for data in found]

    def _hierarchy(self, answer: Fields, level: str) -> dict[str, object] | None:
        """The unique keys down to ``level`` of what an answer is about; ``None`` where it lacks one."""
        names = LEVELS[0 if self._patient_root else 1 : LEVELS.index(level) + 1]
        keys = {UNIQUE_KEYS[name]: answer.get(UNIQUE_KEYS[name]) for name in names}
        return keys if all(isinstance(value, str) and value for value in keys.values()) else None


def _collecting(level: str, name: str) -> str | None:
    """For a study: its attribute that collects ``name`` of its series or instances."""
    return next((study for study, each in COLLECTED.items() if each == name), None) if level == "STUDY" else None
