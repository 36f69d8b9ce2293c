"""The relay of one association, without sockets: two directions that know of each other's requests.

    client ──▶ relay.client.feed(bytes) ──▶ outputs: Forward to the upstream, Answer to the client, Decide, …
    client ◀── outputs: Forward to the client, Answer to the upstream, … ◀── relay.upstream.feed(bytes) ◀── upstream

The driver (:mod:`hirules.dimse.session`) does the outputs, one after the other, and replies to each
``Decide`` with a ``Ruling``.
"""

from __future__ import annotations

from collections.abc import Iterator

from hirules.dimse.association import Association
from hirules.dimse.conversation import Conversation
from hirules.dimse.flow import Flow
from hirules.dimse.options import Options
from hirules.dimse.outputs import Completed


class Relay:
    """``client`` takes what the client sends, ``upstream`` what the upstream sends."""

    def __init__(self, association: Association, options: Options) -> None:
        asked = Conversation(association, options, from_upstream=False)
        answered = Conversation(association, options, from_upstream=True)
        self.client, self.upstream = Flow(asked), Flow(answered)
        asked.other, answered.other = answered, asked

    def unfinished(self, ended: str) -> Iterator[Completed]:
        """Every decided request that will have no final response any more, each of them once."""
        for flow in (self.client, self.upstream):
            yield from flow.exchange.unanswered(ended)
            sent = flow.exchange.conversation.sent
            while sent:
                _, request = sent.popitem()
                if request.move is not None:
                    request.move.close()
                for decision in request.decisions:
                    yield Completed(decision, request.outcome(ended))
