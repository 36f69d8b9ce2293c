from __future__ import annotations

from typing import Any

import pytest

from hirules.model.reading import Reading
from hirules.model.scalars import read
from hirules.policy import ast
from hirules.policy.buckets import Bucket, indexable, necessary
from tests.policy.deciding import policy_set


def parts_of(when: str) -> list[ast.Test]:
    (rule,) = policy_set(f"{{on: c-move, when: {when}, deny: {{}}}}").rules
    return necessary(rule.when)


def bucket(*whens: str) -> Bucket:
    tests = [parts_of(when)[0] for when in whens]
    found = Bucket(tests[0].path, tests[0].attribute)
    checks = [check for test in tests if (check := indexable(test)) is not None]
    assert len(checks) == len(whens)
    found.fill(enumerate(checks))
    return found


def satisfied(found: Bucket, *values: str) -> set[int]:
    bits = found.satisfied(Reading(tuple(read(found.attribute.type, value) for value in values), present=True))
    return {number for number in range(bits.bit_length()) if bits >> number & 1}


def test_texts_are_found_by_what_they_equal_start_with_or_match() -> None:
    titles = bucket(
        "{subject.ae_title: A}", "{subject.ae_title: [A, B]}", "{subject.ae_title: {in: $clinical}}", "{subject.ae_title: {glob: 'a*'}}",
        "{subject.ae_title: {glob: '*Z'}}", "{subject.ae_title: {starts_with: [pacs, AB]}}",
        "{subject.ae_title: {glob: 'A?C'}}", "{subject.ae_title: {glob: AB}}",
    )  # fmt: skip
    assert satisfied(titles, "a ") == {0, 1, 3}
    assert satisfied(titles, "B") == {1}
    assert satisfied(titles, "PACS_MAIN") == {2, 5}
    assert satisfied(titles, "ABC") == {3, 5, 6}
    assert satisfied(titles, "AB") == {3, 5, 7}
    assert satisfied(titles, "QZ") == {4}
    assert satisfied(titles) == set()
    assert satisfied(titles, "B", "QZ") == {1, 4}
    assert titles.tested == 0xFF


def test_addresses_are_found_by_the_networks_they_lie_in() -> None:
    addresses = bucket(
        "{subject.address: 10.1.2.3}", "{subject.address: {cidr: 10.0.0.0/8}}", "{subject.address: {cidr: [10.1.0.0/16, fd00::/8]}}",
        "{subject.address: {cidr: 10.1.2.3}}", "{subject.address: {cidr: 0.0.0.0/0}}",
    )  # fmt: skip
    assert satisfied(addresses, "10.1.2.3") == {0, 1, 2, 3, 4}
    assert satisfied(addresses, "::ffff:10.1.2.3") == {0, 1, 2, 3, 4}
    assert satisfied(addresses, "10.9.0.1") == {1, 4}
    assert satisfied(addresses, "fd12::1") == {2}
    assert satisfied(addresses, "fe80::1") == set()


@pytest.mark.parametrize(
    "when",
    [
        "{subject.ae_title: {not_in: [A]}}", "{subject.ae_title: {regex: A.*}}", "{subject.ae_title: {exists: true}}", "{context.now: {weekday: mon}}",
        "{subject.user: {equals: {path: subject.stated_user}}}", "{original.request.MoveDestination: A}", "{resource.StudyDate: 2026-01-01}",
        "{subject.user: {glob: 'ä*'}}",
    ],
)  # fmt: skip
def test_what_no_bucket_can_tell_is_left_to_the_rule(when: str) -> None:
    (test,) = parts_of(when)
    assert indexable(test) is None


def test_single_addresses_and_long_lists_of_them() -> None:
    listed = ", ".join(f"10.9.{number}.1" for number in range(100))
    addresses = bucket("{subject.address: 'fd00::1'}", "{subject.address: [10.1.2.3, 10.1.2.4]}", f"{{subject.address: {{in: [{listed}]}}}}")
    assert satisfied(addresses, "10.1.2.3") == {1}
    assert satisfied(addresses, "10.9.99.1") == {2}
    assert satisfied(addresses, "fd00::1") == {0}
    assert satisfied(addresses, "fd00::1%eth0") == satisfied(addresses, "10.9.100.1") == set()


def test_globs_with_a_literal_end() -> None:
    titles = bucket(
        "{subject.ae_title: {glob: 'a*a'}}", "{subject.ae_title: {glob: '*_1'}}", "{subject.ae_title: {glob: 'A?*1'}}", "{subject.ae_title: {glob: 'A**1'}}"
    )
    assert satisfied(titles, "A") == set()
    assert satisfied(titles, "AA") == {0}
    assert satisfied(titles, "ABA") == {0}
    assert satisfied(titles, "_1") == {1}
    assert satisfied(titles, "A1") == {3}
    assert satisfied(titles, "A_1") == {1, 2, 3}
    assert satisfied(titles, "A_1 1") == {2, 3}


def test_many_rules_for_one_value() -> None:
    titles = bucket(*["{subject.ae_title: [A, B]}", "{subject.ae_title: {glob: 'A*'}}", "{subject.ae_title: C}"] * 40)
    assert titles.tested == 2**120 - 1
    assert satisfied(titles, "A") == {number for number in range(120) if number % 3 < 2}
    assert satisfied(titles, "B") == set(range(0, 120, 3))
    assert satisfied(titles, "C") == set(range(2, 120, 3))


def test_only_what_must_hold_is_necessary() -> None:
    def paths(when: str) -> list[Any]:
        return [test.path.text for test in parts_of(when)]

    assert paths("{subject.user: x, all: [{subject.ae_title: A}]}") == ["subject.user", "subject.ae_title"]
    assert paths("{any: [{subject.ae_title: A}]}") == []
    assert paths("{not: {subject.ae_title: A}}") == []
