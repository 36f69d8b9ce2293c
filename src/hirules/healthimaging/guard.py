"""Guard a boto3 client, or every HealthImaging client that a session makes.

    guard(client, gate)    puts the handlers of ``calls`` on the client's events
    guard(session, gate)   does so whenever the session makes a HealthImaging client

It is cooperative: code of the same process can take the guard off, and requests that do not come from
boto3 never meet it. A boundary is a process of its own, whose role alone may call the service.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from hirules.healthimaging.calls import SERVICE, Calls, Gate, Subject, Unlisted
from hirules.healthimaging.lookup import ImageSets
from hirules.policy.ast import PolicySet

if TYPE_CHECKING:
    from botocore.client import BaseClient

_GUARDS: WeakKeyDictionary[BaseClient, Calls] = WeakKeyDictionary()
_SESSIONS: WeakKeyDictionary[Any, tuple[Gate, Callable[..., None]]] = WeakKeyDictionary()


def guard(client_or_session: Any, gate: Gate, subject: Subject = None, *, unlisted: Unlisted | None = None, lookup_client: Any = None) -> None:
    """Decide every call of this client, or of every HealthImaging client that the session makes from now on.

    ``subject``   who asks: a mapping, or a callable that is asked at every call
    ``unlisted``  operations that are no action: ``"refuse"``, ``"allow"``, or the names of those that pass (``["GetDatastore"]``);
                  without it what the gate's configuration says, which refuses where it says nothing
    ``lookup_client``  asks for facts; without it a client of the guard's own, with the credentials and endpoint of the guarded one

    Raises ``ValueError`` for a policy set with rules on ``answer`` or ``release``: this version decides calls, not what they bring.
    Guarding again with the same gate changes only these options; with another gate it is a ``ValueError``.
    """
    _enforceable(gate)
    if unlisted is None:
        unlisted = getattr(gate, "unlisted_operations", "refuse")
    if hasattr(client_or_session, "meta"):
        _guard_client(client_or_session, gate, subject, unlisted, lookup_client)
    else:
        _guard_session(client_or_session, gate, subject, unlisted, lookup_client)


def _enforceable(gate: Gate) -> None:
    """A rule is never ignored: what leaves is not decided in this version."""
    policies = getattr(gate, "policies", None)
    for rule in policies.rules if isinstance(policies, PolicySet) else ():
        disclosed = sorted({"answer", "release"} & rule.on)
        if disclosed and rule.mode != "off":
            raise ValueError(f"the guard cannot enforce `{rule.id}`: `{disclosed[0]}` is not decided in this version; `mode: off` leaves the rule out")


def unguard(client_or_session: Any) -> None:
    """Take the guard off a client; off a session: for the clients that it makes from now on."""
    if hasattr(client_or_session, "meta"):
        calls = _GUARDS.pop(client_or_session, None)
        if calls is not None:
            calls.unregister(client_or_session)
        return
    _, handler = _SESSIONS.pop(_session(client_or_session), (None, None))
    if handler is not None:
        _emitter(client_or_session).unregister(f"creating-client-class.{SERVICE}", handler)


def _guard_client(client: BaseClient, gate: Gate, subject: Subject, unlisted: Unlisted, lookup_client: Any) -> None:
    if client.meta.service_model.service_name != SERVICE:
        raise TypeError("the client is no HealthImaging client")
    calls = _GUARDS.get(client)
    if calls is not None and calls.gate is not gate:
        raise ValueError("the client is guarded by another gate; unguard it first")
    if calls is None:
        calls = Calls(client, gate)
        calls.register(client)
        _GUARDS[client] = calls
    calls.subject, calls.unlisted = subject, unlisted
    if lookup_client is not None:
        calls.lookup = ImageSets(lambda: lookup_client)


def _guard_session(session: Any, gate: Gate, subject: Subject, unlisted: Unlisted, lookup_client: Any) -> None:
    known, handler = _SESSIONS.get(_session(session), (None, None))
    if known is not None and known is not gate:
        raise ValueError("the session is guarded by another gate; unguard it first")
    if handler is not None:
        _emitter(session).unregister(f"creating-client-class.{SERVICE}", handler)

    def creating(base_classes: list[type], **_: object) -> None:
        class Guarded:
            """Guards the client as it is made."""

            def __init__(self, *args: object, **kwargs: object) -> None:
                super().__init__(*args, **kwargs)
                _guard_client(self, gate, subject, unlisted, lookup_client)  # type: ignore[arg-type] # a BaseClient comes behind it

        base_classes.insert(0, Guarded)

    _SESSIONS[_session(session)] = (gate, creating)
    _emitter(session).register(f"creating-client-class.{SERVICE}", creating)


def _emitter(session: Any) -> Any:
    """A boto3 session has its emitter as ``events``, a botocore session as a component."""
    return session.events if hasattr(session, "events") else session.get_component("event_emitter")


def _session(session: Any) -> Any:
    """What the emitter belongs to: a boto3 session and its botocore session are one."""
    return _emitter(session)
