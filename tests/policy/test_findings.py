"""How findings read."""

from __future__ import annotations

from hirules.policy.findings import Finding, PolicyError, did_you_mean, listed, ordered, printable, render, render_one

FOUND = Finding(
    "a.yaml", 3, 7, "unknown-key", "`reson` is no key of `deny`", expected="`reason`", hint="did you mean `reason`?", length=5, source="deny: reson"
)


def test_a_finding_shows_the_line_a_caret_what_was_expected_and_what_is_near() -> None:
    assert render_one(FOUND) == (
        "a.yaml:3:7: error[unknown-key]: `reson` is no key of `deny`\n  3 | deny: reson\n    |       ^^^^^\n  expected: `reason`\n  did you mean `reason`?"
    )
    assert str(FOUND) == render_one(FOUND)


def test_a_finding_is_data_for_programs() -> None:
    assert FOUND.as_json() == {
        "file": "a.yaml", "line": 3, "column": 7, "length": 5, "severity": "error", "code": "unknown-key",
        "message": "`reson` is no key of `deny`", "expected": "`reason`", "hint": "did you mean `reason`?", "example": None,
    }  # fmt: skip


def test_the_caret_stands_below_a_tab_and_in_a_long_line() -> None:
    tabbed = Finding("a.yaml", 1, 3, "null", "m", source="\t\tx")
    assert render_one(tabbed).splitlines()[2] == "    | \t\t^"
    far = Finding("a.yaml", 1, 5001, "null", "m", source="-" * 5000 + "x" + "-" * 5000)
    _, line, caret = render_one(far).splitlines()
    assert len(line) < 200
    assert line[caret.index("^")] == "x"


def test_nothing_that_a_terminal_acts_on_is_shown() -> None:
    evil = Finding("a\x1b.yaml", 1, 1, "null", "m\x07", source="\x1b[31m\u202ex")
    assert "\x1b" not in render_one(evil)
    assert "\u202e" not in render_one(evil)
    assert printable("ä\tb") == "ä\tb"


def test_findings_are_sorted_by_file_line_and_column() -> None:
    others = [Finding("b.yaml", 1, 1, "c", "m"), Finding("a.yaml", 10, 1, "c", "m"), Finding("a.yaml", 2, 9, "c", "m"), Finding("a.yaml", 2, 1, "c", "m")]
    assert [(one.file, one.line, one.column) for one in ordered(others)] == [("a.yaml", 2, 1), ("a.yaml", 2, 9), ("a.yaml", 10, 1), ("b.yaml", 1, 1)]


def test_the_error_holds_all_findings_and_reads_as_they_do() -> None:
    error = PolicyError([FOUND, Finding("a.yaml", 1, 1, "null", "m")])
    assert [one.line for one in error.findings] == [1, 3]
    assert str(error) == render(error.findings)


def test_what_is_near_is_offered_and_what_is_not_is_not() -> None:
    assert did_you_mean("C_MOVE", ["c-move", "c-get"]) == "did you mean `c-move`?"
    assert did_you_mean("banana", ["c-move", "c-get"]) == ""
    assert did_you_mean("c-get", ["c-get"]) == ""
    assert listed(["b", "a"]) == "one of `a`, `b`"
    assert listed(["a"]) == "`a`"
    assert listed(str(number) for number in range(20)).endswith(", … (8 more)")


def test_an_example_is_shown_in_a_line_or_indented_and_is_data_for_programs() -> None:
    short = Finding("a.yaml", 3, 7, "shadowed", "m", "warning", example='{"action": "c-move"}')
    assert render_one(short).splitlines()[-1] == '  example: {"action": "c-move"}'
    assert short.as_json()["example"] == {"action": "c-move"}
    long = Finding("a.yaml", 3, 7, "shadowed", "m", "warning", example=f'{{"action": "c-move", "id": "{"x" * 140}"}}')
    assert render_one(long).splitlines()[1:4] == ["  example:", "    {", '      "action": "c-move",']
