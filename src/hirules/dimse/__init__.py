"""The DIMSE gateway: a relay of PDUs in front of one upstream, with a decision before each request.

server    listens                        session      one association; pump, its two directions; transport, its sockets
relay     two directions, no I/O         flow         bytes of one direction → outputs, what to do
pdu       framing (PS3.8 §9.3)           conversation what may be said: contexts, requests, responses
message   command sets (PS3.7 Annex E)   ruling       a held request → gate → forward or answer
association, negotiation                 what was agreed, and what is changed in it on the way
translate, identifier, retrieve          messages as requests of the policy, and back
response  the answer of a refusal        archive      the embedded upstream
lookup    what a request reaches, asked of the upstream: lookup_query, which C-FIND; lookup_pool, lookup_scu, its associations
handlers  guard: the same decisions in a pynetdicom program of others
guarded   one of its associations; asking, its gate; handed, what its handlers give; pynetdicom_seam, its private API
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hirules.dimse.options import Options
from hirules.dimse.server import Gateway

if TYPE_CHECKING:
    from hirules.dimse.handlers import guard

__all__ = ["Gateway", "Options", "guard"]


def __getattr__(name: str) -> Any:
    if name != "guard":
        raise AttributeError(f"module `hirules.dimse` has no attribute `{name}`")
    from hirules.dimse.handlers import guard  # loads pynetdicom, which the gateway does without

    globals()[name] = guard
    return guard
