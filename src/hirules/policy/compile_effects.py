"""Effects: allow, deny and audit (LANGUAGE: Effects). Rewrites are in ``compile_edits``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

from hirules.model.decision import SEVERITIES, AssociateStatus, Severity, Status
from hirules.model.scalars import Type, literal
from hirules.model.status import HTTP_STATUS, default_status, statuses, valid_status
from hirules.policy.ast import Allow, Audit, Deny, Quote
from hirules.policy.compile_paths import Where, resolve
from hirules.policy.compile_source import Source
from hirules.policy.document import MappingNode, Node, ScalarNode
from hirules.policy.findings import did_you_mean, listed

REJECTION = ("result", "source", "reason")


def allow(source: Source, node: Node) -> Allow | None:
    """``allow: {}``."""
    mapping = source.mapping(node, "`allow`", "`{}`")
    if mapping is None:
        return None
    for text, (key, _) in mapping.entries.items():
        hint = "conditions stand in `when` and `unless`" if "." in text else ""
        source.error(key, "unknown-key", f"`{text}` is no key of `allow`", expected="`allow: {}`", hint=hint)
    return Allow()


def deny(source: Source, node: Node, where: Where) -> Deny | None:
    """``deny: {reason, status, offending, respond}``."""
    mapping = source.mapping(node, "`deny`", "`{reason: …}`")
    if mapping is None:
        return None
    source.keys(mapping, "`deny`", ("offending", "reason", "respond", "status"))
    reason = mapping.get("reason")
    status = mapping.get("status")
    return Deny(
        reason=() if reason is None else _reason(source, reason, where),
        status={} if status is None else _status(source, status, where),
        offending=tuple(quote.path for quote in _quotes(source, mapping, "offending", where)),
        no_match=_no_match(source, mapping, where),
    )


def audit(source: Source, node: Node, where: Where, severity: Severity | None) -> Audit | None:
    """``audit: {severity, note, include, sample}``; ``severity`` is that of the rule, where it has one."""
    mapping = source.mapping(node, "`audit`", "`{note: …}`, or `{}`")
    if mapping is None:
        return None
    source.keys(mapping, "`audit`", ("include", "note", "sample", "severity"))
    own = source.choice(mapping, "severity", SEVERITIES, severity or "low")
    return Audit(
        severity=cast(Severity, own),
        note=source.text(mapping, "note", "`audit`"),
        include=_quotes(source, mapping, "include", where),
        sample=_sample(source, mapping),
    )


def _quotes(source: Source, mapping: MappingNode, key: str, where: Where) -> tuple[Quote, ...]:
    node = mapping.get(key)
    items = () if node is None else source.several(node, f"`{key}`")
    found = [resolve(source, scalar, where) for item in items if (scalar := source.scalar(item, f"an entry of `{key}`", "a path")) is not None]
    return tuple(Quote(named.path, named.attribute) for named in found if named is not None)


_SAMPLE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s?%")


def _sample(source: Source, mapping: MappingNode) -> float:
    node = mapping.get("sample")
    scalar = None if node is None else source.scalar(node, "`sample`", "a percentage, `5%`")
    if scalar is None:
        return 1.0
    match = _SAMPLE.fullmatch(scalar.text)
    share = float(match[1]) if match else 0.0
    if not 0 < share <= 100:
        source.error(scalar, "argument", f"`{scalar.text}` is no share", expected="a percentage above 0 and up to 100, `5%`")
    return share / 100


# Reasons.


def _reason(source: Source, node: Node, where: Where) -> tuple[str | Quote, ...]:
    """Literal text and quoted attributes: ``{path}`` quotes, ``{{`` is a brace."""
    scalar = source.scalar(node, "the reason", "a text")
    if scalar is None:
        return ()
    parts: list[str | Quote] = []
    text, at = scalar.text, 0
    while at < len(text):
        start = text.find("{", at)
        if start < 0:
            parts.append(text[at:])
            break
        if text.startswith("{{", start):
            parts.append(text[at : start + 1])
            at = start + 2
            continue
        end = _closing(text, start)
        if end < 0:
            source.error(scalar, "reason", "a brace is not closed", expected="`{path}`, or `{{` for a brace", offset=start, length=1)
            return ()
        parts.append(text[at:start])
        quote = _quote(source, scalar, start + 1, end, where)
        if quote is not None:
            parts.append(quote)
        at = end + 1
    return _joined(parts)


def _closing(text: str, start: int) -> int:
    """Where the brace at ``start`` is closed, quotes heeded; -1 where it is not."""
    quoted = False
    for at in range(start + 1, len(text)):
        if text[at] == '"':
            quoted = not quoted
        elif not quoted and text[at] in "{}":
            return at if text[at] == "}" else -1
    return -1


def _quote(source: Source, scalar: ScalarNode, start: int, end: int, where: Where) -> Quote | None:
    path = scalar.text[start:end]
    if not path.strip():
        source.error(scalar, "reason", "the braces hold no path", expected="`{path}`, or `{{` for a brace", offset=start - 1, length=2)
        return None
    named = resolve(source, _part(source, scalar, start, path), where)
    return None if named is None else Quote(named.path, named.attribute)


def _part(source: Source, scalar: ScalarNode, start: int, text: str) -> ScalarNode:
    """A node for a part of a text, at its own column where the text stands in the line as it is."""
    line = source.document.lines[scalar.line - 1]
    column = scalar.column - 1 + start + (0 if scalar.plain else 1)
    if line[column : column + len(text)] == text:
        return ScalarNode(text, scalar.line, column + 1, len(text), plain=True)
    return ScalarNode(text, scalar.line, scalar.column, scalar.length, plain=False)


def _joined(parts: Sequence[str | Quote]) -> tuple[str | Quote, ...]:
    """Neighbouring texts as one, empty ones left out."""
    found: list[str | Quote] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return tuple(found)


# Statuses.


def _status(source: Source, node: Node, where: Where) -> Mapping[str, Status]:
    """One status for every action of ``on``, or a map by action or group."""
    if isinstance(node, MappingNode) and not node.entries.keys() & set(REJECTION):
        return _statuses(source, node, where)
    found: dict[str, Status] = {}
    for action in where.actions:
        status = _one_status(source, node, action)
        if status is None:
            return {}  # one finding for a node is enough
        found[action] = status
    return found


def _statuses(source: Source, node: MappingNode, where: Where) -> Mapping[str, Status]:
    if not node.entries:
        source.error(node, "empty", "`status` is empty", expected="a status, or a status by action", length=2)
    found: dict[str, Status] = {}
    for name, (key, value) in node.entries.items():
        actions = [action for action in source.tables.vocabulary.expand(name) if action in where.actions]
        if not actions:
            hint = did_you_mean(name, where.actions)
            source.error(key, "unknown-action", f"`{name}` is no action of `on`", expected=listed(where.actions), hint=hint)
        for action in actions:
            if action in found:
                source.error(key, "duplicate-key", f"`{action}` has a status already", expected="one status for each action")
            status = _one_status(source, value, action)
            if status is not None:
                found[action] = status
    return found


def _one_status(source: Source, node: Node, action: str) -> Status:
    """The status for one action; ``None`` after a finding."""
    value: object = None
    if isinstance(node, ScalarNode):
        value = _number(node.text)
    elif isinstance(node, MappingNode):
        numbers = {key: _number(item.text) for key, (_, item) in node.entries.items() if isinstance(item, ScalarNode)}
        if set(numbers) == set(REJECTION) and all(isinstance(number, int) for number in numbers.values()):
            value = AssociateStatus(**cast("dict[str, int]", numbers))
    if valid_status(action, value):
        return cast(Status, value)
    shown = f"`{node.text}`" if isinstance(node, ScalarNode) else "this"
    source.error(node, "status", f"{shown} is no status that `{action}` can be refused with", expected=_possible(action))
    return None


def _number(text: str) -> int | str:
    try:
        return cast(int, literal(Type.INTEGER, text))
    except ValueError:
        return text


def _possible(action: str) -> str:
    rows = [row for row in statuses(action) if row.category == "failure"]
    if rows:
        return ", ".join(f"0x{row.first:04X}" + ("" if row.last == row.first else f" to 0x{row.last:04X}") for row in rows)
    if action == "associate":
        return "`{result: 1 or 2, source: 1 to 3, reason: …}` (PS3.8 §9.3.4)"
    default = default_status(action)
    return listed(HTTP_STATUS) if isinstance(default, str) else f"0x{default:04X}"


def _no_match(source: Source, mapping: MappingNode, where: Where) -> bool:
    if source.choice(mapping, "respond", ("no-match",), "") != "no-match":
        return False
    actions = source.tables.vocabulary.actions
    shown = [action for action in where.actions if not actions[action].hideable]
    if shown:
        node = mapping.entries["respond"][1]
        hideable = listed(name for name, action in actions.items() if action.hideable)
        source.error(node, "respond", f"`{shown[0]}` of `on` cannot be answered as if nothing existed", expected=hideable)
    return True
