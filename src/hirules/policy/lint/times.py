"""What has run out, or soon will. ``now`` is given.

``expired``       an exception or a rule whose time has passed: it does nothing any more
``expires-soon``  an exception that ends within thirty days
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from hirules.policy.ast import Position
from hirules.policy.document import MappingNode
from hirules.policy.lint.subject import Lint, Subject, items_of

SOON = timedelta(days=30)


def lints(subject: Subject) -> Iterator[Lint]:
    """The findings of this family."""
    for policy in subject.policies.policies:
        document = subject.documents.get(policy.file)
        nodes = {(item.line, item.column): item for item in items_of(document, "exceptions")} if document is not None else {}
        for exception in policy.exceptions:
            place = _place(nodes.get((exception.position.line, exception.position.column)), "expires", exception.position)
            if exception.expires <= subject.now:
                message = f"the exception `{exception.id}` expired at {_shown(exception.expires)}"
                yield subject.lint(place, "expired", message, expected="a later time, approved again, or no exception")
            elif exception.expires - subject.now <= SOON:
                message = f"the exception `{exception.id}` expires at {_shown(exception.expires)}"
                yield subject.lint(place, "expires-soon", message, expected="nothing, if that is meant; else a later time, approved again")
    for rule in subject.rules:
        if subject.is_over(rule) and rule.valid.end is not None:
            node = subject.node(rule)
            span = None if node is None else node.get("valid")
            place = _place(span if isinstance(span, MappingNode) else None, "until", rule.position)
            message = f"`{rule.id}` has not been valid since {_shown(rule.valid.end)}"
            yield subject.lint(place, "expired", message, expected="a later time, or no rule")


def _place(node: MappingNode | None, key: str, otherwise: Position) -> Position:
    value = None if node is None else node.get(key)
    return otherwise if value is None else Position(otherwise.file, value.line, value.column)


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")
