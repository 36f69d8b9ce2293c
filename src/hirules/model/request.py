"""The request: what is about to happen, who asks, and what it would reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from hirules.model.reading import Fields

Entities = Sequence[Fields]
"""What a request reaches, one mapping an entity: a missing key is unknown, ``None`` is absent."""

Lookup = Callable[["Request", frozenset[str]], Entities]
"""``lookup(request, needed)`` answers the entities that ``request`` reaches, with at least the
``needed`` attributes (names below ``resource.``). Raises ``hirules.facts.LookupFailed``."""

EMPTY: Fields = {}


class Request(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One request, as it came. Shapes follow the native JSON of the decision service.

    ``action``   a name of the vocabulary, ``c-move``
    ``subject``  who asks, by the names below ``subject.``: ``{"ae_title": "RES_1"}``
    ``request``  the parameters, by the names below ``request.``; a DICOM data set is a mapping of
                 keyword or canonical tag to value (``hirules.model.dataset`` wraps a pydicom one)
    ``resource`` the entities it reaches, where the caller knows them; ``None``: not given, so looked
                 up with ``lookup`` and else unknown; ``()``: it is known that nothing matches
    ``resource_after`` what the rewritten request reaches, where that differs
    ``instance`` the data set about to leave or to arrive (``release``, ``answer``, ``c-store``)
    ``context``  ``now`` (``datetime`` with offset or RFC 3339 text) and what plugins add
    ``original`` for ``release`` and ``answer``: the parameters of the request that asked, as it came
    ``id``       unique; names the record. The gate gives one where it is empty

    The repr shows the action and the id only: everything else may be about a patient.
    """

    action: str
    subject: Fields = EMPTY
    request: Fields = EMPTY
    resource: Entities | None = None
    resource_after: Entities | None = None
    instance: Fields | None = None
    context: Fields = EMPTY
    original: Fields | None = None
    id: str = ""
    lookup: Lookup | None = None

    def __repr__(self) -> str:
        return f"Request({self.action!r}, id={self.id!r})"


def replaced(request: Request, /, **changes: object) -> Request:
    """``request`` with other values in some fields; the given one stays as it is."""
    return msgspec.structs.replace(request, **changes)


def plain(value: object) -> object:
    """``value`` with every mapping a ``dict`` and every sequence a ``list``: ready for JSON."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
