"""The DIMSE gateway: a relay of PDUs in front of one upstream, with a decision before each request.

server    listens                        session      one association; pump, its two directions; transport, its sockets
relay     two directions, no I/O         flow         bytes of one direction → outputs, what to do
pdu       framing (PS3.8 §9.3)           conversation what may be said: contexts, requests, responses
message   command sets (PS3.7 Annex E)   ruling       a held request → gate → forward or answer
association, negotiation                 what was agreed, and what is changed in it on the way
translate, identifier, retrieve          messages as requests of the policy, and back
response  the answer of a refusal        archive      the embedded upstream
"""

from hirules.dimse.options import Options
from hirules.dimse.server import Gateway

__all__ = ["Gateway", "Options"]
