"""Rules and exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, cast

import msgspec

from hirules.model.decision import SEVERITIES, Severity
from hirules.model.scalars import Type, literal
from hirules.policy.ast import Condition, Effect, ExceptionRule, Rule, Silence, Validity
from hirules.policy.compile_conditions import condition, paths
from hirules.policy.compile_edits import rewrite
from hirules.policy.compile_effects import allow, audit, deny
from hirules.policy.compile_paths import Where
from hirules.policy.compile_source import Source
from hirules.policy.document import MappingNode, Node, ScalarNode
from hirules.policy.findings import did_you_mean, listed

EFFECTS = ("allow", "audit", "deny", "rewrite")
RULE_KEYS = (
    *EFFECTS, "description", "id", "lint", "mode", "on", "on_unknown", "references", "severity", "tags", "title", "unless", "valid", "when",
)  # fmt: skip
EXCEPTION_KEYS = ("approved_by", "description", "expires", "id", "lint", "of", "reason", "references", "title", "when")
MODES = ("enforce", "shadow", "off")


def rule(source: Source, node: Node, policy: str) -> Rule | None:
    """One rule; ``None`` after a finding that leaves nothing of it."""
    mapping = source.mapping(node, "a rule", "a mapping with `id`, `on` and an effect")
    if mapping is None:
        return None
    source.keys(mapping, "a rule", RULE_KEYS, ("id", "on"))
    name = source.identifier(mapping, "id", "a rule")
    on = mapping.get("on")
    actions = () if on is None else actions_of(source, on)
    kinds = _effect_keys(source, mapping)
    kind = kinds[0] if len(kinds) == 1 else None
    about = _about(source, mapping)
    when, unless = _part(source, mapping, "when", actions, kind), _part(source, mapping, "unless", actions, kind)
    effects = [_effect(source, mapping, one, Where(actions), about.severity) for one in kinds]
    effect = effects[0] if len(effects) == 1 else None
    if name is None or effect is None or not actions:
        return None
    found = Rule(
        id=f"{policy}/{name}",
        on=_as_set(source, actions),
        effect=effect,
        when=when,
        unless=unless,
        mode=about.mode,
        severity=about.severity or "low",
        valid=about.valid,
        position=source.at(mapping),
        title=about.title,
        description=about.description,
        references=about.references,
        tags=about.tags,
        lint=about.lint,
    )
    _warn(source, mapping, found)
    return found


class _About(msgspec.Struct, frozen=True):
    """What most rules do not say."""

    severity: Severity | None = None
    mode: Literal["enforce", "shadow", "off"] = "enforce"
    valid: Validity = Validity()
    title: str = ""
    description: str = ""
    references: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    lint: tuple[Silence, ...] = ()


_NOTHING_SAID = _About()


def _about(source: Source, mapping: MappingNode) -> _About:
    if mapping.entries.keys().isdisjoint(_About.__struct_fields__):
        return _NOTHING_SAID
    severity = source.choice(mapping, "severity", SEVERITIES, "")
    return _About(
        severity=cast(Severity, severity) if severity else None,
        mode=source.choice(mapping, "mode", MODES, "enforce"),  # type: ignore[arg-type]
        valid=_validity(source, mapping),
        title=source.text(mapping, "title", "a rule"),
        description=source.text(mapping, "description", "a rule"),
        references=source.texts(mapping, "references", "a rule"),
        tags=source.texts(mapping, "tags", "a rule"),
        lint=source.silences(mapping),
    )


def actions_of(source: Source, node: Node) -> tuple[str, ...]:
    """The actions of ``on``, groups expanded, sorted."""
    known = source.known.actions.get(node.text) if isinstance(node, ScalarNode) else None
    if known is not None:
        return known
    vocabulary = source.tables.vocabulary
    found: set[str] = set()
    for item in source.several(node, "`on`"):
        scalar = source.scalar(item, "an entry of `on`", "an action or a group")
        if scalar is None:
            continue
        actions = vocabulary.expand(scalar.text)
        if not actions:
            names = (*vocabulary.actions, *vocabulary.groups)
            hint = did_you_mean(scalar.text, names)
            source.error(scalar, "unknown-action", f"`{scalar.text}` is no action and no group", expected=listed(names), hint=hint)
        found.update(actions)
    if isinstance(node, ScalarNode) and found:
        source.known.actions[node.text] = tuple(sorted(found))
    return tuple(sorted(found))


def _as_set(source: Source, actions: tuple[str, ...]) -> frozenset[str]:
    found = source.known.sets.get(actions)
    if found is None:
        found = source.known.sets[actions] = frozenset(actions)
    return found


def _effect_keys(source: Source, mapping: MappingNode) -> list[str]:
    kinds = [key for key in mapping.entries if key in EFFECTS]
    if not kinds:
        source.error(mapping, "effect", "the rule has no effect", expected=listed(EFFECTS))
    elif len(kinds) > 1:
        second = mapping.entries[kinds[1]][0]
        quoted = " and ".join(f"`{kind}`" for kind in kinds)
        source.error(second, "effect", f"the rule has the effects {quoted}", expected="exactly one", hint="make it two rules")
    return kinds


def _part(source: Source, mapping: MappingNode, key: str, actions: tuple[str, ...], kind: str | None) -> Condition | None:
    """``when`` or ``unless``, with the position that the effect gives it."""
    node = mapping.get(key)
    if node is None:
        return None
    # what makes an allow match opens, what makes a deny or a rewrite match closes; an audit does neither
    opening = None if kind not in ("allow", "deny", "rewrite") else key == ("when" if kind == "allow" else "unless")
    return condition(source, node, Where(actions, opening), f"`{key}`")


def _effect(source: Source, mapping: MappingNode, kind: str, where: Where, severity: Severity | None) -> Effect | None:
    node = mapping.entries[kind][1]
    skip_entry = mapping.entries.get("on_unknown")
    skip = False
    if skip_entry is not None:
        if kind != "rewrite":
            source.error(skip_entry[0], "unknown-key", f"`on_unknown` is no key of a rule with `{kind}`", expected="it beside `rewrite` only")
        else:
            skip = source.choice(mapping, "on_unknown", ("deny", "skip"), "deny") == "skip"
    match kind:
        case "allow":
            return allow(source, node)
        case "deny":
            return deny(source, node, where)
        case "audit":
            return audit(source, node, where, severity)
        case _:
            return rewrite(source, node, where, skip)


def _validity(source: Source, mapping: MappingNode) -> Validity:
    node = mapping.get("valid")
    span = None if node is None else source.mapping(node, "`valid`", "`{from: …, until: …}`")
    if span is None:
        return Validity()
    source.keys(span, "`valid`", ("from", "until"))
    if not span.entries:
        source.error(span, "empty", "`valid` is empty", expected="`{from: …, until: …}`", length=2)
    start, end = (None if (found := span.get(key)) is None else timestamp(source, found, f"`{key}`") for key in ("from", "until"))
    if start is not None and end is not None and end <= start:
        source.error(span.entries["until"][1], "timestamp", "`until` is not after `from`: the rule would never be valid", expected="a later time")
    return Validity(start, end)


def timestamp(source: Source, node: Node, what: str) -> datetime | None:
    """A full date and time with its offset (RFC 3339)."""
    expected = "a date and time with offset, `2026-12-31T23:59:59Z`"
    scalar = source.scalar(node, what, expected)
    if scalar is None:
        return None
    try:
        found = literal(Type.DATETIME, scalar.text) if scalar.text[4:5] == "-" and scalar.text[10:11] in ("T", "t", " ") else None
        if isinstance(found, datetime) and found.tzinfo is not None:
            # near the ends of the calendar there is no comparing across offsets
            found.astimezone(found.tzinfo)
            return found
    except (ValueError, OverflowError):
        found = None
    missing = isinstance(found, datetime)
    message = f"{what} has no offset" if missing else f"`{scalar.text}` is no date and time"
    hint = f"for UTC `{scalar.text}Z`" if missing else ""
    source.error(scalar, "timestamp", message, expected=expected, hint=hint)
    return None


_CLAIMED, _FACT = "request.Identifier.PatientID", "resource.PatientID"


def _warn(source: Source, mapping: MappingNode, found: Rule) -> None:
    kind = found.kind
    if kind in ("allow", "rewrite") and "when" not in mapping.entries and "unless" not in mapping.entries:
        verb = "allows" if kind == "allow" else "rewrites"
        source.warn(mapping, "always", f"the rule `{found.id}` {verb} every request of its actions", expected="a `when`, or an `unless`")
    if kind != "allow" or _CLAIMED not in source.known.texts or not any(source.tables.vocabulary.actions[action].retrieve for action in found.on):
        return
    read = {path.text for path in paths(found.when)}
    if _CLAIMED in read and _FACT not in read:
        message = f"the allow rests on `{_CLAIMED}`, which the client states; an archive may deliver another patient"
        source.warn(mapping.entries["when"][0], "client-claim", message, expected=f"a condition on `{_FACT}`")


# Exceptions.


def exception(source: Source, node: Node, policy: str, rules: Mapping[str, Rule | None]) -> ExceptionRule | None:
    """One exception; ``rules`` are those of its policy by their own id, ``None`` for one that has findings."""
    mapping = source.mapping(node, "an exception", "a mapping with `id`, `of`, `reason` and `expires`")
    if mapping is None:
        return None
    source.keys(mapping, "an exception", EXCEPTION_KEYS, ("id", "of", "reason", "expires"))
    name = source.identifier(mapping, "id", "an exception")
    of_node = mapping.get("of")
    of = () if of_node is None else _of(source, of_node, policy, rules)
    actions = tuple(sorted({action for one in of if (found := rules[one]) is not None for action in found.on}))
    when_node = mapping.get("when")
    when = None
    if when_node is None:
        source.warn(mapping, "always", f"the exception `{policy}/{name}` suspends its rules for every request", expected="a `when`")
    elif actions:
        when = condition(source, when_node, Where(actions, opening=True), "`when`")
    expires_node = mapping.get("expires")
    expires = None if expires_node is None else timestamp(source, expires_node, "`expires`")
    reason = source.text(mapping, "reason", "an exception")
    if "reason" in mapping.entries and not reason.strip() and isinstance(mapping.get("reason"), ScalarNode):
        source.error(mapping.entries["reason"][1], "empty", "the reason is empty", expected="why the rules are suspended")
    source.text(mapping, "title", "an exception")
    source.text(mapping, "description", "an exception")
    source.texts(mapping, "references", "an exception")
    approved_by = source.text(mapping, "approved_by", "an exception")
    silences = source.silences(mapping)
    if name is None or expires is None or not actions:
        return None
    return ExceptionRule(
        id=f"{policy}/{name}",
        of=tuple(f"{policy}/{one}" for one in of),
        when=when,
        reason=reason,
        approved_by=approved_by,
        expires=expires,
        position=source.at(mapping),
        lint=silences,
    )


def _of(source: Source, node: Node, policy: str, rules: Mapping[str, Rule | None]) -> tuple[str, ...]:
    found = []
    for item in source.several(node, "`of`"):
        scalar = source.scalar(item, "an entry of `of`", "the id of a rule")
        if scalar is None:
            continue
        if scalar.text not in rules:
            own = scalar.text.partition("/")[2]
            hint = f"rules are named without the policy: `{own}`" if own in rules else did_you_mean(scalar.text, rules)
            suspendable = listed(name for name, one in rules.items() if one is None or one.kind != "allow")
            source.error(scalar, "exception", f"`{scalar.text}` is no rule of this policy", expected=suspendable, hint=hint)
            continue
        named = rules[scalar.text]
        if named is not None and named.kind == "allow":
            source.error(scalar, "exception", f"`{scalar.text}` allows, and an exception suspends", expected="deny, rewrite or audit rules")
            continue
        if scalar.text in found:
            source.error(scalar, "duplicate-id", f"`{scalar.text}` stands here twice", expected="each rule once")
            continue
        found.append(scalar.text)
    return tuple(found)


def with_exceptions(found: Rule, exceptions: tuple[ExceptionRule, ...]) -> Rule:
    """The rule with the exceptions that name it."""
    if not exceptions:
        return found
    own = tuple(one for one in exceptions if found.id in one.of)
    return msgspec.structs.replace(found, exceptions=own) if own else found
