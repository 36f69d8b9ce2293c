"""The rules by action and calling AE title, for peers that are asked with, or keyed by, that pair.

A rule of several AE titles or of a list file stands under each of them, a rule of any AE title under all of its action.
A caller that no rule names is ``ANY``: the rules of any AE title remain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from benchmarks.workload import ACTIONS, Query, Rule, Workload

ANY = "*"
Key = tuple[str, str]


def slices(workload: Workload) -> Mapping[Key, tuple[Rule, ...]]:
    """Every rule that a request of that action and caller can meet; ``(action, ANY)`` is always there."""
    named: dict[Key, list[Rule]] = defaultdict(list)
    any_caller: dict[str, tuple[Rule, ...]] = {
        action: tuple(rule for rule in workload.rules if rule.action == action and not workload.members(rule)) for action in ACTIONS
    }
    for rule in workload.rules:
        for caller in workload.members(rule):
            named[rule.action, caller].append(rule)
    return {
        **{(action, ANY): rules for action, rules in any_caller.items()},
        **{key: (*rules, *any_caller[key[0]]) for key, rules in named.items()},
    }


def key_of(query: Query, known: Mapping[Key, object]) -> Key:
    """The slice that ``query`` is decided by."""
    key = (query.action, query.caller)
    return key if key in known else (query.action, ANY)
