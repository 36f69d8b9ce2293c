"""Sets of several files: the language's own examples, and what holds across files."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hirules.model.scalars import Type
from hirules.policy import PolicyError, load_set
from hirules.policy.ast import Allow, Audit, Deny, Rewrite
from hirules.policy.edits import EDITS, EditArgument
from hirules.policy.operators import OPERATORS
from tests.policy.loading import codes, compiled, load, marked, only, policy, rule

LANGUAGE = Path(__file__).parents[2] / "docs" / "language.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", LANGUAGE.read_text(encoding="utf-8"), re.DOTALL)
DATA = {"data/agreements.csv": b"ae_title\nRES_1\nRES_2\n", "data/vip.csv": b"patient_id,since\n00123,2024\n"}


def example() -> dict[str, bytes]:
    (text,) = (block for block in BLOCKS if "policy: move-destinations" in block)
    return {"move.yaml": text.encode(), **DATA}


def test_the_example_of_the_language_loads_as_it_is_meant() -> None:
    found = load_set(example())
    assert found.findings == ()
    policies = found.required()
    assert [one.id.partition("/")[2] for one in policies.rules] == ["clinical-retrieve", "old-pacs-is-gone", "only-agreed-destinations", "watch-vip"]
    by_id = {one.id.partition("/")[2]: one for one in policies.rules}
    assert [type(by_id[name].effect) for name in sorted(by_id)] == [Allow, Rewrite, Deny, Audit]
    assert by_id["watch-vip"].on == {"c-get", "c-move", "get-image-set-metadata", "get-image-frame"}
    deny = by_id["only-agreed-destinations"].effect
    assert isinstance(deny, Deny)
    assert deny.status == {"c-move": 0xA801}
    (exception,) = by_id["only-agreed-destinations"].exceptions
    assert exception.expires == datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert exception.of == ("move-destinations/only-agreed-destinations",)
    assert policies.policies[0].lists["vip"].texts == ("00123",)
    assert policies.policies[0].references == ("45 CFR 164.312(e)(1)", "ISO 27799 9.4")


def test_every_other_yaml_block_of_the_language_is_a_test_that_may_stand_beside_it() -> None:
    tests = [block for block in BLOCKS if "hirules-test: 1" in block]
    assert tests
    found = load_set({**example(), **{f"t{number}_test.yaml": block.encode() for number, block in enumerate(tests)}})
    assert found.findings == ()
    assert len(BLOCKS) == len(tests) + 1


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_the_example_of_every_operator_loads(name: str) -> None:
    operator = OPERATORS[name]
    on = next(action for action in ("c-find", "c-move", "n-get") if not codes(_one(operator.example, action), errors_only=True))
    assert compiled(f"when:\n  {operator.example}", on=on, head=_TABLES, **_FILES).when is not None


@pytest.mark.parametrize("name", sorted(EDITS))
def test_the_example_of_every_edit_loads(name: str) -> None:
    kind = EDITS[name]
    loaded = [
        rule("when: {subject.user: x}", on=on, effect=f"rewrite:\n    - {kind.example}") for on in ("c-find", "c-move", "n-get", "update-image-set-metadata")
    ]
    found = next(one for one in loaded if one.set is not None).required().rules[0].effect
    assert isinstance(found, Rewrite)
    assert found.edits[0].edit == name
    assert (found.edits[0].argument is None) == (kind.argument is EditArgument.NOTHING)


_TABLES = "lists:\n  agreements: {file: a.csv, column: ae_title}\n"
_FILES = {"a_csv": "ae_title,peer\nRES_1,PACS\n"}


def _one(example_text: str, action: str):  # type: ignore[no-untyped-def]
    return rule(f"when:\n  {example_text}", on=action, head=_TABLES, **_FILES)


def test_the_digest_is_of_everything_that_decides_and_of_nothing_else() -> None:
    files = example()
    digest = load_set(files).required().digest
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    assert load_set(dict(reversed(files.items()))).required().digest == digest
    assert load_set({**files, "README.md": b"x", "move_test.yaml": b"hirules-test: 1\n"}).required().digest == digest
    assert load_set({**files, "data/vip.csv": b"patient_id\n00124\n"}).required().digest != digest
    assert load_set({**files, "move.yaml": files["move.yaml"] + b"\n"}).required().digest != digest
    assert load_set({**files, "set.yaml": b"hirules-set: 1\n"}).required().digest != digest
    renamed = {("other.yaml" if name == "move.yaml" else name): data for name, data in files.items()}
    assert load_set(renamed).required().digest != digest


def test_one_error_anywhere_and_nothing_is_loaded() -> None:
    found = load_set({**example(), "b.yaml": b"hirules: 1\npolicy: b\nrules: []\n"})
    assert (found.set, codes(found)) == (None, ["empty"])
    with pytest.raises(PolicyError, match=r"b.yaml:3:8: error\[empty\]") as raised:
        found.required()
    assert raised.value.findings == found.findings


def test_ids_of_policies_are_unique_in_the_set() -> None:
    text = policy("- {id: r, on: c-find, when: {subject.user: x}, deny: {}}").encode()
    found = only(load_set({"a.yaml": text, "b.yaml": text}))
    assert (found.code, found.file, found.line, marked(found)) == ("duplicate-id", "b.yaml", 2, "p")
    assert "`a.yaml`" in found.hint


@pytest.mark.parametrize("name", ["old.yml", "OLD.YAML", "sub/x.Yml"])
def test_a_file_that_would_be_passed_over_is_an_error(name: str) -> None:
    found = only(load_set({**example(), name: b"hirules: 1\n"}))
    assert (found.code, found.file) == ("file-extension", name)


def test_other_files_are_none_of_the_policy() -> None:
    assert not load_set({**example(), "notes.md": b"\xff", "x.json": b"{", ".gitignore": b"*"}).findings


def test_a_test_file_must_be_yaml_in_which_a_null_may_stand() -> None:
    assert not load_set({**example(), "a_test.yaml": b"rewritten: {request.Priority: null}\n"}).findings
    assert codes(load_set({**example(), "a_test.yaml": b"a: 1\na: 2\n"})) == ["duplicate-key"]


def test_a_set_without_a_policy_loads_with_a_warning() -> None:
    found = load_set({})
    assert codes(found) == ["no-policy"]
    assert found.required().rules == ()


def test_findings_are_sorted_over_all_files() -> None:
    broken = b"hirules: 1\npolicy: X Y\nrules: []\n"
    found = load_set({"b.yaml": broken, "a.yaml": broken, "old.yml": b""})
    assert [(one.file, one.line) for one in found.findings] == [("a.yaml", 2), ("a.yaml", 3), ("b.yaml", 2), ("b.yaml", 3), ("old.yml", 1)]


def test_an_empty_file_is_no_policy() -> None:
    for data in (b"", b"# a comment\n", b"---\n"):
        assert load_set({"a.yaml": data}).set is None
    assert codes(load_set({"a.yaml": b"# a comment\n"})) == ["empty-file"]


def test_what_plugins_bring_is_used() -> None:
    from hirules.model.attributes import Attribute
    from hirules.model.vocabulary import VOCABULARY
    from hirules.policy.operators import ArgumentKind, Operator

    near = Operator("near", ArgumentKind.PLUGIN, None, lambda *_: None, {"type": "object", "required": ["km"]}, "near by", "x: {near: {km: 1}}")
    vocabulary = VOCABULARY.extended((), (Attribute("context.site", Type.STRING, frozenset({"c-move"}), "the site"),))
    text = policy("- {id: r, on: c-move, when: {context.site: {near: {km: 5}}}, allow: {}}").encode()
    operators = {**OPERATORS, "near": near}
    found = load_set({"p.yaml": text}, vocabulary=vocabulary, operators=operators)
    assert found.findings == ()
    assert "near" in repr(found.required().rules[0].when)
    wrong = only(load_set({"p.yaml": text.replace(b"km", b"m")}, vocabulary=vocabulary, operators=operators))
    assert (wrong.code, wrong.line) == ("schema", 4)
    assert codes(load_set({"p.yaml": text})) == ["unknown-attribute"]


def test_a_file_that_is_no_mapping_is_no_policy() -> None:
    assert codes(load("- a\n")) == ["not-a-mapping"]
    assert codes(load("text\n")) == ["not-a-mapping"]
