from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from hirules.dimse.options import Destination, Options
from hirules.policy.findings import PolicyError
from hirules.settings import DimseSettings, Endpoint, Settings, endpoint, parse_settings, read_settings, schema

WHOLE = b"""
policies: policies
plugins: [office-calendar]
audit: {file: audit.jsonl, identifying_values: true}
facts: {deadline: 2.5, cache: 0}
dimse:
  listen: GATE@0.0.0.0:11112
  upstream: ORTHANC@10.0.0.5:4242
  calling_ae_title: "0123"
  strict_status: true
  associations: 20
  artim_timeout: 5
healthimaging: {unlisted_operations: [GetDatastore]}
"""

TOKEN = "issuer: i, audience: a"


def test_a_whole_file() -> None:
    settings = parse_settings("c.yaml", WHOLE)
    assert settings.plugins == ("office-calendar",)
    assert settings.audit is not None
    assert settings.audit.identifying_values
    assert (settings.facts.deadline, settings.facts.cache) == (2.5, 0)
    assert settings.dimse is not None
    assert (settings.dimse.calling_ae_title, settings.dimse.strict_status, settings.dimse.associations) == ("0123", True, 20)
    assert settings.healthimaging.unlisted_operations == ("GetDatastore",)


def test_what_is_left_out_opens_the_least() -> None:
    settings = parse_settings("c.yaml", b"policies: p\n")
    assert settings == Settings(policies="p")
    assert settings.plugins == ()
    assert settings.healthimaging.unlisted_operations == "refuse"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(WHOLE.replace(b"ORTHANC@10.0.0.5:4242", b"'embedded:files'"))
    settings = read_settings(tmp_path / "c.yaml")
    assert settings.policies == str(tmp_path / "policies")
    assert settings.audit is not None
    assert settings.audit.file == str(tmp_path / "audit.jsonl")
    assert settings.dimse is not None
    assert settings.dimse.upstream == f"embedded:{tmp_path / 'files'}"


def test_the_files_of_tls_and_users_are_relative_too(tmp_path: Path) -> None:
    text = """
dimse:
  listen: GATE@0.0.0.0:11112
  upstream: PACS@10.0.0.5:104
  tls: {certificate: gate.pem, key: /etc/gate.key, clients: ca.pem}
  upstream_tls: {authorities: ca.pem}
  upstreams:
    research: {address: RES@res:104, called: [GATE_RES], tls: {authorities: res.pem, name: res.example}}
  deliveries:
    Ws: {through: WS1@ws1:104, tls: {authorities: ca.pem, certificate: ws.pem, key: /etc/ws.key}}
    plain: {through: WS2@ws2:104}
  identity: {users: users.txt, tokens: {keys: jwks.json, issuer: i, audience: a}}
http: 127.0.0.1:9090
"""
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    dimse = read_settings(tmp_path / "c.yaml").dimse
    assert dimse is not None
    assert dimse.tls is not None
    assert dimse.upstream_tls is not None
    assert (dimse.tls.certificate, dimse.tls.key, dimse.tls.revoked) == (str(tmp_path / "gate.pem"), "/etc/gate.key", None)
    assert dimse.upstream_tls.authorities == str(tmp_path / "ca.pem")
    research = dimse.upstreams["research"]
    assert research.tls is not None
    assert (research.tls.authorities, research.tls.name) == (str(tmp_path / "res.pem"), "res.example")
    assert dimse.identity.tokens is not None
    assert (dimse.identity.users, dimse.identity.tokens.keys) == (str(tmp_path / "users.txt"), str(tmp_path / "jwks.json"))
    delivery = dimse.deliveries["Ws"].tls
    assert delivery is not None
    assert (delivery.authorities, delivery.certificate, delivery.key) == (str(tmp_path / "ca.pem"), str(tmp_path / "ws.pem"), "/etc/ws.key")
    options = dimse.options(Endpoint("PACS", "10.0.0.5", 104))
    assert dict(options.deliveries) == {"WS": Destination("WS1", "ws1", 104, tls="Ws"), "PLAIN": Destination("WS2", "ws2", 104)}
    (other,) = options.upstreams
    assert (other.name, other.ae_title, other.host, other.port, other.called) == ("research", "RES", "res", 104, ("GATE_RES",))


@pytest.mark.parametrize(
    ("text", "place", "code", "said"),
    [
        ("plugin: [x]", "1:1", "unknown-key", "did you mean `plugins`?"),
        ("audit: {identifying_values: true}", "1:8", "missing-key", "`file` is missing"),
        ("audit: {file: a, identifying_values: maybe}", "1:38", "schema", "`true` or `false`"),
        ("audit: {file: ''}", "1:15", "schema", ""),
        ("facts: {cache: 40}", "1:16", "schema", "a number up to 30"),
        ("facts: {deadline: soon}", "1:19", "schema", "a number"),
        ("dimse: {listen: GATE, upstream: A@b:1}", "1:17", "schema", "`AET@HOST:PORT`"),
        ("dimse: {listen: G@h:99999, upstream: A@b:1}", "1:17", "schema", "`99999` is no port"),
        ("dimse: {listen: ' @h:1', upstream: A@b:1}", "1:17", "schema", "is no AE title"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, destinations: {x: nowhere}}", "1:59", "schema", "`AET@HOST:PORT`"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, calling_ae_title: 12}", "1:59", "schema", "a text"),
        ("http: nowhere", "1:7", "schema", "`HOST:PORT`"),
        ("http: h:99999", "1:7", "schema", "`HOST:PORT`"),
        ("traces: {endpoint: collector}", "1:20", "schema", "a URL"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, tls: {certificate: c}}", "1:46", "missing-key", "`key` is missing"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, tls: {certificate: c, key: k, minimum: 1.1}}", "1:80", "schema", "`1.2`"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, tls: {certificate: c, key: k, revoked: r}}", "1:80", "schema", "no certificate of a client"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, upstream_tls: {certificate: c}}", "1:55", "schema", "needs its key"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, deliveries: {D: {through: D@d:1, tls: {key: k}}}}", "1:79", "schema", "needs its key"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, deliveries: {D: {direct: D, tls: {}}}}", "1:74", "schema", "the upstream sends to a direct destination"),
        ("dimse: {listen: G@h:1, upstream: 'embedded:d', upstream_tls: {}}", "1:62", "schema", "has no TLS"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, upstreams: {x: {address: nowhere}}}", "1:66", "schema", "`AET@HOST:PORT`"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, upstreams: {x: {address: A@b:99999}}}", "1:66", "schema", "is no port"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, upstreams: {default: {address: A@b:9}}}", "1:62", "schema", "another name"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, upstreams: {x: {address: A@b:9, called: [' g']}}}", "1:82", "schema", "another upstream already"),
        ("dimse: {listen: G@h:1, upstream: A@b:1, identity: {required: true}}", "1:62", "schema", "nobody is there to verify users"),
        (f"dimse: {{listen: G@h:1, upstream: A@b:1, identity: {{tokens: {{keys: 'http://x/y', {TOKEN}}}}}}}", "1:67", "schema", "`https:` URL"),
        (f"dimse: {{listen: G@h:1, upstream: A@b:1, identity: {{tokens: {{keys: k, {TOKEN}, algorithms: [none]}}}}}}", "1:107", "schema", "`RS256`"),
        ("dimse:\n  listen: G@h:1\n  upstream: A@b:1\n  strict_identifer: true", "4:3", "unknown-key", "did you mean `strict_identifier`?"),
        ("healthimaging: {unlisted_operations: maybe}", "1:38", "schema", ""),
        ("plugins: {a: b}", "1:10", "schema", ""),
        ("policies: a\npolicies: b", "2:1", "duplicate-key", ""),
        ("policies:", "1:10", "null", ""),
        ("", "1:1", "empty-file", ""),
        ("[a]", "1:1", "schema", ""),
    ],
)
def test_a_mistake_has_its_place(text: str, place: str, code: str, said: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse_settings("c.yaml", text.encode())
    found = raised.value.findings[0]
    assert (f"{found.line}:{found.column}", found.code) == (place, code)
    assert said in str(found)


def test_all_mistakes_at_once() -> None:
    with pytest.raises(PolicyError) as raised:
        parse_settings("c.yaml", b"plugin: [x]\naudit: {fil: a}\nfacts: {cache: -1}\n")
    assert [(found.line, found.code) for found in raised.value.findings] == [(1, "unknown-key"), (2, "missing-key"), (2, "unknown-key"), (3, "schema")]


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(PolicyError, match="no such file or directory"):
        read_settings("/nowhere/c.yaml")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ORTHANC@127.0.0.1:4242", Endpoint("ORTHANC", "127.0.0.1", 4242)),
        ("A B@pacs.example:104", Endpoint("A B", "pacs.example", 104)),
        ("GATE@[::1]:0", Endpoint("GATE", "::1", 0)),
    ],
)
def test_endpoints(text: str, parts: Endpoint) -> None:
    assert endpoint(text) == parts


@pytest.mark.parametrize("text", ["", "GATE", "GATE@host", "GATE@host:port", "@host:1", "SEVENTEEN_LETTERS@host:1", "G@h:65536", "Ä@h:1", "A\\B@h:1"])
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(ValueError):
        endpoint(text)


def test_every_option_of_the_gateway_can_be_configured() -> None:
    of_sides = {
        "ae_title",
        "host",
        "port",
        "upstream_ae_title",
        "upstream_host",
        "upstream_port",
        "decide_suboperations",
        "decide_deliveries",
        "record_instances",
        "disclosed",
    }
    settings = DimseSettings(listen="G@h:1", upstream="A@b:2")
    of_access = {"tls", "upstream_tls", "identity"}
    own = set(DimseSettings.__struct_fields__) - of_access - {"listen", "destinations"}
    assert set(Options.__struct_fields__) - of_sides == own
    assert settings.options(endpoint("A@b:2")) == Options(
        ae_title="G", host="h", port=1, upstream_ae_title="A", upstream_host="b", upstream_port=2
    )  # fmt: skip


def test_an_option_arrives() -> None:
    settings = parse_settings("c.yaml", WHOLE).dimse
    assert settings is not None
    options = settings.options(endpoint(settings.upstream))
    assert (options.strict_status, options.associations, options.artim_timeout, options.calling_ae_title) == (True, 20, 5.0, "0123")


def test_the_published_schema_is_this_one() -> None:
    published = Path(__file__).parents[1] / "schemas" / "configuration.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == schema(), "run `hirules schema configuration > schemas/configuration.schema.json`"
    jsonschema.Draft202012Validator.check_schema(schema())
