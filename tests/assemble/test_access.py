from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

import hirules
from hirules import Identity, StatedIdentity, hookimpl
from hirules.assemble.access import access_of
from hirules.dimse.identity import IdentityFailed, IdentitySettings
from hirules.dimse.tls import ClientTls, ServerTls
from hirules.settings import DeliverySettings, DimseSettings, Settings, UpstreamSettings
from tests.dimse.certificates import Authority


def settings(**dimse: Any) -> Settings:
    return Settings(policies="p", dimse=DimseSettings(**{"listen": "G@h:1", "upstream": "A@pacs:104", **dimse}))


def test_without_settings_there_is_nothing() -> None:
    for access in (access_of(Settings()), access_of(settings())):
        assert (access.clients, access.verifier, access.forward_identity, dict(access.upstreams)) == (None, None, False, {})


def test_each_upstream_with_its_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = map(str, authority.issue("gateway"))
    tls = ClientTls(authorities=str(authority.file), certificate=certificate, key=key)
    access = access_of(
        settings(
            tls=ServerTls(certificate=certificate, key=key),
            upstream_tls=tls,
            lookup_nodes=("B@mirror:105",),
            upstreams={
                "research": UpstreamSettings(address="R@res:104", tls=ClientTls(authorities=str(authority.file), name="res.example")),
                "plain": UpstreamSettings(address="P@plain:104"),
            },
        )
    )
    assert access.clients is not None
    assert {name: leg.name for name, leg in access.upstreams.items()} == {"default": "pacs", "research": "res.example"}
    assert {at: leg.name for at, leg in access.nodes.items()} == {("pacs", 104): "pacs", ("mirror", 105): "mirror", ("res", 104): "res.example"}


def test_each_destination_with_its_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trusted = ClientTls(authorities=str(authority.file))
    access = access_of(
        settings(
            deliveries={
                "WS1": DeliverySettings(through="A@ws1:104", tls=trusted),
                "WS2": DeliverySettings(through="B@ws2:104", tls=ClientTls(authorities=str(authority.file), name="ws2.example")),
                "PLAIN": DeliverySettings(through="C@ws3:104"),
            }
        )
    )
    assert {name: leg.name for name, leg in access.destinations.items()} == {"WS1": "ws1", "WS2": "ws2.example"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tls": ServerTls(certificate="/nowhere/c.pem", key="/nowhere/c.key")}, "dimse.tls: no such file or directory"),
        ({"upstreams": {"x": UpstreamSettings(address="R@r:1", tls=ClientTls(authorities="/nowhere"))}}, "the TLS of the upstream `x`"),
        ({"deliveries": {"x": DeliverySettings(through="D@d:1", tls=ClientTls(authorities="/nowhere"))}}, "the TLS of the delivery `x`"),
        ({"identity": IdentitySettings(users="/nowhere/users")}, "dimse.identity: `/nowhere/users`: no such file or directory"),
    ],
)
def test_what_cannot_be_used_is_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(hirules.PolicyError) as raised:
        access_of(settings(**wrong))
    assert said in str(raised.value)


def test_a_mistake_in_the_file_of_users_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("ada:secret\n", encoding="utf-8")
    with pytest.raises(hirules.PolicyError, match=r"line 1: the hash is none of argon2") as raised:
        access_of(settings(identity=IdentitySettings(users=str(tmp_path / "users"))))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(("missing", "extra"), [("argon2", "identity"), ("cryptography", "tls")])
def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str, extra: str) -> None:
    authority = Authority(tmp_path)
    certificate, key = map(str, authority.issue("gateway"))
    (tmp_path / "users").write_text("", encoding="utf-8")
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == missing or (missing == "argon2" and name == "hirules.dimse.users"):
            raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    wanted = settings(tls=ServerTls(certificate=certificate, key=key)) if extra == "tls" else settings(identity=IdentitySettings(users=str(tmp_path / "users")))
    with pytest.raises(hirules.PolicyError) as raised:
        access_of(wanted)
    assert missing in str(raised.value)
    assert f"pip install 'hirules[{extra}]'" in str(raised.value)


class Knows:
    @hookimpl
    def hirules_verify_identity(self, identity: StatedIdentity) -> Identity | None:
        if identity.primary == b"false":
            raise ValueError("never shown")
        return Identity(user=identity.primary.decode()) if identity.type == 4 else None


class KnowsBetter:
    @hookimpl
    def hirules_verify_identity(self, identity: StatedIdentity) -> Identity | None:
        return Identity(user="somebody else") if identity.primary == b"eve" else None


class Wrong:
    @hookimpl
    def hirules_verify_identity(self, identity: StatedIdentity) -> object:
        return "eve"


def test_plugins_verify_and_must_agree() -> None:
    verifier = access_of(settings(), [Knows(), KnowsBetter()]).verifier
    assert verifier is not None
    assert verifier.verify(StatedIdentity(type=4, primary=b"ada")) == Identity(user="ada")
    assert verifier.verify(StatedIdentity(type=3, primary=b"ada")) is None
    assert verifier.verify(None) is None
    for primary in (b"false", b"eve"):
        with pytest.raises(IdentityFailed) as raised:
            verifier.verify(StatedIdentity(type=4, primary=primary))
        assert "never shown" not in str(raised.value)
    wrong = access_of(settings(), [Wrong()]).verifier
    assert wrong is not None
    with pytest.raises(IdentityFailed):
        wrong.verify(StatedIdentity(type=4, primary=b"x"))
