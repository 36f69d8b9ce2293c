"""Rules that no index serves: they are looked at for every request that has not come before.

``not-indexed``  a condition that an index would serve if it were written another way; in large sets every rule that none serves
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from hirules.policy.ast import All, Any, Condition, ListOperand, Not, Operands, Rule, Test, Value
from hirules.policy.buckets import indexable, necessary
from hirules.policy.lint.subject import Lint, Subject

LARGE = 200
"""Rules for one action, beyond which a rule that is always looked at is felt."""
_EQUAL = frozenset({"equals", "in"})
_TURNED = frozenset({"not_equals", "not_in", "not_glob", "not_cidr"})
_LITERAL = re.compile(r"([A-Za-z0-9_ -]+|\\\.)+(\.\*)?")


def lints(subject: Subject) -> Iterator[Lint]:
    """The findings of this family."""
    of_action = Counter(action for rule in subject.enforced for action in rule.on)
    for rule in subject.enforced:
        if rule.when is None or is_served(rule):
            continue
        better = next(_better(rule.when), None)
        if better is not None:
            test, instead = better
            yield subject.lint(test.position, "not-indexed", f"no index serves `{rule.id}` as this is written", expected=instead)
        elif max(of_action[action] for action in rule.on) >= LARGE:
            message = f"no index serves `{rule.id}`: it is looked at for every new request, and the set has many rules"
            expected = "a condition on a value, a prefix or a network of `subject.`, `request.`, `resource.` or `instance.` beside the others"
            yield subject.lint(rule.position, "not-indexed", message, expected=expected)


def is_served(rule: Rule) -> bool:
    """Whether the rule is found by a value of a request, instead of being looked at each time."""
    return any(indexable(test) is not None for test in necessary(rule.when))


def _better(condition: Condition) -> Iterator[tuple[Test, str]]:
    """A part that must hold and could be written so that an index serves it."""
    match condition:
        case All(parts):
            for part in parts:
                yield from _better(part)
        case Any(parts):
            tests = [part for part in parts if isinstance(part, Test)]
            if len(tests) == len(parts) and len({test.path for test in tests}) == 1 and all(_is_equality(test) for test in tests):
                yield tests[0], f"`{tests[0].path}: {{in: […]}}` with the values of all branches of the `any`"
        case Not(Test(checks=(check,)) as test) if check.operator in _TURNED and _is_constant(test):
            yield test, f"`{test.path}: {{{check.operator.removeprefix('not_')}: …}}` without the `not`"
        case Test(checks=checks):
            for check in checks:
                if check.operator == "regex" and isinstance(check.argument, Operands) and _is_constant(condition):
                    texts = [str(operand.value) for operand in check.argument.operands if isinstance(operand, Value)]
                    if len(texts) == len(check.argument.operands) and all(map(_LITERAL.fullmatch, texts)):
                        yield condition, f"`{condition.path}: {{glob: …}}`, which says the same of this pattern"
        case _:
            pass


def _is_equality(test: Test) -> bool:
    return len(test.checks) == 1 and test.checks[0].operator in _EQUAL and _is_constant(test)


def _is_constant(test: Test) -> bool:
    arguments = [check.argument for check in test.checks]
    return all(isinstance(one, Operands) and all(isinstance(operand, Value | ListOperand) for operand in one.operands) for one in arguments)
