"""The policy loader on hostile files.

The input is a folder in one text: `%% name` begins a file, what stands before the first is `p.yaml`.

- Loading answers with findings and raises nothing; each finding has a known code and a place in its file, and can be shown.
- What the compiler accepts the published schema accepts: its refusal, the finding `schema`, never appears.
- What was accepted is evaluated without an exception, on requests that know everything and on requests that know nothing; the indexed evaluator
  gives the reference's decision.
"""

from __future__ import annotations

import re
from datetime import datetime

from hirules.model.reading import Unknown
from hirules.model.request import Request
from hirules.policy import load_set
from hirules.policy.evaluate import evaluate
from hirules.policy.findings import CODES, render
from hirules.policy.index import Index
from hirules.policy.needs import needs, needs_after

NOW = datetime.fromisoformat("2026-03-02T10:00:00+01:00")
LARGEST = 16 * 1024
_FILE = re.compile(rb"^%% ?([^\n]*)\n", re.MULTILINE)
_SUBJECT = {"ae_title": "RES_1", "called_ae_title": "GATE", "address": "10.1.2.3", "roles": ["nurse"], "user": "x"}
_IDENTIFIER = {
    "QueryRetrieveLevel": "STUDY", "PatientID": "P1", "PatientName": "A^B", "StudyInstanceUID": ["1.2.3", "1.2.4"], "StudyDate": "20250101-",
    "StudyTime": "", "ModalitiesInStudy": "CT", "ReferencedStudySequence": ({"ReferencedSOPInstanceUID": "1.2"},),
}  # fmt: skip
_ENTITY = {"PatientID": "P1", "StudyDate": "20250101", "ModalitiesInStudy": ["CT", "SR"], "PatientBirthDate": "1980", "count": 1, "instance_count": 3}
_IMAGE_SET = {"imageSetState": "ACTIVE", "versionId": "1", "createdAt": "2026-01-01T00:00:00Z", "isPrimary": True, "PatientID": "P1"}
_RETRIEVE = {"MessageID": 1, "Priority": 0, "AffectedSOPClassUID": "1.2.840.10008.5.1.4.1.2.2.2", "Identifier": _IDENTIFIER}
_UPDATE = {
    "datastoreId": "0" * 32, "imageSetId": "a" * 32, "latestVersionId": "1", "force": False, "kind": "update",
    "updates": {"Patient": {"PatientName": "A^B"}, "Study": {"StudyDescription": "x"}},
}  # fmt: skip
_UNKNOWN = Unknown("it broke")
REQUESTS = (
    Request("associate", _SUBJECT),
    Request("c-find", _SUBJECT, _RETRIEVE),
    Request("c-move", _SUBJECT, {**_RETRIEVE, "MoveDestination": "OLDPACS"}, resource=[_ENTITY, {}], resource_after=[_ENTITY], id="1"),
    Request("c-get", {"ae_title": _UNKNOWN}, {"Identifier": _UNKNOWN, "Priority": "x"}),
    Request("c-get", _SUBJECT, _RETRIEVE, resource=()),
    Request("n-get", _SUBJECT, {"AttributeIdentifierList": ["PrinterName", "PrinterStatus"]}, resource=[{}]),
    Request("release", _SUBJECT, {"action": "c-move", "MoveDestination": "OLDPACS"}, instance={**_IDENTIFIER, "(0009,1001)": b"\0"}, original={}),
    Request("answer", _SUBJECT, {"action": "c-find", "keys": ["PatientID"]}, instance=_ENTITY),
    Request("c-store", _SUBJECT, {"AffectedSOPInstanceUID": "1.2"}, instance={"PatientName": _UNKNOWN, "Rows": 1}),
    Request("update-image-set-metadata", _SUBJECT, _UPDATE, resource=[_IMAGE_SET]),
    Request("search-image-sets", {}, {}, context={"now": "nonsense"}),
)


def files_of(data: bytes) -> dict[str, bytes]:
    """The folder that an input describes."""
    first, *rest = _FILE.split(data)
    files = {"p.yaml": first} if first or not rest else {}
    for name, content in zip(rest[::2], rest[1::2], strict=True):
        files[name.decode("utf-8", "surrogateescape")] = content
    return files


def one(data: bytes) -> None:
    """Load, show and evaluate one folder."""
    files = files_of(data[:LARGEST])
    loaded = load_set(files)
    for found in loaded.findings:
        assert found.code in CODES, found.code
        assert found.code != "schema", f"the compiler accepts what the schema refuses: {found}"
        assert 1 <= found.line <= files.get(found.file, b"").count(b"\n") + files.get(found.file, b"").count(b"\r") + 2, found
        assert found.column >= 1, found
    render(loaded.findings)
    assert (loaded.set is None) == any(found.is_error for found in loaded.findings)
    if loaded.set is None:
        return
    index = Index(loaded.set)
    for request in REQUESTS:
        if request.action not in loaded.set.vocabulary.actions:
            continue
        decision = evaluate(loaded.set, request, NOW)
        assert index.decide(request, NOW) == decision, "the indexed evaluator decides otherwise"
        assert decision.decision in ("allow", "deny")
        assert len(decision.reason) <= 64
        needs(loaded.set, request, NOW)
        needs_after(loaded.set, request, NOW)
