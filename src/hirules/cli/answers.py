"""A decision as JSON: the shape that other programs rely on."""

from __future__ import annotations

import json
from datetime import date, datetime, time

import msgspec

from hirules.model.decision import Decision
from hirules.model.reading import Unknown
from hirules.model.request import Request, plain

INDENT = 2


def decision_json(decision: Decision, asked: Request) -> dict[str, object]:
    """``decision`` on ``asked`` for JSON."""
    return {
        "decision": decision.decision,
        "by": list(decision.by),
        "status": msgspec.to_builtins(decision.status),
        "reason": decision.reason,
        "rewritten": plain(decision.rewritten),
        "effective": request_json(decision.effective, asked),
        "notes": [builtins(note) for note in decision.notes],
        "shadow": [builtins(result) for result in decision.shadow],
        "exceptions": [builtins(use) for use in decision.exceptions],
        "errors": [{key: value for key, value in builtins(error).items() if value is not None} for error in decision.errors],
        "policies": decision.policies,
    }


def request_json(request: Request, asked: Request) -> dict[str, object]:
    """``request`` as it would be carried out, with the parts that ``asked`` gave."""
    shown: dict[str, object] = {"action": request.action, "subject": plain(request.subject), "request": plain(request.request)}
    for name in ("resource", "resource_after", "instance", "original"):
        if getattr(asked, name) is not None:
            shown[name] = plain(getattr(request, name))
    context = {name: value for name, value in request.context.items() if name in asked.context}
    if context:
        shown["context"] = plain(context)
    if asked.id:
        shown["id"] = asked.id
    return shown


def builtins(value: msgspec.Struct) -> dict[str, object]:
    """A struct as a mapping, nested mappings as they are."""
    return {name: plain(getattr(value, name)) for name in value.__struct_fields__}


def text(value: object, indent: int | None = INDENT) -> str:
    """``value`` as JSON text."""
    return json.dumps(value, indent=indent, ensure_ascii=False, default=_spelled)


def _spelled(value: object) -> object:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, Unknown):
        return None  # unknown: a key that is missing; null only inside a value
    return str(value)
