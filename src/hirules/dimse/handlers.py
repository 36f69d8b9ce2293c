"""Guard the handlers of a pynetdicom program: each request is decided before they see it.

    association ─▶ pynetdicom's own checks ─▶ decided ─▶ accepted
    request ─▶ read strictly ─▶ Desk (translate, gate, refuse) ─▶ pynetdicom's service class ─▶ the program's handler
                                                             └▶ answer, and the service class never hears of it
    what the handler gives ─▶ ``hirules.dimse.handed``: each match, instance, attribute list is decided too
    response ─▶ counted, and in the record when it is the final one

It is the gateway's desk: the same requests, the same refusals. The seam into pynetdicom is
``hirules.dimse.pynetdicom_seam``. Rule: a handler of the list is called for a decided request only;
should the seam be missing, it raises, and pynetdicom answers a failure.

The guard is cooperative: code of the same process can go around it. A boundary is a process of its own,
the gateway.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pynetdicom import evt

from hirules.dimse import pynetdicom_seam
from hirules.dimse.asking import SubjectOf, not_enforceable
from hirules.dimse.guarded import EVENTS, HANDLERS, Choices, Guarded, LookupFor, NotDecided
from hirules.dimse.release import quote_no_values
from hirules.gate import Gate

if TYPE_CHECKING:
    from pynetdicom.events import EventHandlerType


def guard(
    evt_handlers: Iterable[EventHandlerType],
    gate: Gate,
    *,
    lookup: LookupFor | None = None,
    subject: SubjectOf | None = None,
    strict_identifier: bool = False,
    strict_status: bool = False,
    preserve_ae_title_case: bool = False,
) -> list[EventHandlerType]:
    """The list to give to ``AE.start_server`` or ``AE.associate`` in the place of ``evt_handlers``.

    ``lookup``   gives the look-up for an association's requests; without it ``resource`` is unknown, and the law decides
    ``subject``  adds to who asks: verified roles, claims; it is asked for every request
    ``strict_identifier``, ``strict_status``, ``preserve_ae_title_case``  as in the gateway's options

    Raises ``UnsupportedVersion`` (a ``RuntimeError``) for another pynetdicom than those of ``pynetdicom_seam.SUPPORTED``, and ``ValueError``
    for a list that is guarded already, and for a policy set with rules that the guard cannot enforce.
    """
    pynetdicom_seam.check_version()
    if why := not_enforceable(gate.policies):
        raise ValueError(why)
    given: list[tuple[Any, ...]] = [tuple(item) for item in evt_handlers]
    if any(isinstance(item[1], _Opened) for item in given):
        raise ValueError("the handlers are guarded already")
    pynetdicom_seam.log_no_identifiers()
    quote_no_values()
    choices = Choices(lookup, subject, strict_identifier, strict_status, preserve_ae_title_case)
    # the first to hear of a connection: what another handler raises there would end the notification
    guarded: list[Any] = [(evt.EVT_CONN_OPEN, _Opened(gate, choices))]
    for event, handler, *args in given:
        wrap = _decided if event.name in EVENTS else _identified if event is evt.EVT_USER_ID else None
        guarded.append((event, handler if wrap is None else wrap(event.name, handler), *args))
    return guarded


def _decided(event_name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
    action = EVENTS[event_name]

    @functools.wraps(handler)
    def decided(event: Any, *args: Any) -> Any:
        allowed = pynetdicom_seam.marked(event.request)
        if allowed is None or allowed.action != action:
            raise NotDecided(f"a request that was not decided as `{action}`")
        result = handler(event, *args)
        return result if allowed.handed is None else allowed.handed.over(result)

    HANDLERS.add(decided)
    return decided


def _identified(event_name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handler)
    def identified(event: Any, *args: Any) -> Any:
        answer = handler(event, *args)
        watch = pynetdicom_seam.watch_of(event.assoc)
        if watch is not None:
            watch.verified = bool(answer[0])
        return answer

    return identified


class _Opened:
    """The handler of ``EVT_CONN_OPEN``: puts a :class:`Guarded` on the new association."""

    __name__ = "guard"  # pynetdicom's log names handlers

    def __init__(self, gate: Gate, choices: Choices) -> None:
        self._gate = gate
        self._choices = choices

    def __call__(self, event: Any) -> None:
        pynetdicom_seam.install(event.assoc, Guarded(event.assoc, self._gate, self._choices))
