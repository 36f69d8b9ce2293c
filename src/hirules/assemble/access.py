"""From the configuration to how clients come in: TLS on each leg, and who verifies users."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from hirules.dimse.access import Access, PeerTls
from hirules.dimse.identity import Verifier
from hirules.dimse.tls import ClientTls, client_contexts, server_contexts
from hirules.hooks import PluginError, Plugins
from hirules.policy.findings import Finding, PolicyError
from hirules.settings import DeliverySettings, DimseSettings, Settings, endpoint


def access_of(settings: Settings, plugins: Iterable[str | object] = ()) -> Access:
    """The access that ``settings.dimse`` describes. Raises :class:`PolicyError` for a file that cannot be used, or an extra that is not installed."""
    dimse = settings.dimse
    if dimse is None:
        return Access()
    with _told("dimse.tls", "tls"):
        clients = server_contexts(dimse.tls) if dimse.tls is not None else None
    upstreams, nodes = {}, {}
    for name, address, tls, asked in _legs(dimse):
        with _told(f"the TLS of the upstream `{name}`", "tls"):
            contexts = client_contexts(tls)
        at = endpoint(address)
        upstreams[name] = PeerTls(contexts, tls.name or at.host)
        nodes[at.host, at.port] = upstreams[name]
        for node in map(endpoint, asked):
            nodes.setdefault((node.host, node.port), PeerTls(contexts, node.host))
    destinations = {name: _destination(name, delivery) for name, delivery in dimse.deliveries.items() if delivery.tls is not None}
    with _told("dimse.identity", "identity"):
        verifier = _verifier(settings, plugins)
    return Access(clients, upstreams, nodes, destinations, verifier, dimse.identity.forward)


def _legs(dimse: DimseSettings) -> Iterator[tuple[str, str, ClientTls, tuple[str, ...]]]:
    """Each upstream with TLS: name, address, settings, and who is asked for its look-ups."""
    if dimse.upstream_tls is not None:
        yield "default", dimse.upstream, dimse.upstream_tls, dimse.lookup_nodes
    for name, upstream in dimse.upstreams.items():
        if upstream.tls is not None:
            yield name, upstream.address, upstream.tls, upstream.lookup_nodes


def _destination(name: str, delivery: DeliverySettings) -> PeerTls:
    assert delivery.tls is not None
    with _told(f"the TLS of the delivery `{name}`", "tls"):
        return PeerTls(client_contexts(delivery.tls), delivery.tls.name or endpoint(str(delivery.through)).host)


def _verifier(settings: Settings, plugins: Iterable[str | object]) -> Verifier | None:
    assert settings.dimse is not None
    identity = settings.dimse.identity
    loaded = Plugins((*settings.plugins, *plugins))
    if identity.users is None and identity.tokens is None and not identity.required and not loaded.verifies:
        return None
    return Verifier(identity, loaded.identity if loaded.verifies else None)


@contextmanager
def _told(what: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise PolicyError([_finding(f"{what} needs `{error.name}`", hint=f"pip install 'hirules[{extra}]'")]) from error
    except PluginError as error:
        raise PolicyError([_finding(str(error))]) from error
    except OSError as error:
        where = f"`{error.filename}`: " if error.filename else ""
        raise PolicyError([_finding(f"{what}: {where}{(error.strerror or str(error)).lower()}")]) from error
    except ValueError as error:
        raise PolicyError([_finding(f"{what}: {error}")]) from error


def _finding(message: str, hint: str = "") -> Finding:
    return Finding("configuration", 1, 1, "access", message, hint=hint)
