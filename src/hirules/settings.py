"""The configuration file: what a gate and its gateway are made of.

    YAML ─▶ document (positions) ─▶ values ─▶ JSON Schema (every mistake) ─▶ Settings (frozen)

The schema comes from the structs below and is published as ``schemas/configuration.schema.json``.
Paths in the file are relative to its folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import jsonschema
import msgspec
from msgspec import Meta
from pydicom.datadict import tag_for_keyword

from hirules.dimse.identity import IdentitySettings
from hirules.dimse.options import Destination, Options, Upstream
from hirules.dimse.tls import ClientTls, ServerTls
from hirules.policy.document import Document, MappingNode, Node, ScalarNode, parse
from hirules.policy.findings import Finding, PolicyError, did_you_mean, listed

_ENDPOINT = r"^[^@\\]{1,16}@(\[[0-9A-Fa-f:.]+\]|[^@:\[\]]+):[0-9]{1,5}$"
Peer = Annotated[str, Meta(pattern=_ENDPOINT)]
AeTitle = Annotated[str, Meta(min_length=1, max_length=16)]
_ADDRESS = r"^(\[[0-9A-Fa-f:.]+\]|[^@:\[\]\s]+):[0-9]{1,5}$"


class Endpoint(msgspec.Struct, frozen=True):
    """``AET@HOST:PORT``."""

    ae_title: str
    host: str
    port: int


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the record goes, and what it shows."""

    file: Annotated[str, Meta(description="JSON Lines, appended to; on disk before a request goes on", min_length=1)]
    identifying_values: Annotated[bool, Meta(description="write values that identify patients: parameters, rewritten values, full reasons")] = False


class FactSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long look-ups may take, and how long their answers are good."""

    deadline: Annotated[float, Meta(gt=0, le=300, description="seconds for one look-up; later its facts are unknown")] = 10.0
    cache: Annotated[float, Meta(ge=0, le=30, description="seconds that an answer is kept, for retrievals only; 0 keeps none")] = 5.0
    cache_size: Annotated[int, Meta(ge=0, le=1_000_000, description="answers that are kept at most")] = 1024


class HealthImagingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The HealthImaging guard."""

    unlisted_operations: Annotated[
        Literal["refuse", "allow"] | tuple[str, ...], Meta(description="operations that are no action: refuse or allow all, or name those that pass")
    ] = "refuse"


class DeliverySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the instances of a C-MOVE to one destination travel: one of both."""

    through: Annotated[Peer | None, Meta(description="`AET@HOST:PORT`: the upstream sends to the gateway, which sends on to this one")] = None
    direct: Annotated[
        Annotated[str, Meta(min_length=1, max_length=16)] | None,
        Meta(description="the upstream sends itself, to the destination that it knows by this AE title"),
    ] = None
    tls: Annotated[ClientTls | None, Meta(description="TLS towards a `through` destination; left out: none")] = None

    def destination(self, name: str) -> Destination:
        """As the gateway knows it; ``name`` is its own among the deliveries."""
        if self.through is None:
            return Destination(str(self.direct).strip())
        to = endpoint(self.through)
        return Destination(to.ae_title, to.host, to.port, tls=name if self.tls is not None else "")


class UpstreamSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One more archive behind the gateway."""

    address: Annotated[Peer, Meta(description="`AET@HOST:PORT`")]
    called: Annotated[tuple[AeTitle, ...], Meta(description="the AE titles under which the gateway answers for it; none: only rules lead to it")] = ()
    calling_ae_title: Annotated[AeTitle | None, Meta(description="what it sees; left out: the `calling_ae_title` of all")] = None
    lookup_nodes: Annotated[tuple[Peer, ...], Meta(description="archives that are asked what a request reaches, in this order; left out: it itself")] = ()
    tls: Annotated[ClientTls | None, Meta(description="TLS towards it; left out: none")] = None


class DimseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The DIMSE gateway. Sizes are bytes, times are seconds."""

    listen: Annotated[str, Meta(pattern=_ENDPOINT, description="`AET@HOST:PORT`; port 0 takes a free one")]
    upstream: Annotated[str, Meta(pattern=rf"{_ENDPOINT}|^embedded:.+$", description="`AET@HOST:PORT`, or `embedded:DIR` for a folder of DICOM files")]
    upstreams: Annotated[
        dict[str, UpstreamSettings], Meta(description="more archives, by a name of their own; `request.upstream` of `associate` is that name")
    ] = {}
    tls: Annotated[ServerTls | None, Meta(description="TLS towards clients; left out: none")] = None
    upstream_tls: Annotated[ClientTls | None, Meta(description="TLS towards `upstream`; left out: none")] = None
    identity: Annotated[IdentitySettings, Meta(description="who verifies users (PS3.7 §D.3.3.7)")] = IdentitySettings()
    destinations: Annotated[dict[str, Peer], Meta(description="move destinations of the embedded upstream, by a name of their own")] = {}
    deliveries: Annotated[
        dict[str, DeliverySettings], Meta(description="move destinations, by AE title; one that is left out is direct, by its own title")
    ] = {}
    move_ae_title: Annotated[
        Annotated[str, Meta(min_length=1, max_length=16)] | None,
        Meta(description="as which move destination the upstream knows the gateway; left out: as the AE title of `listen`"),
    ] = None
    delivery_addresses: Annotated[tuple[str, ...], Meta(description="hosts from which the upstream delivers to the gateway, beside its own")] = ()
    calling_ae_title: Annotated[str | None, Meta(description="what the upstream sees; left out: the client's own title")] = None
    strict_identifier: Annotated[bool, Meta(description="refuse a retrieve with keys that a retrieve does not have, instead of taking them out")] = False
    strict_status: Annotated[bool, Meta(description="answer a refused C-FIND with 0xC000, since its own status list lacks 0x0124")] = False
    preserve_ae_title_case: Annotated[bool, Meta(description="forward AE titles in the case that the client used")] = False
    allow_relational: Annotated[bool, Meta(description="leave relational queries and retrieves in the extended negotiation")] = False
    allow_fuzzy: Annotated[bool, Meta(description="leave fuzzy matching in the extended negotiation")] = False
    allow_combined_date_time: Annotated[bool, Meta(description="leave combined date-time matching in the extended negotiation")] = False
    lookup_nodes: Annotated[tuple[Peer, ...], Meta(description="archives that are asked what a request reaches, in this order; left out: the upstream")] = ()
    lookup_ae_title: Annotated[
        Annotated[str, Meta(min_length=1, max_length=16)] | None,
        Meta(description="as whom they are asked; it must see at least what each client sees; left out: as whom the upstream sees the client"),
    ] = None
    lookup_kept: Annotated[
        tuple[str, ...], Meta(description="optional keys that the archive keeps: of these a zero-length answer is absent and not unknown")
    ] = ()
    lookup_matches: Annotated[int, Meta(gt=0, description="matches of one look-up; beyond, what the request reaches is unknown")] = 10_000
    lookup_associations: Annotated[int, Meta(gt=0, description="for look-ups, at the same time")] = 8
    lookup_idle: Annotated[float, Meta(ge=0, description="until an unused association for look-ups is released")] = 5.0
    command_size: Annotated[int, Meta(gt=0, description="of a command set")] = 64 * 1024
    identifier_size: Annotated[int, Meta(gt=0, description="of an identifier, which is held until it is complete")] = 1024 * 1024
    data_set_size: Annotated[int, Meta(gt=0, description="of the data set of an N service, which is held too")] = 64 * 1024 * 1024
    pdu_length: Annotated[int, Meta(gt=0, description="of a P-DATA-TF PDU")] = 1 << 30
    associate_length: Annotated[int, Meta(gt=0, description="of an A-ASSOCIATE-RQ or -AC")] = 1024 * 1024
    associations: Annotated[int, Meta(gt=0, description="at the same time")] = 100
    associations_per_address: Annotated[int, Meta(gt=0, description="from one address, at the same time")] = 80
    associations_per_ae_title: Annotated[int, Meta(gt=0, description="of one calling AE title, at the same time")] = 80
    artim_timeout: Annotated[float, Meta(gt=0, description="for the A-ASSOCIATE-RQ after the connection (PS3.8 §9.1.5)")] = 30.0
    connect_timeout: Annotated[float, Meta(gt=0, description="for the upstream's connection")] = 10.0
    acceptance_timeout: Annotated[float, Meta(gt=0, description="for the upstream's answer to an A-ASSOCIATE-RQ")] = 30.0
    idle_timeout: Annotated[float, Meta(gt=0, description="without a byte in either direction, and without an instance of a C-MOVE that goes through")] = 1800.0
    send_timeout: Annotated[float, Meta(gt=0, description="that a peer takes no byte of what is sent to it, or a destination does not answer an instance")] = (
        300.0
    )
    pending_interval: Annotated[float, Meta(gt=0, description="without a response to a retrieve; then the gateway sends a pending one")] = 10.0
    settle_timeout: Annotated[float, Meta(ge=0, description="that the final response to a C-MOVE waits for instances that were not answered")] = 10.0
    drain_timeout: Annotated[float, Meta(ge=0, description="for associations to end by themselves when the gateway stops")] = 10.0

    def options(self, upstream: Endpoint) -> Options:
        """The gateway's options, with ``upstream`` as the one that answers where no other is chosen."""
        listen = endpoint(self.listen)
        shared = {name: getattr(self, name) for name in self.__struct_fields__ if name in Options.__struct_fields__}
        shared["upstreams"] = tuple(_other(name, other) for name, other in self.upstreams.items())
        del shared["upstream"]
        shared["deliveries"] = {title.strip().upper(): delivery.destination(title) for title, delivery in self.deliveries.items()}
        return Options(
            ae_title=listen.ae_title, host=listen.host, port=listen.port,
            upstream_ae_title=upstream.ae_title, upstream_host=upstream.host, upstream_port=upstream.port,
            **shared,
        )  # fmt: skip


class TraceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OpenTelemetry."""

    endpoint: Annotated[str, Meta(description="where the spans go: OTLP over HTTP, `https://collector:4318/v1/traces`", pattern=r"^https?://[^\s]+$")]
    share: Annotated[float, Meta(description="of the decisions that are told", ge=0, le=1)] = 1.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. Everything but ``policies`` may be left out."""

    policies: Annotated[str | None, Meta(description="the folder of the policy set")] = None
    plugins: Annotated[tuple[str, ...], Meta(description="the plugins that are loaded; one that is installed and not named here is not imported")] = ()
    reload: Annotated[
        bool, Meta(description="`serve` watches the policies and list files and puts a changed set without errors into force; false: only on SIGHUP")
    ] = True
    audit: AuditSettings | None = None
    facts: FactSettings = FactSettings()
    dimse: DimseSettings | None = None
    http: Annotated[
        Annotated[str, Meta(pattern=_ADDRESS)] | None,
        Meta(description="`HOST:PORT` for /livez, /readyz and /metrics, which ask nobody who they are: an address that only operators reach"),
    ] = None
    traces: Annotated[TraceSettings | None, Meta(description="a span for each decision, to an OpenTelemetry collector; left out: none")] = None
    healthimaging: HealthImagingSettings = HealthImagingSettings()


def read_settings(path: str | os.PathLike[str]) -> Settings:
    """The configuration in the file ``path``. Raises :class:`PolicyError` with every finding."""
    file = Path(path)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise PolicyError([Finding(str(file), 1, 1, "list-file", f"the configuration cannot be read: {(error.strerror or '?').lower()}")]) from error
    return _relative_to(file.resolve().parent, parse_settings(str(file), data))


def parse_settings(file: str, data: bytes) -> Settings:
    """The configuration in ``data``. Raises :class:`PolicyError` with every finding."""
    document = parse(file, data)
    if document.findings or document.root is None:
        raise PolicyError(document.findings or [Finding(file, 1, 1, "empty-file", "the configuration is empty")])
    value = _value(document.root)
    errors = jsonschema.Draft202012Validator(schema()).iter_errors(value)
    findings = [finding for error in errors for finding in _findings(document, error)]
    if findings:
        raise PolicyError(findings)
    settings = msgspec.convert(value, Settings)
    if beyond := _beyond_schema(document, settings):
        raise PolicyError(beyond)
    return settings


def endpoint(text: str) -> Endpoint:
    """``AET@HOST:PORT`` in its parts. Raises ``ValueError``."""
    if not re.fullmatch(_ENDPOINT, text):
        raise ValueError(f"`{text}` is no `AET@HOST:PORT`")
    ae_title, _, address = text.partition("@")
    host, _, port = address.rpartition(":")
    if int(port) > 65535:
        raise ValueError(f"`{port}` is no port")
    if not ae_title.strip() or not ae_title.isascii() or not ae_title.isprintable():
        raise ValueError(f"`{ae_title}` is no AE title")
    return Endpoint(ae_title.strip(), host.strip("[]"), int(port))


def address(text: str) -> tuple[str, int]:
    """``HOST:PORT`` in its parts. Raises ``ValueError``."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch(_ADDRESS, text) or int(port) > 65535:
        raise ValueError(f"`{text}` is no `HOST:PORT`")
    return host.strip("[]"), int(port)


def _other(name: str, upstream: UpstreamSettings) -> Upstream:
    at = endpoint(upstream.address)
    return Upstream(
        name=name, ae_title=at.ae_title, host=at.host, port=at.port, called=upstream.called, calling_ae_title=upstream.calling_ae_title,
        lookup_nodes=upstream.lookup_nodes,
    )  # fmt: skip


def schema() -> dict[str, Any]:
    """The JSON Schema of the file (``schemas/configuration.schema.json``)."""
    _, components = msgspec.json.schema_components([Settings], ref_template="#/$defs/{name}")
    top = components.pop("Settings")
    described = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://hirules.dev/schemas/configuration.schema.json",
        **top,
        "title": "hirules configuration",
        "$defs": components,
    }
    return cast(dict[str, Any], msgspec.json.decode(msgspec.json.encode(described)))


_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def _value(node: Node) -> Any:
    """YAML 1.2's core schema, which has no other types than JSON."""
    if isinstance(node, MappingNode):
        return {key: _value(value) for key, (_, value) in node.entries.items()}
    if not isinstance(node, ScalarNode):
        return [_value(item) for item in node.items]
    if not node.plain:
        return node.text
    if node.text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return node.text.lower() == "true"
    if _INTEGER.fullmatch(node.text):
        return int(node.text)
    return float(node.text) if _NUMBER.fullmatch(node.text) else node.text


def _findings(document: Document, error: jsonschema.ValidationError) -> list[Finding]:
    """One mistake as findings, each where it stands."""
    if error.validator == "anyOf" and isinstance(error.instance, dict):
        # left out, or a mapping: the mapping was meant, so what is wrong inside is told
        inside = [each for each in error.context or () if each.instance is not error.instance or each.validator != "type"]
        return [finding for each in inside for finding in _findings(document, each)]
    here = [str(part) if isinstance(part, str) else part for part in error.absolute_path]
    schema_: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = schema_.get("properties", {})
        return [
            _at(document, [*here, key], "unknown-key", f"`{key}` is no key here", key=True, expected=listed(known), hint=did_you_mean(key, known))
            for key in error.instance
            if key not in known
        ]
    if error.validator == "required" and isinstance(error.instance, dict):
        return [_at(document, here, "missing-key", error.message.replace("'", "`").replace(" is a required property", " is missing"))]
    return [_at(document, here, "schema", "this value does not fit here", expected=_expected(error), hint=str(schema_.get("description", "")))]


_URLS = {r"^https?://": "a URL", r"^(https://": "a file, or an `https:` URL"}


def _expected(error: jsonschema.ValidationError) -> str:
    limit: Any = error.validator_value
    match error.validator:
        case "type":
            return {"boolean": "`true` or `false`", "integer": "an integer", "number": "a number", "string": "a text"}.get(limit, f"a value of type {limit}")
        case "enum":
            return listed(map(str, limit))
        case "pattern":
            if limit == _ADDRESS:
                return "`HOST:PORT`"
            return _URLS.get(limit[:10], "`AET@HOST:PORT`" + (" or `embedded:DIR`" if "embedded" in limit else ""))
        case "minimum" | "exclusiveMinimum":
            return f"a number from {limit}" if error.validator == "minimum" else f"a number above {limit}"
        case "anyOf":
            return " or ".join(each for each in map(_expected, error.context or ()) if each and "null" not in each)
        case "maximum":
            return f"a number up to {limit}"
        case _:
            return ""


def _beyond_schema(document: Document, settings: Settings) -> list[Finding]:
    """What the schema cannot say: ports, AE titles, settings that need each other."""
    findings = []
    if settings.http is not None:
        try:
            address(settings.http)
        except ValueError as error:
            findings.append(_at(document, ["http"], "schema", str(error), expected="`HOST:PORT`"))
    if settings.dimse is None:
        return findings
    values: dict[tuple[str | int, ...], str] = {("dimse", "listen"): settings.dimse.listen, ("dimse", "upstream"): settings.dimse.upstream}
    values |= {("dimse", "destinations", name): peer for name, peer in settings.dimse.destinations.items()}
    values |= {("dimse", "lookup_nodes", at): node for at, node in enumerate(settings.dimse.lookup_nodes)}
    values |= {("dimse", "deliveries", name, "through"): each.through for name, each in settings.dimse.deliveries.items() if each.through is not None}
    for name, other in settings.dimse.upstreams.items():
        values |= {("dimse", "upstreams", name, "address"): other.address}
        values |= {("dimse", "upstreams", name, "lookup_nodes", at): node for at, node in enumerate(other.lookup_nodes)}
    findings.extend(
        _at(document, where, "schema", message, expected=expected) for where, message, expected in _at_odds(settings.dimse, plugins=bool(settings.plugins))
    )
    for name, each in settings.dimse.deliveries.items():
        if (each.through is None) == (each.direct is None):
            findings.append(_at(document, ["dimse", "deliveries", name], "schema", "a delivery is either `through` or `direct`", expected="one of both"))
    for where, text in values.items():
        if text.startswith("embedded:"):
            continue
        try:
            endpoint(text)
        except ValueError as error:
            findings.append(_at(document, list(where), "schema", str(error), expected="`AET@HOST:PORT`"))
    for at, name in enumerate(settings.dimse.lookup_kept):
        if tag_for_keyword(name) is None:
            findings.append(_at(document, ["dimse", "lookup_kept", at], "schema", f"`{name}` is no keyword of PS3.6", expected="a keyword"))
    return findings


def _at_odds(dimse: DimseSettings, *, plugins: bool) -> Iterator[tuple[list[Any], str, str]]:
    """Settings that do not go together: where, why, and what would do."""
    taken = {dimse.listen.partition("@")[0].strip().upper()}
    for name, upstream in dimse.upstreams.items():
        where = ["dimse", "upstreams", name]
        if name == "default":
            yield where, "`default` is the name of `upstream`", "another name"
        for at, title in enumerate(upstream.called):
            if title.strip().upper() in taken:
                yield [*where, "called", at], f"`{title}` leads to another upstream already", "an AE title of its own"
            taken.add(title.strip().upper())
        yield from _half(upstream.tls, [*where, "tls"])
    yield from _half(dimse.upstream_tls, ["dimse", "upstream_tls"])
    for name, delivery in dimse.deliveries.items():
        yield from _half(delivery.tls, ["dimse", "deliveries", name, "tls"])
        if delivery.tls is not None and delivery.through is None:
            yield ["dimse", "deliveries", name, "tls"], "the upstream sends to a direct destination, with the TLS of its own", "`through`"
    if dimse.upstream_tls is not None and dimse.upstream.startswith("embedded:"):
        yield ["dimse", "upstream_tls"], "the embedded upstream has no TLS", "`upstream: AET@HOST:PORT`"
    if dimse.tls is not None and dimse.tls.clients is None and dimse.tls.revoked is not None:
        yield ["dimse", "tls", "revoked"], "no certificate of a client is asked for", "`clients` beside it"
    identity = dimse.identity
    if identity.required and identity.users is None and identity.tokens is None and not plugins:
        yield ["dimse", "identity", "required"], "nobody is there to verify users", "`users`, `tokens` or a plugin"


def _half(tls: ClientTls | None, where: list[Any]) -> Iterator[tuple[list[Any], str, str]]:
    if tls is not None and (tls.certificate is None) != (tls.key is None):
        yield where, "a certificate needs its key, and a key its certificate", "both or none"


def _at(document: Document, path: list[Any], code: str, message: str, *, key: bool = False, expected: str = "", hint: str = "") -> Finding:
    node: Any = document.root
    for depth, part in enumerate(path):
        if isinstance(node, MappingNode):
            entry = node.entries[part]
            node = entry[0] if key and depth == len(path) - 1 else entry[1]
        elif not isinstance(node, ScalarNode):
            node = node.items[part]
    source = document.lines[node.line - 1] if node.line <= len(document.lines) else ""
    return Finding(document.file, node.line, node.column, code, message, expected=expected, hint=hint, length=node.length, source=source)


def _relative_to(folder: Path, settings: Settings) -> Settings:
    changes: dict[str, Any] = {}
    if settings.policies is not None:
        changes["policies"] = str(folder / settings.policies)
    if settings.audit is not None:
        changes["audit"] = msgspec.structs.replace(settings.audit, file=str(folder / settings.audit.file))
    if settings.dimse is not None:
        changes["dimse"] = _dimse_relative_to(folder, settings.dimse)
    return msgspec.structs.replace(settings, **changes)


def _dimse_relative_to(folder: Path, dimse: DimseSettings) -> DimseSettings:
    changes: dict[str, Any] = {name: _files_relative_to(folder, getattr(dimse, name), _TLS_FILES) for name in ("tls", "upstream_tls")}
    if dimse.upstream.startswith("embedded:"):
        changes["upstream"] = "embedded:" + str(folder / dimse.upstream.removeprefix("embedded:"))
    others = dimse.upstreams.items()
    changes["upstreams"] = {name: msgspec.structs.replace(other, tls=_files_relative_to(folder, other.tls, _TLS_FILES)) for name, other in others}
    deliveries = dimse.deliveries.items()
    changes["deliveries"] = {name: msgspec.structs.replace(each, tls=_files_relative_to(folder, each.tls, _TLS_FILES)) for name, each in deliveries}
    identity = _files_relative_to(folder, dimse.identity, ("users",))
    if identity.tokens is not None and not identity.tokens.remote:
        identity = msgspec.structs.replace(identity, tokens=_files_relative_to(folder, identity.tokens, ("keys",)))
    return msgspec.structs.replace(dimse, **changes, identity=identity)


_TLS_FILES = ("certificate", "key", "clients", "revoked", "authorities")


def _files_relative_to(folder: Path, settings: Any, names: tuple[str, ...]) -> Any:
    """``settings`` with the files that these of its fields name, where it has them."""
    if settings is None:
        return None
    given = {name: getattr(settings, name, None) for name in names}
    return msgspec.structs.replace(settings, **{name: str(folder / file) for name, file in given.items() if file is not None})
