"""What the operator of a DIMSE gateway chooses. Defaults open the least."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from hirules.facts.disclosed import Disclosed

if TYPE_CHECKING:
    Answer = bool | Callable[[], bool]
    AnswerOfSet = bool | Callable[[str], bool]
    Disclosing = Callable[[str, str], Disclosed] | None
else:
    Disclosing = Any
    AnswerOfSet = Any
    Answer = Any  # msgspec reads options from JSON, where there are no functions


class Destination(msgspec.Struct, frozen=True):
    """Where the instances of a C-MOVE go: *direct*, under the AE title that the upstream knows, or *through* the gateway to ``host``."""

    ae_title: str
    host: str = ""
    port: int = 0
    tls: str = ""
    """The name of its TLS in :class:`~hirules.dimse.access.Access`: then nothing goes there without; empty: none."""

    @property
    def through(self) -> bool:
        """The upstream sends to the gateway, which sends on."""
        return bool(self.host)


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """One of several archives; ``called`` are the AE titles under which the gateway answers for it."""

    name: str
    ae_title: str
    host: str
    port: int
    called: tuple[str, ...] = ()
    calling_ae_title: str | None = None
    lookup_nodes: tuple[str, ...] = ()
    """As the one of :class:`Options`."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Names follow the configuration file. Sizes are bytes, times are seconds."""

    # who we are, and who answers
    ae_title: str
    """An association that calls another title is rejected (PS3.8 §9.3.4: 1, 1, 7)."""
    host: str = "127.0.0.1"
    port: int = 11112
    """0 takes a free one."""
    upstream_ae_title: str
    upstream_host: str
    upstream_port: int
    calling_ae_title: str | None = None
    """What the upstream sees; ``None`` is the client's own title, in the form that was decided."""
    upstream: str = "default"
    """The name of this upstream."""
    upstreams: tuple[Upstream, ...] = ()
    """The others: :func:`hirules.dimse.upstreams.toward` makes the options of each."""

    # what is read strictly
    strict_identifier: bool = False
    """Refuse a retrieve with keys that a retrieve does not have, instead of taking them out."""
    strict_status: bool = False
    """Answer C-FIND with 0xC000, since its own status list lacks 0x0124."""
    preserve_ae_title_case: bool = False
    """Forward AE titles in the case that the client used; they are decided without regard to case."""
    allow_relational: bool = False
    """Leave relational queries and retrieves in the extended negotiation (PS3.4 §C.5)."""
    allow_fuzzy: bool = False
    allow_combined_date_time: bool = False
    decide_suboperations: Answer = False
    """Decide each C-STORE of a permitted C-GET as a ``c-store``, for a policy set that could refuse or note one; else the C-GET covers them.

    A function is asked each time: the policies may change.
    """

    record_instances: bool = False
    """Each instance of a C-GET is in the record before it leaves."""

    disclosed: Disclosing = None
    """What rules for an `answer` or a `release` need of a data set that an action brings: ``disclosed("release", "c-get")``.

    ``None``: there is no such rule. The function is asked for each data set: the policies may change.
    """

    # where the instances of a C-MOVE go
    deliveries: Mapping[str, Destination] = {}
    """By move destination, in upper case; one that is not listed is direct, under its own title."""
    move_ae_title: str | None = None
    """As what the upstream knows the gateway when it is a move destination; ``None`` is ``ae_title``."""
    delivery_addresses: tuple[str, ...] = ()
    """Where the upstream's associations for them may come from, beside ``upstream_host``."""
    decide_deliveries: AnswerOfSet = False
    """A rule could decide the instances of a C-MOVE: one that is direct is refused. A function is asked each time, with the digest of the set that decided."""

    # how the upstream is asked what a request reaches
    lookup_nodes: tuple[str, ...] = ()
    """``AET@HOST:PORT``, asked in this order; none: the upstream itself."""
    lookup_ae_title: str | None = None
    """As whom. It must see at least what each client sees; ``None``: the title that the upstream sees for the client."""
    lookup_kept: tuple[str, ...] = ()
    """Optional keys (keywords) that the archive is known to keep: of these a zero-length answer is absent, else unknown."""
    lookup_matches: int = 10_000
    """Of one look-up; beyond it is unknown as a whole."""
    lookup_associations: int = 8
    lookup_idle: float = 5.0
    """Seconds after which an association for look-ups that nobody uses is released."""

    # how much of it
    command_size: int = 64 * 1024
    identifier_size: int = 1024 * 1024
    """Of a C-FIND, C-GET or C-MOVE, which is held until it is complete."""
    data_set_size: int = 64 * 1024 * 1024
    """Of an N service, which is held too; a printed page is one. And of what is held of an instance that is decided before it leaves."""
    pdu_length: int = 1 << 30
    """Of a P-DATA-TF PDU; they are cut through, not held."""
    associate_length: int = 1024 * 1024
    associations: int = 100
    associations_per_address: int = 80
    """Connections from one address: a single one must not fill the gateway."""
    associations_per_ae_title: int = 80

    # for how long
    artim_timeout: float = 30.0
    """PS3.8 §9.1.5: for the A-ASSOCIATE-RQ after the connection, and for the peer to close."""
    connect_timeout: float = 10.0
    """For the upstream's connection."""
    acceptance_timeout: float = 30.0
    """For the upstream's answer to an A-ASSOCIATE-RQ."""
    idle_timeout: float = 1800.0
    """Without a byte in either direction, and without an instance of a C-MOVE that goes through."""
    send_timeout: float = 300.0
    """That a peer takes no byte of what is sent to it, or a destination does not answer an instance."""
    pending_interval: float = 10.0
    """Without a response to a C-GET or C-MOVE: then the gateway sends a pending one."""
    settle_timeout: float = 10.0
    """That the final response to a C-MOVE waits for instances that have not been answered."""
    drain_timeout: float = 10.0
    """For associations to end by themselves when the gateway stops."""
