"""Policies and requests for the laws: everything that the language has, over so few values that rules and requests meet.

Policies are plain data, written to files and loaded as a user's are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from hirules.model.request import Request
from hirules.policy.evaluate import Verdict
from tests.policy.deciding import marked

ACTIONS = ("c-move", "c-get", "release", "associate")
TITLES, USERS, PATIENTS = ("A", "B", "C"), ("x", "y"), ("P1", "P2")

Policies = dict[str, dict[str, Any]]


def _matcher(values: tuple[str, ...]) -> st.SearchStrategy[Any]:
    one = st.sampled_from(values)
    return st.one_of(
        one,
        st.lists(one, min_size=1, max_size=2, unique=True),
        one.map(lambda value: {"not_equals": value}),
        one.map(lambda value: {"not_in": [value]}),
        one.map(lambda value: {"glob": f"{value}*"}),
        one.map(lambda value: {"regex": value, "exists": True}),
        st.booleans().map(lambda flag: {"exists": flag}),
    )


def _path(name: str, matcher: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return matcher.map(lambda found: {name: found})


GENERAL = [
    _path("subject.ae_title", _matcher(TITLES)),
    _path("subject.user", _matcher(USERS)),
    _path("context.now", st.just({"time_between": ["08:00", "18:00"]})),
    st.just({"subject.user": {"equals": {"path": "subject.stated_user"}}}),
]
OF_RETRIEVES = [
    _path("resource.PatientID", _matcher(PATIENTS)),
    _path(
        "resource.ModalitiesInStudy", st.sampled_from([{"contains": "CT"}, {"subset_of": ["CT", "MR"]}, {"every": {"not_equals": "SR"}}, {"count": {"lte": 1}}])
    ),
    _path(
        "resource.StudyDate", st.sampled_from([{"older_than": "90d"}, {"newer_than": "90d"}, {"lt": "2026-01-01"}, {"between": ["2025-01-01", "2026-12-31"]}])
    ),
    _path("resource.count", st.sampled_from([{"gt": 1}, {"lte": 1}, {"exists": True}])),
    _path("request.Identifier.PatientID", _matcher(PATIENTS)),
    _path("request.Identifier.StudyDate", st.sampled_from([{"universal": True}, {"range_wider_than": "31d"}, {"wildcard": False}])),
    _path("request.keys", st.sampled_from([{"contains": "StudyDate"}, {"subset_of": ["PatientID"]}])),
    _path("request.Priority", st.sampled_from([0, {"gte": 1}])),
    st.just({"request.Identifier.PatientID": {"equals": {"path": "resource.PatientID"}}}),
]
OF_MOVES = [_path("request.MoveDestination", _matcher(TITLES))]
ORIGINAL = [_path("original.request.MoveDestination", _matcher(TITLES))]


def conditions(leaves: list[st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """A mapping of one or two entries, nested at most a little."""
    return st.recursive(
        st.one_of(leaves),
        lambda inner: st.one_of(
            inner.map(lambda one: {"not": one}),
            st.lists(inner, min_size=1, max_size=2).map(lambda several: {"all": several}),
            st.lists(inner, min_size=1, max_size=2).map(lambda several: {"any": several}),
        ),
        max_leaves=3,
    )


EDITS = st.sampled_from(
    [
        {"set": {"request.MoveDestination": "A"}}, {"set": {"request.MoveDestination": "B"}}, {"map": {"request.MoveDestination": {"A": "B", "B": "B"}}},
        {"default": {"request.Priority": 1}}, {"set": {"request.Priority": 2}}, {"remove": "request.Identifier.StudyDate"},
        {"set": {"request.Identifier.PatientID": "P2"}}, {"keep_only": {"request.Identifier": ["PatientID"]}},
        {"replace": {"request.MoveDestination": {"regex": "[AB]", "with": "C"}}}, {"set": {"request.Identifier.PatientID": {"path": "subject.user"}}},
    ]
)  # fmt: skip
DENIES = st.sampled_from([{}, {"reason": "no {subject.user}"}, {"reason": "{request.Identifier.PatientID}"}, {"respond": "no-match"}, {"status": "0xA801"}])
AUDITS = st.sampled_from([{}, {"severity": "high", "note": "n", "include": ["subject.user"]}, {"sample": "50%"}])
VALIDITY = st.sampled_from(
    [
        {},
        {},
        {},
        {"from": "2026-03-02T10:00:00+01:00"},
        {"until": "2026-03-02T10:00:00+01:00"},
        {"from": "2020-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z"},
    ]
)


@st.composite
def rules(draw: st.DrawFn, name: str, kinds: tuple[str, ...], original: bool) -> dict[str, Any]:
    """One rule."""
    kind = draw(st.sampled_from(kinds))
    effects: dict[str, st.SearchStrategy[Any]] = {"allow": st.just({}), "deny": DENIES, "audit": AUDITS, "rewrite": st.lists(EDITS, min_size=1, max_size=2)}
    effect = draw(effects[kind])
    on = ["c-move"] if kind == "rewrite" or "status" in effect else draw(st.sampled_from([["c-move"], ["c-move", "c-get"], ["release"], ["associate"]]))
    if "no-match" in str(effect) and on == ["associate"]:
        effect = {}
    if "Identifier" in str(effect) and on not in (["c-move"], ["c-move", "c-get"]):
        effect = {}
    leaves = [*GENERAL, *(OF_RETRIEVES if "c-move" in on else []), *([*OF_MOVES, *(ORIGINAL if original else [])] if on == ["c-move"] else [])]
    rule: dict[str, Any] = {"id": name, "on": on, kind: effect}
    rule.update((part, draw(conditions(leaves))) for part in ("when", "unless") if draw(st.booleans()))
    if valid := draw(VALIDITY):
        rule["valid"] = valid
    rule["mode"] = draw(st.sampled_from(["enforce", "enforce", "enforce", "shadow", "off"]))
    rule["severity"] = draw(st.sampled_from(["low", "high"]))
    return rule


@st.composite
def policies(draw: st.DrawFn, kinds: tuple[str, ...] = ("allow", "deny", "rewrite", "audit"), original: bool = True) -> Policies:
    """Up to two policies of up to four rules, with exceptions."""
    found: Policies = {}
    for policy in draw(st.sampled_from([["one"], ["one", "two"]])):
        of_policy = [draw(rules(f"r{number}", kinds, original)) for number in range(draw(st.integers(1, 4)))]
        found[policy] = {"hirules": 1, "policy": policy, "title": policy, "rules": of_policy}
        named = [rule for rule in of_policy if "allow" not in rule]
        if draw(st.booleans()) and named:
            found[policy]["exceptions"] = [draw(exceptions(named))]
    return found


@st.composite
def exceptions(draw: st.DrawFn, named: list[dict[str, Any]]) -> dict[str, Any]:
    """An exception of some of these rules, over what all of them have."""
    of = draw(st.lists(st.sampled_from(named), min_size=1, max_size=2, unique_by=lambda rule: rule["id"]))
    moves = all("c-move" in rule["on"] for rule in of)
    return {
        "id": "e", "of": [rule["id"] for rule in of], "when": draw(conditions([*GENERAL, *(OF_RETRIEVES if moves else [])])), "reason": "ticket",
        "approved_by": "office", "expires": draw(st.sampled_from(["2026-03-02T10:00:00+01:00", "2027-01-01T00:00:00Z"])),
    }  # fmt: skip


SETTINGS = st.sampled_from(["deny-unless-permit", "permit-unless-deny"])


def _given(values: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    return st.sampled_from([*values, *values, None, "?"])


ENTITY: st.SearchStrategy[Mapping[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "PatientID": st.sampled_from(["P1", "P2", "P1", "P2", None, "?", ["P1", "P2"]]),
        "ModalitiesInStudy": st.sampled_from([["CT"], ["CT", "SR"], "MR", None, "?", ["CT", "?"]]),
        "StudyDate": st.sampled_from(["20260301", "20250101", "2025", None, "?"]),
    },
)
WHOLE_ENTITY = st.fixed_dictionaries(
    {
        "PatientID": st.sampled_from(["P1", "P2", None]), "ModalitiesInStudy": st.sampled_from([["CT"], ["CT", "SR"], None]),
        "StudyDate": st.sampled_from(["20260301", "20250101", "2025", None]),
    }
)  # fmt: skip
SUBJECT = st.fixed_dictionaries({}, optional={"ae_title": _given(TITLES), "user": _given(USERS), "stated_user": _given(USERS)})
IDENTIFIER = st.fixed_dictionaries({}, optional={"PatientID": _given(PATIENTS), "StudyDate": st.sampled_from(["20260101-20260301", "20260101", "", "*", "?"])})
PARAMETERS = st.fixed_dictionaries({}, optional={"MoveDestination": _given(TITLES), "Priority": st.sampled_from([0, 1, "?"]), "Identifier": IDENTIFIER})


@st.composite
def requests(draw: st.DrawFn, entity: st.SearchStrategy[Any] = ENTITY, action: str | None = None, known: bool = False) -> dict[str, Any]:
    """The parts of one request, as plain data; ``known``: what it reaches is given, before and after its rewrite."""
    action = draw(st.sampled_from(["c-move", "c-move", "c-move", "c-get", "release", "associate"])) if action is None else action
    parts: dict[str, Any] = {"action": action, "subject": draw(SUBJECT), "id": draw(st.sampled_from(["1", "2", "3"]))}
    if action in ("c-move", "c-get"):
        fields = dict(draw(PARAMETERS))
        if action == "c-get":
            fields.pop("MoveDestination", None)
        entities = st.lists(entity, max_size=2)
        reached = entities if known else st.one_of(st.none(), entities)
        parts |= {"request": fields, "resource": draw(reached), "resource_after": draw(reached)}
    return parts


def request_of(parts: Mapping[str, Any]) -> Request:
    """The request of these parts, its `?` unknown."""
    return Request(**{name: value if name in ("action", "id") else marked(value) for name, value in parts.items()})


VERDICTS = st.lists(
    st.sampled_from(
        [
            Verdict(effect="allow", source="plugin:a"), Verdict(effect="deny", source="plugin:d", reason="no", severity="high"),
            Verdict(effect="audit", source="plugin:n", note="n"), Verdict(effect="rewrite", source="plugin:r", edits={"request.Priority": ("set", 2)}),
        ]
    ),
    max_size=2,
    unique_by=lambda verdict: verdict.source,
)  # fmt: skip
