"""The DIMSE gateway: a relay of PDUs in front of an archive, with a decision before each request and before what leaves.

    bytes ─▶ flow ─▶ exchange ─▶ outputs ─▶ pump ─▶ ruling ─▶ gate              a request
                     └ judging ─▶ outputs ─▶ pump ─▶ ruling ─▶ release ─▶ gate   what it brings

The wire
    pdu            PDUs (PS3.8 §9.3)                           message        command sets (PS3.7 Annex E)
    identifier     identifiers and data sets, read strictly    flat           those that are flat and plain, read in one pass
    elements       elements found without decoding them        response       the responses that are made here
    sop_classes    SOP classes that the relay must know        retrieve       is an identifier valid for its model?
    translate      messages as requests, and back
Associations
    server         the listener                                session        one association: made, relayed, ended
    association    A-ASSOCIATE-RQ and -AC, read                negotiation    and changed on the way through
    options        what the operator chooses                   tally          how many there are, and limits
    upstreams      which archive it goes to                    demands        what the policies ask of the gateway
    transport      sockets                                     pump           the two directions at work
    pending        pending responses of its own
The relay, without I/O
    relay          two directions                              flow           bytes of one to fragments
    exchange       fragments to messages and what they become  conversation   what may be said, and what is outstanding
    outbox         what a direction has to say, in order       outputs        what the driver is to do
    ruling         the gate asked, and a message made of it
What leaves
    inspection     an instance, as far as rules need it        judging        what becomes of what was judged
    release        decided on its own data set, and edited     disclosing     what is asked of the archive for rules to read
    behind         nothing for readers behind the header       ledger         counts and status that the client gets
C-MOVE
    destinations   by where it goes: direct, through, refused  moves          those that go through, by their numbers
    delivery       the association that delivers to here       legs           and those to the destinations
    acceptances    one A-ASSOCIATE-AC out of several
Look-ups
    lookup         what a request reaches, asked by C-FIND     lookup_query   which C-FIND
    lookup_pool    associations that are kept a moment         lookup_scu     one of them
Who asks
    access         how clients come in                         tls            contexts and certificates
    encrypted      a TLS connection of two threads             identity       verified users
    users          the file of users                           tokens         JSON web tokens
    watched        files that are read again
pynetdicom programs of others
    handlers       `guard`                                     guarded        one of its associations
    asking         its gate                                    handed         what its handlers hand over
    pynetdicom_seam  the private API that it needs
The embedded archive
    archive        a folder of DICOM files, served             catalog        what matches
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
