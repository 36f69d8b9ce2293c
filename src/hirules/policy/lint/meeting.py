"""Which rules may match the same request: an index, so that rules which name different values of one attribute are not compared."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from hirules.model.scalars import Scalar
from hirules.policy.ast import Rule
from hirules.policy.lint.subject import Subject
from hirules.policy.lint.values import is_static, members_of

_NAMING = frozenset({"equals", "in"})
_MOST = 64
Named = Mapping[str, frozenset[Scalar]]


def named(subject: Subject, rule: Rule) -> Named:
    """The values that each single-valued attribute must have, one of which it has when the rule matches."""
    terms = subject.terms(rule)
    if not terms or len(terms) > 1:
        return {}
    return {
        one.name: members
        for one in terms[0]
        if one.sign and not one.attribute.many and one.check.operator in _NAMING and is_static(one.check, subject.operators)
        if len(members := members_of(one.check)) <= _MOST
    }


class Meeting:
    """Rules by the values of the attribute that most of them name."""

    def __init__(self, subject: Subject, rules: Iterable[Rule]) -> None:
        self._rules = list(rules)
        names = [named(subject, rule) for rule in self._rules]
        common = Counter(name for one in names for name in one).most_common(1)
        self._by = common[0][0] if common else ""
        self._values: defaultdict[Scalar, list[int]] = defaultdict(list)
        self._others: list[int] = []
        for number, one in enumerate(names):
            for value in one.get(self._by, ()):
                self._values[value].append(number)
            if self._by not in one:
                self._others.append(number)

    def of(self, found: Named) -> Iterator[int]:
        """The numbers of the rules that may match a request which a rule with these names matches, in their order."""
        if self._by not in found:
            yield from range(len(self._rules))
            return
        numbers = set(self._others)
        for value in found[self._by]:
            numbers.update(self._values.get(value, ()))
        yield from sorted(numbers)
