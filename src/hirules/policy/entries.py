"""The rules of a set by action, each with the checks by which it can be found."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from hirules.model.path import Path
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import All, Allow, Check, Condition, Deny, PolicySet, Rule, Test
from hirules.policy.buckets import indexable, necessary, nothing


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A rule, with the checks by which it can be found, each by the path that it is for.

    ``answerable``  the checks are all of its condition
    ``plain``       and nothing else comes into what it does: an allow or a deny, enforced at any time and without exception,
                    whose reason is the same for all
    """

    rule: Rule
    checks: Mapping[str, Check]
    answerable: bool
    plain: bool


class Entries:
    """All of them. ``by_action`` leaves out rules in mode ``off``; ``paths`` has the paths of all checks by their texts.

    ``allows``  one allow rule in mode ``enforce`` for each action that has any: for some actions it counts that there is one, matching or not
    """

    def __init__(self, policies: PolicySet, between: Callable[[], None] = nothing) -> None:
        self.paths: dict[str, tuple[Path, Attribute]] = {}
        self.by_action: dict[str, list[Entry]] = {action: [] for action in policies.vocabulary.actions}
        self.allows: dict[str, Rule] = {}
        self._texts: dict[int, str] = {}
        for policy in policies.policies:
            for rule in policy.rules:
                if rule.mode != "off":
                    self._add(rule)
                between()

    def _add(self, rule: Rule) -> None:
        entry = self._entry(rule)
        for action in rule.on:
            self.by_action[action].append(entry)
        if rule.mode == "enforce" and type(rule.effect) is Allow:
            for action in rule.on:
                self.allows.setdefault(action, rule)

    def _entry(self, rule: Rule) -> Entry:
        tests = necessary(rule.when)
        checks: dict[str, Check] = {}
        single = True
        for test in tests:
            check = indexable(test)
            if check is not None and (text := self._text(test)) not in checks:
                checks[text] = check
            single = single and len(test.checks) == 1
        answerable = single and rule.unless is None and len(checks) == len(tests) and (rule.when is None or _is_conjunction(rule.when))
        return Entry(rule, checks, answerable, answerable and _is_plain(rule) and not any(map(_is_looked_up, checks)))

    def _text(self, test: Test) -> str:
        """The path's text, spelled once for all rules that share the path. The rules are kept, so no other path gets its identity."""
        text = self._texts.get(id(test.path))
        if text is None:
            text = self._texts[id(test.path)] = test.path.text
            self.paths.setdefault(text, (test.path, test.attribute))
        return text


def _is_plain(rule: Rule) -> bool:
    effect = rule.effect
    if rule.exceptions or rule.mode != "enforce" or rule.valid.start is not None or rule.valid.end is not None:
        return False
    return type(effect) is Allow or (type(effect) is Deny and all(type(part) is str for part in effect.reason))


def _is_looked_up(path: str) -> bool:
    return path.startswith("resource.")


def _is_conjunction(condition: Condition) -> bool:
    return isinstance(condition, Test) or (isinstance(condition, All) and all(map(_is_conjunction, condition.conditions)))
