"""Examples for the schemas: what a value of an attribute looks like, as an author writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hirules.model.attributes import Attribute
from hirules.model.scalars import Type

_OF_TYPE: Mapping[Type, Any] = {
    Type.STRING: "a text",
    Type.TEXT: "P1",
    Type.LONG_TEXT: "a text",
    Type.AE_TITLE: "WARD_1",
    Type.UID: "1.2.840.10008.5.1.4.1.1.2",
    Type.PERSON_NAME: "Doe^Jane",
    Type.INTEGER: 1,
    Type.NUMBER: 1.5,
    Type.DATE: "2026-03-02",
    Type.TIME: "20:00",
    Type.DATETIME: "2026-03-02T10:00:00+01:00",
    Type.BOOLEAN: True,
    Type.ADDRESS: "10.20.3.4",
    Type.TAG: "PatientName",
    Type.BINARY: "AAA=",
    Type.SEQUENCE: {"Modality": "CT"},
}
_ID = "0123456789abcdef0123456789abcdef"
_OF_NAME: Mapping[str, Any] = {
    "subject.called_ae_title": "GATE",
    "subject.tls.subject": "CN=ward-1.hospital.example,O=Hospital",
    "subject.tls.cn": "ward-1.hospital.example",
    "subject.tls.san": "ward-1.hospital.example",
    "subject.tls.fingerprint": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "subject.implementation_class_uid": "1.2.276.0.7230010.3.0.3.6.7",
    "subject.user": "ada",
    "subject.stated_user": "ada",
    "subject.roles": "radiologist",
    "subject.claims.<name>": "radiology",
    "context.purpose_of_use": "TREAT",
    "context.transport": "dimse+tls",
    "request.action": "c-move",
    "request.upstream": "main",
    "request.MessageID": 7,
    "request.Priority": 2,
    "request.AffectedSOPInstanceUID": "1.2.3",
    "request.RequestedSOPClassUID": "1.2.840.10008.5.1.1.16",
    "request.RequestedSOPInstanceUID": "1.2.3",
    "request.MoveDestination": "PACS_MAIN",
    "request.removed_instances": "1.2.3",
    "request.updated": "Patient.PatientID",
    "request.removed": "Patient.PatientComments",
    "request.maxResults": 50,
    "request.nextToken": "AAEB",
    "request.searchCriteria.sort.sortField": "createdAt",
    "request.searchCriteria.filters[*].values[*].DICOMStudyInstanceUID": "1.2.3",
    "request.searchCriteria.filters[*].values[*].DICOMSeriesInstanceUID": "1.2.3",
    "request.copyImageSetInformation.sourceImageSet.DICOMCopies.copiableAttributes": '{"SchemaVersion": "1.1"}',
    "request.jobName": "import-2026-03",
    "request.dataAccessRoleArn": "arn:aws:iam::123456789012:role/import",
    "request.clientToken": "import-2026-03",
    "request.inputS3Uri": "s3://incoming/2026-03/",
    "request.outputS3Uri": "s3://results/2026-03/",
    "request.inputOwnerAccountId": "123456789012",
    "resource.count": 1,
    "resource.instance_count": 500,
    "resource.imageSetArn": f"arn:aws:medical-imaging:us-east-1:123456789012:datastore/{_ID}/imageset/{_ID}",
    "resource.message": "the pixel data could not be read",
}
_OF_END: Mapping[str, Any] = {
    "datastoreId": _ID,
    "imageSetId": _ID,
    "sourceImageSetId": _ID,
    "imageFrameId": _ID,
    "versionId": "1",
    "latestVersionId": "2",
    "revertToVersionId": "1",
    "studyInstanceUID": "1.2.3",
    "seriesInstanceUID": "1.2.3",
    "metadataFilePath": "s3://incoming/2026-03/series-1.json",
}


def value_of(attribute: Attribute) -> Any:
    """A value of the attribute."""
    if attribute.values:
        return attribute.values[0]
    by_end = _OF_END.get(attribute.path.rpartition(".")[2], _OF_TYPE[attribute.type])
    return _OF_NAME.get(attribute.path, by_end)


def matcher_of(attribute: Attribute) -> Any:
    """A matcher of the attribute that works wherever a condition stands."""
    return {"contains": value_of(attribute)} if attribute.many else value_of(attribute)


def below(attribute: Attribute, name: str) -> Any:
    """What stands at the first name of the attribute's path, as a request has it: ``{cn: …}`` for ``subject.tls.cn`` and ``tls``."""
    _, _, rest = attribute.path.partition(f".{name}")
    value: Any = [value_of(attribute)] if attribute.many and "[*]" not in rest else value_of(attribute)
    for step in reversed([step for step in rest.split(".") if step not in ("", "<name>", "<Keyword>")]):
        if step == "[*]":
            value = [value]
        else:
            value = {step.removesuffix("[*]"): [value] if step.endswith("[*]") else value}
    if rest.endswith("<Keyword>"):
        return {"PatientID": "P1"}
    return {"department": value} if rest.endswith("<name>") else value
