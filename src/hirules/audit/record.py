"""What the audit log holds: one line for a decision, one for each instance that leaves by it, one for its outcome, tied by the id of the request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, cast

import msgspec

from hirules.model.decision import AssociateStatus, Severity

FORMAT: Final = 1
"""The version of the lines. A field is only ever added within one version."""

Text = Annotated[str, msgspec.Meta(min_length=1)]


class LookupCost(msgspec.Struct, frozen=True, kw_only=True):
    """One look-up that a decision needed, and what it cost."""

    source: Annotated[Text, msgspec.Meta(description="`lookup` of the enforcement point, or `plugin:name`")]
    needed: Annotated[tuple[str, ...], msgspec.Meta(description="the attributes that rules still needed")]
    milliseconds: Annotated[float, msgspec.Meta(ge=0)]
    entities: Annotated[int | None, msgspec.Meta(description="how many entities came back; null where it failed or asked for context only")] = None
    cached: bool = False
    error: str | None = None


class RecordedNote(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit rule or a plugin's audit verdict adds."""

    source: Text
    severity: Severity = "low"
    note: str = ""
    include: Annotated[dict[str, Any], msgspec.Meta(description="the attributes that the rule includes; identifying values only where configured")] = {}


class RecordedShadow(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule in shadow would have done; the places that it would have edited, without values."""

    rule: Text
    effect: str
    outcome: str
    edits: tuple[str, ...] = ()


class RecordedException(msgspec.Struct, frozen=True, kw_only=True):
    """An exception that suspended a rule."""

    exception: Text
    rule: Text
    reason: str
    approved_by: str = ""


class RecordedError(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was unknown or failed, and the rule or plugin that it touched."""

    source: Text
    message: str
    path: str | None = None
    at: str | None = None


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True, tag="decision", tag_field="entry", forbid_unknown_fields=True):
    """A decision: on disk before the request is carried out or refused."""

    format: Literal[1] = FORMAT
    id: Annotated[Text, msgspec.Meta(description="the id of the request")]
    time: Annotated[datetime, msgspec.Meta(tz=True, description="when it was decided")]
    action: Text
    subject: Annotated[dict[str, Any], msgspec.Meta(description="who asked: the system, and the user where verified")] = {}
    request: Annotated[dict[str, Any], msgspec.Meta(description="the parameters that identify nobody; all of them only where configured")] = {}
    decision: Literal["allow", "deny"]
    by: Annotated[tuple[str, ...], msgspec.Meta(description="the determining rules; empty when `combining` decided")] = ()
    status: int | str | AssociateStatus | None = None
    reason: str = ""
    rewritten: Annotated[tuple[str, ...], msgspec.Meta(description="the paths whose values were changed")] = ()
    values: Annotated[dict[str, Any] | None, msgspec.Meta(description="the new values, only where configured")] = None
    removed_keys: Annotated[tuple[str, ...], msgspec.Meta(description="keys that the gateway took out, because a retrieve does not have them")] = ()
    notes: tuple[RecordedNote, ...] = ()
    shadow: tuple[RecordedShadow, ...] = ()
    exceptions: tuple[RecordedException, ...] = ()
    errors: tuple[RecordedError, ...] = ()
    lookups: tuple[LookupCost, ...] = ()
    policies: Annotated[str, msgspec.Meta(description="the digest of the policy set that decided")]


class OutcomeRecord(msgspec.Struct, frozen=True, kw_only=True, tag="outcome", tag_field="entry", forbid_unknown_fields=True):
    """What became of a request: final status, counts, failures."""

    format: Literal[1] = FORMAT
    id: Annotated[Text, msgspec.Meta(description="the id of the request whose decision this completes")]
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    outcome: Annotated[dict[str, Any], msgspec.Meta(description="as the enforcement point reports it; never a value of a patient")]


class InstanceRecord(msgspec.Struct, frozen=True, kw_only=True, tag="instance", tag_field="entry", forbid_unknown_fields=True):
    """An instance that a retrieve brings is about to leave: written before its first byte does."""

    format: Literal[1] = FORMAT
    id: Annotated[Text, msgspec.Meta(description="the id of the request whose decision let it leave")]
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    instance: Annotated[
        Text, msgspec.Meta(description="`sha256:` and the hash of its SOP Instance UID, by which it can be looked for; the UID itself only where configured")
    ]


Record = DecisionRecord | InstanceRecord | OutcomeRecord


def schema() -> dict[str, Any]:
    """The JSON Schema of one line (``schemas/audit-record.schema.json``)."""
    (described,), components = msgspec.json.schema_components([Record], ref_template="#/$defs/{name}")
    described_lines = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://hirules.dev/schemas/audit-record.schema.json",
        "title": "hirules audit record",
        "description": "One line of the audit log (JSON Lines).",
        # `discriminator` is OpenAPI's; the constant `entry` of each kind says the same to JSON Schema
        "oneOf": described.get("anyOf", described.get("oneOf")),
        "$defs": components,
    }
    return cast(dict[str, Any], msgspec.json.decode(msgspec.json.encode(described_lines)))


def encode(record: Record) -> bytes:
    """One line, with its newline."""
    return _ENCODER.encode(record) + b"\n"


def decode(line: bytes) -> Record:
    """One line as a record. Raises ``msgspec.ValidationError``."""
    return _DECODER.decode(line)


def _spelled(value: object) -> object:
    """Values of requests that JSON has no form for: numbers of DICOM, addresses, UIDs of pydicom."""
    return str(value)


_ENCODER = msgspec.json.Encoder(enc_hook=_spelled)
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)

Values = Mapping[str, object]
