"""Verified users: passcodes, tokens and plugins, at the gateway and by themselves."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import argon2
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from hirules.dimse.access import Access
from hirules.dimse.identity import IdentityFailed, IdentitySettings, Verifier
from hirules.dimse.tokens import TokenFailed, Tokens, TokenSettings, _Remote, read_keys
from hirules.dimse.users import Users, read_users
from hirules.model.decision import AssociateStatus, Decision
from hirules.model.identity import Identity, StatedIdentity
from hirules.model.request import Request
from tests.dimse.associations import CT, FIND, identity, request
from tests.dimse.certificates import Authority
from tests.dimse.peers import VERIFICATION, Gate, Upstream, connect, ct, gateway, receive
from tests.peers.clients import run

HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ADA, BOB = HASHER.hash("a passcode"), HASHER.hash("bob's")
SECRETS = ("a passcode", "bob's", "eyJ")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.stop()


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.txt"
    path.write_text(f"# who may come in\n\nada:{ADA}:research, physician\nbob:{BOB}\n", encoding="utf-8")
    return path


class Keys:
    """A key set in a file, and tokens signed by its keys."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "jwks.json"
        self.rsa, self.ec = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
        public: list[dict[str, Any]] = [
            {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.rsa.public_key())), "kid": "r", "use": "sig"},
            {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.ec.public_key())), "kid": "e"},
            {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "shared"},
        ]
        self.file.write_text(json.dumps({"keys": public}), encoding="utf-8")
        self.settings = TokenSettings(
            keys=str(self.file), issuer="https://idp.example", audience="hirules", roles="realm.roles", claims=("department", "level", "absent")
        )

    def token(self, *, key: Any = None, algorithm: str = "RS256", kid: str | None = "r", **changes: Any) -> bytes:
        claims: dict[str, Any] = {
            "sub": "ada", "iss": "https://idp.example", "aud": ["hirules", "other"], "exp": int(time.time()) + 600,
            "realm": {"roles": ["research", "admin"]}, "department": "radiology", "level": 3, "secret": "not shown",
        }  # fmt: skip
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jwt.encode(claims, self.rsa if key is None else key, algorithm, headers={"kid": kid} if kid else {}).encode()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


def access(forward: bool = False, plugins: Any = None, **settings: Any) -> Access:
    made = IdentitySettings(**settings, forward=forward)
    return Access(verifier=Verifier(made, plugins), forward_identity=forward)


def client(port: int, kind: int = 0, primary: bytes = b"", secondary: bytes = b"", *, respond: bool = False, title: str = "CLIENT") -> Any:
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    for uid in (FIND, VERIFICATION, CT):
        entity.add_requested_context(uid)
    negotiation: Any = []
    if kind:
        item = UserIdentityNegotiation()
        item.user_identity_type, item.primary_field, item.secondary_field, item.positive_response_requested = kind, primary, secondary, respond
        negotiation = [item]
    return entity.associate("127.0.0.1", port, ae_title="GATE", ext_neg=negotiation)


class Recording(Gate):
    """Also notes what was refused before any rule."""

    def __init__(self, decide: Any = None) -> None:
        super().__init__(decide)
        self.refused: list[tuple[Request, object, str]] = []

    def refuse(self, request: Request, status: object, reason: str) -> Decision:
        self.refused.append((request, status, reason))
        return Decision("deny", request, status=0x0110)


# -- at the gateway -------------------------------------------------------------------------------


def test_a_user_and_passcode(users: Path, upstream: Upstream) -> None:
    gate = Recording()
    with gateway(gate, upstream, access=access(users=str(users))) as (_, port):
        association = client(port, 2, b"ada", b"a passcode", respond=True)
        assert association.is_established
        assert association.acceptor.user_identity is not None  # the positive response
        assert association.send_c_store(ct(1)).Status == 0
        association.release()
        for subject in (asked.subject for asked in gate.asked):
            assert (subject["user"], subject["roles"]) == ("ada", ("research", "physician"))
            assert "stated_user" not in subject
        wrong = client(port, 2, b"ada", b"another")
        assert wrong.is_rejected
        assert (wrong.acceptor.primitive.result, wrong.acceptor.primitive.result_source, wrong.acceptor.primitive.diagnostic) == (1, 1, 1)
        assert client(port, 2, b"nobody", b"a passcode").is_rejected
        assert client(port, 2, b"\xff\xfe", b"a passcode").is_rejected
    assert gate.actions() == ["associate", "c-store"]
    assert [(refused.action, status, refused.subject.get("user")) for refused, status, _ in gate.refused] == [("associate", AssociateStatus(1, 1, 1), None)] * 3
    # neither item nor secret went on
    assert [peer.user_identity for peer in upstream.associations] == [None]


def test_what_is_merely_stated_is_no_user(users: Path, upstream: Upstream) -> None:
    gate = Gate()
    with gateway(gate, upstream, access=access(users=str(users))) as (_, port):
        client(port, 1, b"ada", respond=True).release()
        client(port).release()
    with gateway(gate, upstream) as (_, port):
        client(port, 2, b"ada", b"a passcode").release()
    assert [asked.subject.get("stated_user") for asked in gate.asked] == ["ada", None, "ada"]
    assert not any("user" in asked.subject for asked in gate.asked)
    assert [peer.user_identity for peer in upstream.associations] == [None] * 3


def test_where_a_user_is_required(users: Path, upstream: Upstream) -> None:
    gate = Recording()
    with gateway(gate, upstream, access=access(users=str(users), required=True)) as (_, port):
        assert client(port).is_rejected
        assert client(port, 1, b"ada").is_rejected
        assert client(port, 5, b"a.b.c").is_rejected
        association = client(port, 2, b"bob", b"bob's")
        assert association.is_established
        association.release()
    assert gate.actions() == ["associate"]
    assert "roles" not in gate.asked[0].subject or gate.asked[0].subject["roles"] is None
    assert [reason for _, _, reason in gate.refused] == ["the user identity was not verified: a verified user is required"] * 3


def test_where_it_is_forwarded_the_upstream_has_it_and_answers_for_itself(users: Path, upstream: Upstream) -> None:
    with gateway(Gate(), upstream, access=access(users=str(users), forward=True)) as (_, port):
        association = client(port, 2, b"ada", b"a passcode", respond=True)
        assert association.is_established
        association.release()
    seen = upstream.associations[0].user_identity
    assert (seen.primary_field, seen.secondary_field) == (b"ada", b"a passcode")


@pytest.mark.parametrize("respond", [False, True])
def test_the_answer_is_given_when_it_is_asked_for(users: Path, upstream: Upstream, respond: bool) -> None:
    item = identity(2, b"ada", b"a passcode")
    item.positive_response_requested = respond
    with gateway(Gate(), upstream, access=access(users=str(users))) as (_, port), connect(port) as peer:
        peer.sendall(request(item, contexts=[VERIFICATION]))
        answer = receive(peer)
    assert answer[0] == 2
    assert (b"\x59\x00\x00\x02\x00\x00" in answer) == respond


def test_a_token(keys: Keys, upstream: Upstream) -> None:
    gate = Recording()
    with gateway(gate, upstream, access=access(tokens=keys.settings)) as (_, port):
        association = client(port, 5, keys.token())
        assert association.is_established
        assert association.send_c_store(ct(1)).Status == 0
        association.release()
        assert client(port, 5, keys.token(exp=int(time.time()) - 100)).is_rejected
        assert client(port, 5, keys.token(aud="another")).is_rejected
    expected = {"user": "ada", "roles": ("research", "admin"), "claims": {"department": ("radiology",), "level": ("3",)}}
    for asked in gate.asked:
        assert {name: asked.subject[name] for name in expected} == expected
    assert [peer.user_identity for peer in upstream.associations] == [None]
    assert not any("eyJ" in repr(each) or "eyJ" in str(msgspec.to_builtins(each.subject, enc_hook=str)) for each in gate.asked)


def test_two_users_at_once_never_mix(users: Path, upstream: Upstream) -> None:
    gate = Gate()
    failed: list[str] = []

    def talk(port: int, name: str, passcode: str) -> None:
        for _ in range(3):
            association = client(port, 2, name.encode(), passcode.encode(), title=f"OF_{name.upper()}")
            for number in range(10):
                if not association.is_established or association.send_c_store(ct(number)).Status:
                    failed.append(name)
                    return
            association.release()

    with gateway(gate, upstream, access=access(users=str(users))) as (_, port):
        threads = [threading.Thread(target=talk, args=(port, *who)) for who in (("ada", "a passcode"), ("bob", "bob's")) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
    assert not failed
    assert len(gate.asked) == 4 * 3 * 11
    assert {(asked.subject["ae_title"], asked.subject["user"]) for asked in gate.asked} == {("OF_ADA", "ada"), ("OF_BOB", "bob")}


def test_no_secret_is_in_the_log(users: Path, keys: Keys, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "hirules"), gateway(Recording(), upstream, access=access(users=str(users), tokens=keys.settings)) as (_, port):
        for kind, primary, secondary in ((2, b"ada", b"a passcode"), (2, b"ada", b"bob's"), (5, keys.token(), b""), (5, keys.token(iss="x"), b"")):
            association = client(port, kind, primary, secondary)
            if association.is_established:
                association.release()
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("hirules"))
    assert "not verified" in ours
    assert not any(secret in ours for secret in SECRETS)


def test_dcmtks_storescu(users: Path, upstream: Upstream, tmp_path: Path) -> None:
    file = tmp_path / "ct.dcm"
    ct(7).save_as(file, enforce_file_format=True)
    gate = Recording()
    with gateway(gate, upstream, access=access(users=str(users), required=True)) as (_, port):
        for passcode, code in (("a passcode", 0), ("wrong", 1)):
            who = ["--user", "ada", "--password", passcode, "--pos-response"]
            done = run("storescu", "--aetitle", "WARD_1", "--call", "GATE", *who, "127.0.0.1", str(port), file, folder=tmp_path / passcode)
            assert (done.code != 0) == bool(code), done.text
            assert done.rejected == bool(code)
    assert [asked.subject["user"] for asked in gate.asked] == ["ada", "ada"]


# -- plugins --------------------------------------------------------------------------------------


def test_kerberos_and_saml_are_for_plugins(upstream: Upstream) -> None:
    asked: list[StatedIdentity] = []

    def plugin(stated: StatedIdentity) -> Identity | None:
        asked.append(stated)
        if stated.type != 3:
            return None
        if stated.primary != b"a ticket":
            raise ValueError("the ticket is false")
        return Identity(user="ada@REALM", claims={"realm": "REALM"}, response=b"server ticket")

    gate = Gate()
    with gateway(gate, upstream, access=access(plugins=plugin)) as (_, port):
        association = client(port, 3, b"a ticket", respond=True)
        assert association.is_established
        assert association.acceptor.user_identity.server_response == b"server ticket"
        association.release()
        client(port, 4, b"<saml/>").release()
        assert client(port, 3, b"another").is_rejected
    assert [request_.subject.get("user") for request_ in gate.asked] == ["ada@REALM", None]
    assert asked[0].subject["ae_title"] == "CLIENT"
    assert "ticket" not in repr(asked[0])


def test_a_plugin_is_not_asked_what_a_file_answers(users: Path) -> None:
    def plugin(stated: StatedIdentity) -> Identity:
        return Identity(user="anybody")

    verifier = Verifier(IdentitySettings(users=str(users)), plugin)
    with pytest.raises(IdentityFailed):
        verifier.verify(StatedIdentity(type=2, primary=b"eve", secondary=b"x"))
    found = verifier.verify(StatedIdentity(type=1, primary=b"eve"))
    assert found is not None
    assert found.user == "anybody"
    assert verifier.verify(None) is None


# -- the file of users ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ada", "line 1"),
        (f"ada:{ADA}\nada:{BOB}", "line 2: the user is there twice"),
        ("#\nada:plain", "line 2: the hash is none of argon2"),
        (f"ada:{ADA}:a,,b", "line 1: a role is empty"),
        (f":{ADA}", "line 1"),
        (f"ada:{ADA}:a:b", "line 1"),
    ],
    ids=["no hash", "twice", "plain", "empty role", "no user", "too much"],
)
def test_a_mistake_is_told_by_its_line_and_quotes_nothing(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        read_users(text)
    assert "plain" not in str(raised.value)
    assert "argon2id" not in str(raised.value)


def test_a_changed_file_counts_at_once_and_a_broken_one_does_not(users: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = Users(str(users))
    assert file.verify(b"ada", b"a passcode") == Identity(user="ada", roles=("research", "physician"))
    assert file.verify(b"ada", b"bob's") is None
    users.write_text(f"ada:{BOB}\n", encoding="utf-8")
    assert file.verify(b"ada", b"a passcode") is None
    assert file.verify(b"ada", b"bob's") == Identity(user="ada")
    assert file.verify(b"bob", b"bob's") is None
    users.write_text("ada:oops\n", encoding="utf-8")
    assert file.verify(b"ada", b"bob's") is not None
    assert "line 1: the hash is none of argon2" in caplog.text
    users.unlink()
    assert file.verify(b"ada", b"bob's") is not None
    users.write_text(f"eve:{ADA}\n", encoding="utf-8")
    assert file.verify(b"ada", b"bob's") is None
    assert file.verify(b"eve", b"a passcode") is not None
    assert "argon2id" not in repr(file.__dict__)


def test_it_does_not_start_without_its_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Users(str(tmp_path / "nobody.txt"))


# -- tokens ---------------------------------------------------------------------------------------


def test_good_tokens(keys: Keys) -> None:
    tokens = Tokens(keys.settings)
    assert tokens.verify(keys.token()).user == "ada"
    assert tokens.verify(keys.token(key=keys.ec, algorithm="ES256", kid="e")).user == "ada"
    assert tokens.verify(keys.token(kid=None)).user == "ada"  # the only key of its kind
    assert tokens.verify(keys.token(exp=int(time.time()) - 10)).user == "ada"  # within the leeway
    assert tokens.verify(keys.token(realm="x", department=["a", "b"], level=True)).fields() == {
        "user": "ada", "roles": None, "claims": {"department": ("a", "b"), "level": ("true",)},
    }  # fmt: skip


def _unsigned(keys: Keys) -> bytes:
    return jwt.encode(jwt.decode(keys.token(), options={"verify_signature": False}), "", algorithm="none").encode()


def _with_public_key_as_secret(keys: Keys) -> bytes:
    claims = jwt.decode(keys.token(), options={"verify_signature": False})
    # by hand: no library makes such a one any more
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "HS256", "kid": "r"}, claims)]
    signature = hmac.digest(keys.file.read_bytes(), b".".join(parts), "sha256")
    return b".".join((*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")))


BAD: dict[str, Callable[[Keys], bytes]] = {
    "expired": lambda keys: keys.token(exp=int(time.time()) - 100),
    "without an end": lambda keys: keys.token(exp=None),
    "not yet": lambda keys: keys.token(nbf=int(time.time()) + 1000),
    "another audience": lambda keys: keys.token(aud="pacs"),
    "no audience": lambda keys: keys.token(aud=None),
    "another issuer": lambda keys: keys.token(iss="https://idp.example.evil"),
    "no issuer": lambda keys: keys.token(iss=None),
    "no user": lambda keys: keys.token(sub=None),
    "an empty user": lambda keys: keys.token(sub=""),
    "alg none": _unsigned,
    "a public key as a shared secret": _with_public_key_as_secret,
    "another key": lambda keys: keys.token(key=rsa.generate_private_key(65537, 2048)),
    "an unknown key": lambda keys: keys.token(kid="x"),
    "a key of another kind": lambda keys: keys.token(kid="e"),
    "an algorithm that is not accepted": lambda keys: keys.token(algorithm="RS512"),
    "cut": lambda keys: keys.token()[:-10],
    "no token": lambda _: b"\xff\x00",
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tokens(keys: Keys, name: str) -> None:
    bad = BAD[name](keys)
    with pytest.raises(TokenFailed) as raised:
        Tokens(keys.settings).verify(bad)
    assert "ada" not in str(raised.value)


def test_two_keys_that_fit_a_token_without_a_name(keys: Keys, tmp_path: Path) -> None:
    found = json.loads(keys.file.read_text(encoding="utf-8"))["keys"]
    file = tmp_path / "two.json"
    file.write_text(json.dumps({"keys": [found[0], {**found[0], "kid": "again"}]}), encoding="utf-8")
    tokens = Tokens(msgspec.structs.replace(keys.settings, keys=str(file)))
    with pytest.raises(TokenFailed):
        tokens.verify(keys.token(kid=None))
    assert tokens.verify(keys.token()).user == "ada"
    file.write_text(json.dumps({"keys": []}), encoding="utf-8")
    with pytest.raises(TokenFailed):
        tokens.verify(keys.token())
    file.write_text("{", encoding="utf-8")
    with pytest.raises(TokenFailed):
        tokens.verify(keys.token())


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"keys": 1}', '{"keys": ["a"]}'])
def test_what_is_no_key_set(text: str) -> None:
    with pytest.raises(ValueError, match="key set"):
        read_keys(text.encode())


def test_remote_keys_are_kept_asked_for_again_and_not_too_often(monkeypatch: pytest.MonkeyPatch, keys: Keys) -> None:
    now, asked, fails = [1000.0], list[float](), [False]
    remote = _Remote("https://idp.example/keys")

    def ask() -> Any:
        asked.append(now[0])
        if fails[0]:
            raise OSError
        return read_keys(keys.file.read_bytes())

    monkeypatch.setattr("hirules.dimse.tokens.time.monotonic", lambda: now[0])
    monkeypatch.setattr(remote, "_ask", ask)
    assert len(remote.current(anew=False)) == 3
    for _ in range(5):
        remote.current(anew=True)
    assert len(asked) == 1  # a stranger's unknown key does not make it ask again and again
    now[0] += 31
    remote.current(anew=True)
    assert len(asked) == 2
    fails[0] = True
    now[0] += 301
    assert len(remote.current(anew=False)) == 3
    now[0] += 3600
    assert remote.current(anew=False) == ()
    fails[0] = False
    now[0] += 31
    assert len(remote.current(anew=False)) == 3


@pytest.mark.parametrize("path", ["/keys", "/elsewhere", "/missing"])
def test_remote_keys_come_by_verified_https_without_redirects(monkeypatch: pytest.MonkeyPatch, keys: Keys, tmp_path: Path, path: str) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response({"/keys": 200, "/elsewhere": 302}.get(self.path, 404))
            self.send_header("Location", "/keys")
            self.end_headers()
            self.wfile.write(keys.file.read_bytes())

        def log_message(self, *_: object) -> None:
            return

    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("idp"))
    server = HTTPServer(("127.0.0.1", 0), Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://localhost:{server.server_port}{path}"
    try:
        assert _Remote(url).current(anew=False) == ()  # nobody vouches for it
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert len(_Remote(url).current(anew=False)) == (3 if path == "/keys" else 0)
    finally:
        server.shutdown()
        server.server_close()
