"""Lists in place and from files, and that nothing of a file is shown."""

from __future__ import annotations

import pytest

from hirules.policy import Loaded, load_set
from hirules.policy.ast import NamedList
from hirules.policy.findings import render
from tests.policy.loading import codes, load, marked, only, policy, rule

RULE = "- {id: r, on: c-move, when: {resource.PatientID: {in: $l}}, deny: {}}"


def listed(declaration: str, **files: str) -> Loaded:
    return load(policy(RULE, f"lists:\n  l: {declaration}\n"), **files)


def named(loaded: Loaded) -> NamedList:
    return loaded.required().policies[0].lists["l"]


@pytest.mark.parametrize(
    ("declaration", "file", "content", "texts"),
    [
        ("[00123, no, 'a b']", "x_txt", "", ("00123", "no", "a b")),
        ("{file: l.csv, column: id}", "l_csv", '\ufeffid,name\n00123,"Doe, Jane"\n,empty\n\n 7 ,x\n', ("00123", "7")),
        ("{file: l.txt}", "l_txt", "00123\r\n\n  b \n", ("00123", "b")),
        ("{file: l.txt}", "l_txt", "a\u2028b\x0cc\n", ("a\u2028b\x0cc",)),
        ("{file: l.csv, column: id}", "l_csv", 'id,n\na\u2028b,1\n"c\nd",2\n', ("a\u2028b", "c\nd")),
        ("{file: l.json}", "l_json", '["00123", 7, 1.50]', ("00123", "7", "1.50")),
        ("{file: l.json, column: id}", "l_json", '[{"id": 12, "x": "y"}, {"x": "z"}, {"id": "a"}]', ("12", "a")),
        ("{file: data/l.txt}", "data__l_txt", "a", ("a",)),
        ("{file: ./data/../l.txt}", "l_txt", "a", ("a",)),
    ],
)
def test_members_come_as_source_text(declaration: str, file: str, content: str, texts: tuple[str, ...]) -> None:
    found = listed(declaration, **{file: content})
    assert found.findings == ()
    assert named(found).texts == texts


def test_a_table_has_rows_by_column() -> None:
    found = named(listed("{file: l.csv, column: id}", l_csv="id,peer\n1,a\n2,\n"))
    assert found.columns == ("id", "peer")
    assert found.rows == ({"id": "1", "peer": "a"}, {"id": "2", "peer": ""})


def test_a_file_is_named_from_the_folder_of_its_policy() -> None:
    text = policy(RULE, "lists:\n  l: {file: ../data/l.txt}\n").encode()
    assert load_set({"sub/p.yaml": text, "data/l.txt": b"a"}).findings == ()
    assert codes(load_set({"p.yaml": text, "data/l.txt": b"a"})) == ["list-file"]


@pytest.mark.parametrize(
    ("declaration", "code", "at"),
    [
        ("{file: /etc/passwd.txt}", "list-file", "/etc/passwd.txt"),
        ("{file: ../l.txt}", "list-file", "../l.txt"),
        ("{file: data/../../l.txt}", "list-file", "data/../../l.txt"),
        ("{file: 'C:/l.txt'}", "list-file", "'C:/l.txt'"),
        (r"{file: data\l.txt}", "list-file", r"data\l.txt"),
        ("{file: ~/l.txt}", "list-file", "~/l.txt"),
        ("{file: 'file:///etc/x.txt'}", "list-file", "'file:///etc/x.txt'"),
        ("{file: l.yaml}", "list-file", "l.yaml"),
        ("{file: l}", "list-file", "l"),
        ("{file: nothing.csv}", "list-file", "nothing.csv"),
        ("{file: [a]}", "not-a-text", "["),
        ("{column: a}", "missing-key", "{"),
        ("{file: l.csv, colunm: id}", "unknown-key", "colunm"),
        ("{file: l.csv, column: ident}", "list-file", "ident"),
        ("{file: l.txt, column: id}", "list-file", "id"),
        ("{file: l.csv, column: id, share: 'true'}", "choice", "'true'"),
        ("[]", "empty", "[]"),
        ("text", "not-a-mapping", "text"),
        ("[a, [b]]", "not-a-text", "["),
        ("[a, {b: c}]", "not-a-text", "{"),
        ("[{}, {}]", "empty", "{}"),
        ("[{b: c}, a]", "not-a-mapping", "a"),
        ("[{b: c}, {b: d, e: f}]", "unknown-key", "e"),
    ],
)
def test_a_declaration_that_gives_no_list(declaration: str, code: str, at: str) -> None:
    found = listed(declaration, l_csv="id,peer\n1,2\n", l_txt="a")
    assert (codes(found), [marked(one) for one in found.findings]) == ([code], [at])


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("l.csv", b""), ("l.csv", b"\n"), ("l.csv", b"id,id\n1,2\n"), ("l.csv", b"id,peer\n1\n"), ("l.csv", b'id\n"SECRET\n'), ("l.csv", b"id\n\xff\n"),
        ("l.csv", b"id\nSECRET\x00\n"), ("l.csv", b'id\n"SECRET"x\n'), ("l.json", b"{"), ("l.json", b'{"id": ["SECRET"]}'), ("l.json", b"[null]"),
        ("l.json", b'["SECRET", ["SECRET"]]'), ("l.json", b"[NaN]"), ("l.json", b'[{"id": 1, "id": 2}]'), ("l.json", b'[{"id": {"SECRET": 1}}]'),
        ("l.json", b"[true]"),
        ("l.json", b"[" * 100_000), ("l.txt", b"\xff"), ("l.txt", b"a\x00b"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_named_and_not_quoted(file: str, content: bytes) -> None:
    column = ", column: id" if file.endswith("csv") else ""
    text = policy(RULE, f"lists:\n  l: {{file: {file}{column}}}\n").encode()
    found = only(load_set({"p.yaml": text, file: content}))
    assert (found.code, marked(found)) == ("list-file", file)
    assert "SECRET" not in render([found])


def test_a_member_that_does_not_fit_is_found_where_the_list_is_used_and_not_quoted() -> None:
    text = "when: {resource.StudyDate: {in: $days}}"
    found = only(rule(text, head="lists: {days: {file: l.txt}}\n", l_txt="2026-01-01\n\nSECRET\n"))
    assert (found.code, marked(found)) == ("literal", "$days")
    assert "line 3 of `l.txt`" in found.message
    assert "SECRET" not in render([found])
    inline = only(rule(text, head="lists:\n  days: [2026-01-01, soon]\n"))
    assert "`soon`" in inline.message
    glob = only(rule("when: {resource.PatientID: {in: $l}}", head="lists: {l: {file: l.txt}}\n", l_txt="P1\nSECRET*\n"))
    assert (glob.code, "SECRET" in render([glob])) == ("pattern-in-list", False)
    assert codes(rule("when: {resource.PatientID: {glob: $l}}", head="lists: {l: {file: l.txt}}\n", l_txt="P1\nP2*\n")) == []
    network = only(rule("when: {subject.address: {cidr: $l}}", head="lists: {l: {file: l.txt}}\n", l_txt="10.0.0.0/8\nSECRET\n"))
    assert (network.code, "SECRET" in render([network])) == ("literal", False)


def test_a_table_without_a_column_has_no_members() -> None:
    assert codes(listed("{file: l.csv}", l_csv="id\n1\n")) == ["invalid-list"]
    assert codes(listed("[{id: 1}]")) == ["invalid-list"]


def test_names_of_lists() -> None:
    assert codes(load(policy(RULE.replace("$l", "$my-list_2"), "lists: {my-list_2: [a]}\n"))) == []
    assert codes(load(policy(RULE, "lists: {$l: [a]}\n"))) == ["invalid-list", "unknown-list"]
    found = only(load(policy(RULE.replace("$l", "$patient"), "lists: {patients: [a]}\n")))
    assert (found.code, found.hint) == ("unknown-list", "did you mean `$patients`?")


def test_shared_lists_are_for_every_policy_and_have_one_name() -> None:
    owner = policy(RULE, "lists: {l: {file: l.txt, share: true}}\n").encode()
    user = policy(RULE).replace("policy: p", "policy: q").encode()
    files = {"a.yaml": owner, "b.yaml": user, "l.txt": b"P1\n"}
    assert load_set(files).findings == ()
    assert codes(load_set({**files, "a.yaml": owner.replace(b", share: true", b"")})) == ["unknown-list"]
    second = owner.replace(b"policy: p", b"policy: q")
    twice = only(load_set({**files, "b.yaml": second}))
    assert (twice.code, twice.file, marked(twice)) == ("duplicate-list", "b.yaml", "l")
    hiding = only(load_set({**files, "b.yaml": second.replace(b", share: true", b"")}))
    assert (hiding.code, hiding.file) == ("duplicate-list", "b.yaml")


def test_an_empty_file_is_an_empty_list() -> None:
    assert named(listed("{file: l.csv, column: id}", l_csv="id\n")).texts == ()


@pytest.mark.parametrize(
    ("declaration", "file", "content"),
    [
        ("{file: l.csv, column: id}", "l_csv", "id,name\n"),
        ("{file: l.csv, column: id}", "l_csv", "id,name\n ,x\n"),
        ("{file: l.txt}", "l_txt", "\n"),
        ("{file: l.json}", "l_json", "[]"),
    ],
)
def test_a_file_without_a_value_is_a_warning(declaration: str, file: str, content: str) -> None:
    found = listed(declaration, **{file: content})
    assert [(one.code, one.is_error) for one in found.findings] == [("empty-list", False)]
    assert named(found).texts == ()
