"""Every hook. A plugin implements those it wants, marked with ``@hirules.hookimpl``; argument names are part of the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import pluggy

from hirules.model.actions import Action
from hirules.model.attributes import Attribute
from hirules.model.identity import Identity, StatedIdentity
from hirules.model.reading import Fields
from hirules.model.request import EMPTY, Entities, Request
from hirules.policy.edits import EditKind
from hirules.policy.operators import Operator
from hirules.policy.verdict import Verdict

PROJECT = "hirules"
"""The name of the hooks' project, and of the entry-point group in which plugins are found."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin knows about a request.

    ``context``   by the names below ``context.``, ``None`` for what is known to be absent
    ``resource``  the entities that the request reaches; taken only where neither the caller nor the
                  enforcement point can tell
    """

    context: Fields = EMPTY
    resource: Entities | None = None

    def __repr__(self) -> str:
        return f"Facts({len(self.context)} of the context)"


@hookspec
def hirules_actions() -> Sequence[Action]:  # type: ignore[empty-body]
    """Add actions to the vocabulary."""


@hookspec
def hirules_attributes() -> Sequence[Attribute]:  # type: ignore[empty-body]
    """Add attributes to the vocabulary, each with its type and a sentence."""


@hookspec
def hirules_operators() -> Sequence[Operator]:  # type: ignore[empty-body]
    """Add operators to the language, each with its schema fragment, a sentence and an example."""


@hookspec
def hirules_edits() -> Sequence[EditKind]:  # type: ignore[empty-body]
    """Add edits to the language, each with its schema fragment, a sentence and an example."""


@hookspec
def hirules_facts(request: Request, needed: frozenset[str]) -> Facts | None:
    """Say what of ``needed`` (paths such as ``context.office_closed``, ``resource.PatientID``) the plugin knows about the request."""


@hookspec
def hirules_verdict(request: Request) -> Verdict | None:
    """Allow, deny, rewrite or audit the request as it came, by the same law as a rule; ``None`` is no opinion."""


@hookspec
def hirules_verify_identity(identity: StatedIdentity) -> Identity | None:
    """Say who the peer of an association is; ``None`` where the plugin cannot tell, an exception where what it states is false."""


@hookspec
def hirules_decided(record: Mapping[str, object]) -> None:
    """Hear of a decision once its record is written; what this raises is logged and changes nothing."""
