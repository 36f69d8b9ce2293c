"""Reading files of tests: what they inherit, and that no mistake in them passes."""

from __future__ import annotations

from datetime import datetime

import pytest

from hirules.policy.load import load_set
from hirules.policy.suite_read import UNREAD
from tests.policy.suites import POLICY, case, cases, policies, reading, said

NO_CLOCK = "hirules: 1\npolicy: p\nrules:\n  - {id: r, on: c-find, when: {subject.ae_title: A}, allow: {}}\n"


def test_a_row_goes_over_its_test() -> None:
    first, second = cases(
        """
        fixtures:
          main: {subject: {ae_title: PACS_MAIN, address: 10.1.2.3}}
          study: {resource: [{PatientID: P1}], request: {Identifier: {QueryRetrieveLevel: STUDY, PatientID: P1}}}
        tests:
          - name:   moves
            on: c-move
            given: [main, study]
            request: {MoveDestination: PACS_MAIN}
            expect: {decision: allow, by: [p/clinical]}
            cases:
              - {request: {MoveDestination: PACS_DR}}
              - name: of another
                given: {subject: {ae_title: RES}, resource: []}
                request: {Identifier: {PatientID: P2}}
                now: 2027-01-01T00:00:00Z
                expect: {decision: deny}
        """
    )
    assert (first.name, second.name) == ("moves [1]", "moves [of another]")
    assert first.request.subject == {"ae_title": "PACS_MAIN", "address": "10.1.2.3"}
    assert first.request.request == {"MoveDestination": "PACS_DR", "Identifier": {"QueryRetrieveLevel": "STUDY", "PatientID": "P1"}}
    assert first.request.resource == ({"PatientID": "P1"},)
    assert first.expected.decision == "allow"
    assert first.expected.by == ("p/clinical",)
    assert second.request.subject == {"ae_title": "RES", "address": "10.1.2.3"}
    assert second.request.request == {"MoveDestination": "PACS_MAIN", "Identifier": {"QueryRetrieveLevel": "STUDY", "PatientID": "P2"}}
    assert second.request.resource == ()
    assert (second.expected.decision, second.expected.by) == ("deny", ("p/clinical",))
    assert second.now == datetime.fromisoformat("2027-01-01T00:00:00Z")
    assert second.request.context["now"] == second.now
    assert (first.position.line, second.position.line) == (14, 15)


def test_given_is_laid_over_in_its_order() -> None:
    one = case("on: c-find\ngiven: [{subject: {ae_title: A, user: x}}, {subject: {ae_title: B, user: null}}]\nexpect: {decision: deny}")
    assert one.request.subject == {"ae_title": "B", "user": None}


def test_each_action_of_a_table_is_its_own() -> None:
    found = cases("tests:\n  - {name: t, cases: [{on: c-find, expect: {decision: deny}}, {on: c-get, expect: {decision: deny}}]}")
    assert [one.request.action for one in found] == ["c-find", "c-get"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", "2026-03-02T10:00:00+01:00"),
        ("now: 2026-04-01T00:00:00Z", "2026-04-01T00:00:00Z"),
        ("context: {now: 2026-05-01T00:00:00Z}", "2026-05-01T00:00:00Z"),
        ("context: {now: 2026-05-01T00:00:00Z}\nnow: 2026-04-01T00:00:00Z", "2026-04-01T00:00:00Z"),
    ],
)
def test_the_time_of_a_test(keys: str, expected: str) -> None:
    assert case(f"on: c-move\nexpect: {{decision: deny}}\n{keys}").now == datetime.fromisoformat(expected)


def test_a_test_of_rules_with_a_clock_says_what_time_it_is() -> None:
    text = "hirules-test: 1\ntests:\n  - {name: t, on: c-move, expect: {decision: deny}}"
    assert said(text) == ["missing-key: the test gives no time, and `p/agreed` depends on it"]
    (one,) = cases(text.replace("c-move", "c-find"), policies(NO_CLOCK))
    assert one.now == UNREAD


MISTAKES = [
    # the file
    ("hirules-test: 1", "missing-key: a file of tests has no `tests`"),
    ("hirules-test: 1\ntests: []", "no-test: the file holds no test"),
    ("hirules-test: 2\ntests:\n  - {name: t, on: c-find, expect: {decision: deny}}", "version: this version of the language is not known"),
    ("hirules-test: [", "yaml-syntax"),
    ("hirules-test: 1\ntest: []\ntests:\n  - {name: t, on: c-find, expect: {decision: deny}}", "unknown-key: `test` is no key of a file of tests"),
    ("hirules-test: 1\nnow: 2026-03-02T10:00:00\ntests:\n  - {name: t, on: c-find, expect: {decision: deny}}", "timestamp: `now` is no time"),
    # fixtures
    ("fixtures: {a: {}}\ntests:\n  - {name: t, on: c-find, given: a, expect: {decision: deny}}", "empty: the fixture `a` is empty"),
    ("fixtures: {a: null}\ntests:\n  - {name: t, on: c-find, given: a, expect: {decision: deny}}", "not-a-mapping: the fixture `a` is the text `null`"),
    ("fixtures: {a: {subjet: {}}}\ntests:\n  - {name: t, on: c-find, expect: {decision: deny}}", "unknown-key: `subjet` is no key of the fixture `a`"),
    ("fixtures: {a: {id: x}}\ntests:\n  - {name: t, on: c-find, given: [b], expect: {decision: deny}}", "unknown-fixture: there is no fixture `b`"),
    # tests
    ("tests:\n  - {on: c-find, expect: {decision: deny}}", "missing-key: a test has no `name`"),
    ("tests:\n  - {name: ' ', on: c-find, expect: {decision: deny}}", "empty: the name of a test is empty"),
    ("tests:\n  - {name: t, expect: {decision: deny}}", "missing-key: the test has no `on`"),
    ("tests:\n  - {name: t, on: query, expect: {decision: deny}}", "unknown-action: `query` is no action"),
    ("tests:\n  - {name: t, on: c-find}", "missing-key: the test expects no decision"),
    ("tests:\n  - {name: t, on: c-find, expect: {by: []}}", "missing-key: the test expects no decision"),
    ("tests:\n  - {name: t, on: c-find, expct: {}, expect: {decision: deny}}", "unknown-key: `expct` is no key of a test"),
    ("tests:\n  - {name: t, on: c-find, cases: []}", "empty: `cases` is empty"),
    ("tests:\n  - {name: t, on: c-find, cases: [{expect: {}}]}", "missing-key: the test expects no decision"),
    ("tests:\n  - {name: t, on: c-find, cases: [{cases: [], expect: {decision: deny}}]}", "unknown-key: `cases` is no key of a row of `cases`"),
    (
        "tests:\n  - {name: t, on: c-find, expect: {decision: deny}}\n  - {name: t , on: c-get, expect: {decision: deny}}",
        "duplicate-test: a test `t` exists already",
    ),
    # requests
    ("tests:\n  - {name: t, on: c-find, subject: {ae: A}, expect: {decision: deny}}", "unknown-attribute: `subject.ae` is no attribute of `c-find`"),
    (
        "tests:\n  - {name: t, on: c-find, request: {MoveDestination: A}, expect: {decision: deny}}",
        "unknown-attribute: `request.MoveDestination` is no attribute of `c-find`",
    ),
    (
        "tests:\n  - {name: t, on: c-find, request: {Identifier: {ScheduledProcedureStepSequence: [{Modalty: CT}]}}, expect: {decision: deny}}",
        "unknown-attribute: `request.Identifier.ScheduledProcedureStepSequence[*].Modalty` is no attribute of `c-find`",
    ),
    ("tests:\n  - {name: t, on: c-find, resource: [], expect: {decision: deny}}", "attribute-of-action: `c-find` has no `resource`"),
    ("tests:\n  - {name: t, on: c-move, resource: {}, expect: {decision: deny}}", "not-a-list: `resource` is no list"),
    ("tests:\n  - {name: t, on: c-move, resource: [P1], expect: {decision: deny}}", "not-a-mapping: an entity of `resource` is the text `P1`"),
    ("tests:\n  - {name: t, on: c-find, subject: A, expect: {decision: deny}}", "not-a-mapping: `subject` is the text `A`"),
    ("tests:\n  - {name: t, on: c-find, context: {now: soon}, expect: {decision: deny}}", "timestamp: `now` is no time"),
    (
        "tests:\n  - {name: t, on: update-image-set-metadata, request: {updates: {Patient: {PatientName: A}}, updated: []}, expect: {decision: deny}}",
        "two-readings: `request.updated` can be read in two ways, and the request is refused before any rule",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[message[:60] for _, message in MISTAKES])
def test_a_mistake_is_found_and_no_test_runs(text: str, message: str) -> None:
    suite, findings = reading(text)
    assert suite is None
    assert [f"{found.code}: {found.message}"[: len(message)] for found in findings] == [message]


def test_findings_point_at_the_mistake() -> None:
    _, findings = reading(
        """
        fixtures:
          spy: {subject: {ae_titel: SPY}}
        tests:
          - {name: one, on: c-find, given: spy, expect: {decision: deny}}
          - {name: two, on: c-move, given: spy, expect: {decision: deny, by: [agreed]}}
        """
    )
    marks = [(found.line, found.source[found.column - 1 :][: found.length], found.hint) for found in findings]
    # of c-find and of c-move it is the same mistake at the same place, told once for each
    assert marks == [(5, "ae_titel", "did you mean `subject.ae_title`?")] * 2 + [(8, "agreed", "did you mean `p/agreed`?")]


def test_a_null_is_a_value_of_requests_and_nowhere_else() -> None:
    assert case("on: c-move\nresource: [{PatientID: null}]\nexpect: {decision: deny, status: null}").request.resource == ({"PatientID": None},)
    assert said("tests:\n  - {name: null, on: c-find, expect: {decision: deny}}")
    assert said("tests:\n  - {name: t, on: null, expect: {decision: deny}}")


def test_the_tests_of_added_actions() -> None:
    """A set adds actions; the published schema takes them."""
    files = {"set.yaml": b"hirules-set: 1\nactions: {print: {description: x, attributes: {request.Copies: {type: integer, description: x}}}}"}
    policy = "hirules: 1\npolicy: p\nrules:\n  - {id: r, on: print, when: {request.Copies: {gt: 9}}, deny: {}}\n"
    of = load_set({**files, "p.yaml": policy.encode()}).required()
    (one,) = cases("tests:\n  - {name: t, on: print, request: {Copies: 10}, expect: {decision: deny, by: [p/r]}}", of)
    assert one.request.request == {"Copies": "10"}


def test_the_policy_of_these_tests_has_no_finding() -> None:
    assert not load_set({"p.yaml": POLICY.encode()}).errors
