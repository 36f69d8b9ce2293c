"""The reference for policy authors: every action, attribute, operator, edit, status, finding and key, from the tables that decide.

    tables ─▶ pages(language) ─▶ docs/reference/*.md

``python -m hirules.assemble.reference DIR`` writes the pages (`make reference`); a test compares.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hirules.assemble.language import Language, read_language
from hirules.model.actions import NARROWING
from hirules.model.attributes import Attribute, Elements
from hirules.model.path import ROOTS
from hirules.model.status import HTTP_STATUS, REJECTIONS, STATUSES, Row, default_status
from hirules.policy.edits import EditArgument, EditKind
from hirules.policy.findings import CODES, SILENCEABLE
from hirules.policy.operators import ArgumentKind, Operator
from hirules.policy.schema import schemas
from hirules.settings import Settings

_GENERATED = "<!-- written by `make reference` from the tables of the program; do not edit -->"
_WARNINGS = SILENCEABLE | {"no-policy", "unused-silence"}
_ROOTS: Mapping[str, str] = {
    "subject": "Who asks. Known at once, for every action.",
    "request": "The parameters of the request, named as the standard or the API names them. They are the client's claims.",
    "resource": "What the request would reach. Looked up only where a rule that could still matter needs it.",
    "instance": "The data set that is about to leave or to arrive.",
    "context": "Around the request. What plugins tell stands here, too.",
}
_ARGUMENTS: Mapping[ArgumentKind, str] = {
    ArgumentKind.FLAG: "`true` or `false`",
    ArgumentKind.OPERAND: "a value, `{path: …}` or `{today: …}`",
    ArgumentKind.OPERANDS: "a value or a list of them, a `$list`",
    ArgumentKind.PATTERNS: "a pattern or a list of them",
    ArgumentKind.REGEXES: "an RE2 pattern or a list of them",
    ArgumentKind.PREFIXES: "a text or a list of them",
    ArgumentKind.RANGE: "two values",
    ArgumentKind.AGE: "a number and `m`, `h`, `d`, `w` or `y`",
    ArgumentKind.WINDOW: "two times of day",
    ArgumentKind.WEEKDAYS: "a day or a list of them",
    ArgumentKind.ROW: "a table and which column equals which path",
    ArgumentKind.MATCHER: "a matcher",
    ArgumentKind.COUNT: "a matcher on a number",
    ArgumentKind.ITEM: "a condition on the elements of one item",
    ArgumentKind.NETWORKS: "a network or a list of them",
    ArgumentKind.PLUGIN: "as the plugin says",
}
_EDITS: Mapping[EditArgument, str] = {
    EditArgument.VALUE: "`path: value`",
    EditArgument.NOTHING: "a path, or a list of them",
    EditArgument.NAMES: "`path: [name, …]`",
    EditArgument.MEMBERS: "`path: value`, or a list",
    EditArgument.TABLE: "`path: {old: new, …}`",
    EditArgument.REPLACEMENT: "`path: {regex: …, with: …}`",
    EditArgument.PLUGIN: "as the plugin says",
}


def pages(language: Language) -> dict[str, str]:
    """The text of each page by the name of its file."""
    found = {
        "actions.md": _actions(language),
        "attributes.md": _attributes(language),
        "operators.md": _operators(language.operators.values()),
        "edits.md": _edits(language.edits.values()),
        "statuses.md": _statuses(),
        "findings.md": _findings(),
        "keys.md": _keys(schemas(language.vocabulary, language.operators, language.edits)),
    }
    contents = [
        ("actions.md", "what `on` takes: actions and groups"),
        ("attributes.md", "every path, with its type, its actions, and what a rewrite may do"),
        ("operators.md", "every operator of a condition"),
        ("edits.md", "every edit of a rewrite"),
        ("statuses.md", "with which status an action may be refused"),
        ("findings.md", "every code that `check` reports"),
        ("keys.md", "every key of a policy, of `set.yaml` and of a file of tests"),
    ]
    listed = _table(("page", "what"), [(f"[{name}]({name})", what) for name, what in contents])
    found["README.md"] = _page("Reference", "Every name of the language. What they mean together is in [language.md](../language.md).", listed)
    return found


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", _GENERATED, *parts]) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _actions(language: Language) -> str:
    vocabulary = language.vocabulary
    rows = [
        (
            f"`{action.name}`",
            action.doc,
            {"dimse": "DIMSE", "healthimaging": f"HealthImaging, `{action.operation}`", "association": "DICOM association"}.get(action.service, "disclosure"),
            "yes" if action.has_resource else "",
            "yes" if action.hideable else "",
            _code(name for name, members in vocabulary.groups.items() if action.name in members),
        )
        for action in vocabulary.actions.values()
    ]
    groups = [(f"`{name}`", _code(members)) for name, members in vocabulary.groups.items()]
    return _page(
        "Actions",
        "*resource*: paths below `resource.` exist for it. *no-match*: a deny may say `respond: no-match`.",
        _table(("action", "what is about to happen", "service", "resource", "no-match", "groups"), rows),
        f"{_code(NARROWING)} only narrow what the request's own rules grant: permitted unless denied, until the set has an allow rule for them.",
        "## Groups",
        _table(("group", "actions"), groups),
    )


def _attributes(language: Language) -> str:
    vocabulary = language.vocabulary
    parts = [
        "`<Keyword>` stands for an element of a DICOM data set by its keyword or tag, `<name>` for any name, `[*]` for the items of a list.",
        _table(
            ("mark", "what"),
            [
                ("many", "it may have several values: an operator holds where one of them satisfies it"),
                ("rewrite", "a rewrite may change it; *harmless*: `on_unknown: skip` may leave the edit out"),
                ("selects", "an edit of it changes what the request reaches"),
                ("empty is all", "absent means everything"),
                ("patient data", "its value is never shown to the caller, and in the record only where configured"),
            ],
        ),
    ]
    for root in ROOTS:
        found = [attribute for path, attribute in vocabulary.attributes.items() if path.startswith(f"{root}.")]
        if found:
            rows = [(f"`{one.path}`", _type(one), one.doc + _values(one), _marks(one), _of(one, language)) for one in found]
            parts += [f"## `{root}.`", _ROOTS.get(root, ""), _table(("path", "type", "what", "marks", "actions"), rows)]
    parts += ["## `original.`", "Before any of the paths below `request.` and `instance.`: the value as it came, before any rewrite. Never changed by one."]
    return _page("Attributes", *parts)


def _type(attribute: Attribute) -> str:
    return "as in PS3.6" if attribute.elements is not None else str(attribute.type)


def _values(attribute: Attribute) -> str:
    said = f"; one of {_code(attribute.values)}" if attribute.values else ""
    return said + (f"; left out: `{json.dumps(attribute.default)}`" if attribute.default is not None else "")


def _marks(attribute: Attribute) -> str:
    several = {
        Elements.KEYS: "UIDs may be lists",
        Elements.DATA_SET: "many as in PS3.6",
        Elements.ENTITY: "many below the study",
        Elements.MANY: "many",
    }
    marks = [several[attribute.elements] if attribute.elements is not None else "many" if attribute.many else ""]
    marks.append(("rewrite, harmless" if attribute.harmless else "rewrite") if attribute.writable else "")
    marks += ["selects" if attribute.selects else "", "empty is all" if attribute.empty_means_everything else ""]
    marks.append("patient data" if attribute.patient_data else "")
    return ", ".join(mark for mark in marks if mark)


def _of(attribute: Attribute, language: Language) -> str:
    actions = language.vocabulary.actions
    if attribute.actions == frozenset(actions):
        return "all"
    services = {"all of DIMSE": "dimse", "all of HealthImaging": "healthimaging"}
    whole = [(said, {name for name, one in actions.items() if one.service == service}) for said, service in services.items()]
    covered = [(said, members) for said, members in whole if members and members <= attribute.actions]
    left = attribute.actions.difference(*(members for _, members in covered))
    return ", ".join([*(said for said, _ in covered), *(f"`{name}`" for name in actions if name in left)])


def _operators(operators: Iterable[Operator]) -> str:
    rows = [
        (
            f"`{one.name}`",
            one.doc,
            _ARGUMENTS[one.argument],
            "every type" if one.types is None else ", ".join(sorted(one.types)),
            ", ".join(mark for mark in ("many in an opening position" if one.opening_ok else "", "query keys only" if one.query_keys else "") if mark),
            f"`{one.example}`",
        )
        for one in operators
    ]
    return _page(
        "Operators",
        "A matcher is a value (`equals`), a list (`in`), or a mapping of operators that all hold. `tz` beside `older_than`, `newer_than`, `time_between` and "
        "`weekday` names their time zone.",
        "*Many in an opening position*: the `when` of an allow or an exception, and the `unless` of a deny or a rewrite, take of a path with several values "
        "only these.",
        _table(("operator", "holds where", "takes", "types", "marks", "example"), rows),
    )


def _edits(edits: Iterable[EditKind]) -> str:
    rows = [
        (
            f"`{one.name}`",
            one.doc,
            _EDITS[one.argument],
            "every type" if one.types is None else ", ".join(sorted(one.types)),
            "only for many values" if one.many else "",
            one.combining.value,
            f"`{one.example}`",
        )
        for one in edits
    ]
    return _page(
        "Edits",
        "A rewrite is a list of edits. An edit that fails refuses the request; two that meet at one place with different results are a conflict, which refuses "
        "it, too. Which paths may be changed: [attributes.md](attributes.md).",
        _table(("edit", "what", "takes", "types", "marks", "several at one place", "example"), rows),
    )


def _statuses() -> str:
    parts = ["A deny names a status that the action's service may answer with; a name that it lacks is an error of the policy. Left out, it is the default."]
    for action, rows in STATUSES.items():
        failures = [(_code_of(row), f"`{row.name}`", row.meaning) for row in rows if row.category == "failure"]
        default = default_status(action)
        assert isinstance(default, int)  # INVARIANT: a DIMSE service's is a number
        parts += [f"## `{action}`", f"Default: 0x{default:04X}.", _table(("status", "name", "what"), failures)]
    reasons = [(str(result), str(source), ", ".join(map(str, sorted(found)))) for (result, source), found in REJECTIONS.items()]
    errors = [(f"`{name}`", str(code)) for name, code in sorted(HTTP_STATUS.items())]
    parts += ["## `associate`", "Default: result 1, source 1, reason 1 (PS3.8 §9.3.4).", _table(("result", "source", "reasons"), reasons)]
    parts += ["## HealthImaging", "Default: `AccessDenied`.", _table(("error", "HTTP"), errors)]
    return _page("Statuses", *parts)


def _code_of(row: Row) -> str:
    return f"0x{row.first:04X}" + (f" to 0x{row.last:04X}" if row.last != row.first else "")


def _findings() -> str:
    rows = [
        (
            f"[`{code}`](../lint.md#{code})" if code in _WARNINGS - {"no-policy"} else f"`{code}`",
            what,
            "warning" if code in _WARNINGS else "error",
            "yes" if code in SILENCEABLE else "",
        )
        for code, what in sorted(CODES.items())
    ]
    return _page(
        "Findings",
        "An error keeps a set from loading. A warning does not, and may be silenced where it is meant, with a reason: [lint.md](../lint.md).",
        _table(("code", "what", "", "may be silenced"), rows),
    )


def _keys(found: Mapping[str, Mapping[str, Any]]) -> str:
    policy, tests = found["policy"], found["policy-test"]
    of_policy = {"A policy": policy, "A rule": policy["$defs"]["rule"], "An exception": policy["$defs"]["exception"], "`deny`": policy["$defs"]["deny"]}
    of_tests = {"A file of tests": tests, "A test": tests["$defs"]["test"], "`expect`": tests["$defs"]["expect"]}
    parts = ["*Required* keys are in bold. Editors read the same from the schemas."]
    for title, schema in {**of_policy, "`audit`": policy["$defs"]["audit"]}.items():
        parts += [f"## {title}", _fields(schema, policy)]
    parts += ["## `set.yaml`", _fields(found["policy-set"], found["policy-set"])]
    for title, schema in of_tests.items():
        parts += [f"## {title}", _fields(schema, tests)]
    return _page("Keys", *parts)


def _fields(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    rows = []
    for name, field in schema["properties"].items():
        one = {**_referred(field, whole), **field}
        key = f"**`{name}`**" if name in schema.get("required", ()) else f"`{name}`"
        closed = f"; one of {_code(map(str, one['enum']))}" if "enum" in one else ""
        default = f"; left out: `{one['default']}`" if "default" in one else ""
        rows.append((key, one.get("description", one.get("title", "")) + closed + default, _example(one)))
    return _table(("key", "what", "example"), rows)


def _referred(field: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    name = field.get("$ref", "").removeprefix("#/$defs/")
    return whole["$defs"][name] if name else {}


def _example(field: Mapping[str, Any]) -> str:
    examples = field.get("examples", ())
    return f"`{json.dumps(examples[0], ensure_ascii=False)}`" if examples else ""


def main(folder: Path) -> None:
    """Write the pages into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(read_language(Settings())).items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
