import copy
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError
from botocore.stub import Stubber

from hirules.healthimaging import guard, unguard
from hirules.healthimaging.standin import StandIn
from hirules.model.decision import Decision
from hirules.model.request import Request
from tests.healthimaging.conftest import make_client
from tests.healthimaging.gates import FunctionGate, deny, hide, rewriting

STORE = "0" * 32
NAME = {"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": "Miller^Anna"}}}


def update(image_set: str, tree: Any = NAME, **more: Any) -> dict[str, Any]:
    blob = tree if isinstance(tree, bytes | bytearray) else json.dumps(tree).encode()
    updates = {"DICOMUpdates": {"updatableAttributes": blob}}
    return {"datastoreId": STORE, "imageSetId": image_set, "latestVersionId": "1", "updateImageSetMetadataUpdates": updates, **more}


CALLS: dict[str, Callable[[str], dict[str, Any]]] = {
    "get_image_set": lambda image_set: {"datastoreId": STORE, "imageSetId": image_set},
    "get_image_set_metadata": lambda image_set: {"datastoreId": STORE, "imageSetId": image_set},
    "get_image_frame": lambda image_set: {"datastoreId": STORE, "imageSetId": image_set, "imageFrameInformation": {"imageFrameId": "a" * 32}},
    "search_image_sets": lambda image_set: {"datastoreId": STORE},
    "list_image_set_versions": lambda image_set: {"datastoreId": STORE, "imageSetId": image_set},
    "update_image_set_metadata": update,
    "copy_image_set": lambda image_set: {
        "datastoreId": STORE,
        "sourceImageSetId": image_set,
        "copyImageSetInformation": {"sourceImageSet": {"latestVersionId": "1"}},
    },
    "delete_image_set": lambda image_set: {"datastoreId": STORE, "imageSetId": image_set},
    "start_dicom_import_job": lambda image_set: {
        "datastoreId": STORE,
        "dataAccessRoleArn": "arn:aws:iam::123456789012:role/import",
        "inputS3Uri": "s3://bucket-in/x/",
        "outputS3Uri": "s3://bucket-out/x/",
    },
}


# -- denied ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", CALLS)
def test_a_denied_call_sends_nothing(client: Any, service: StandIn, image_set: str, method: str) -> None:
    gate = FunctionGate(deny)
    guard(client, gate)
    with pytest.raises(client.exceptions.AccessDeniedException) as caught:
        getattr(client, method)(**CALLS[method](image_set))
    error: Any = caught.value
    assert error.decision.by == ("policy/rule",)
    assert error.response["Error"] == {"Code": "AccessDeniedException", "Message": "not here"}
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert gate.requests[0].action == method.replace("_", "-")
    assert service.counts.total() == 0


def test_a_denied_presigned_url_is_not_made(client: Any, service: StandIn, image_set: str) -> None:
    guard(client, FunctionGate(deny))
    with pytest.raises(client.exceptions.AccessDeniedException):
        client.generate_presigned_url("get_image_set", Params={"datastoreId": STORE, "imageSetId": image_set})
    assert service.counts.total() == 0


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("AccessDenied", "AccessDeniedException"),
        ("Conflict", "ConflictException"),
        ("ValidationException", "ValidationException"),
        (None, "AccessDeniedException"),
        (0xA801, "AccessDeniedException"),
        ("Nonsense", "AccessDeniedException"),
    ],
)
def test_the_status_of_the_rule(client: Any, image_set: str, status: Any, expected: str) -> None:
    guard(client, FunctionGate(lambda request: Decision("deny", request, status=status)))
    with pytest.raises(getattr(client.exceptions, expected)) as caught:
        client.get_image_set(datastoreId=STORE, imageSetId=image_set)
    assert caught.value.response["Error"]["Code"] == expected


def test_paginators_and_stubbed_clients_are_decided(client: Any) -> None:
    guard(client, FunctionGate(deny))
    with pytest.raises(client.exceptions.AccessDeniedException):
        list(client.get_paginator("search_image_sets").paginate(datastoreId=STORE))
    with Stubber(client) as stubber:
        stubber.add_response("search_image_sets", {"imageSetsMetadataSummaries": []})
        with pytest.raises(client.exceptions.AccessDeniedException):
            client.search_image_sets(datastoreId=STORE)


# -- no match --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get_image_set", "get_image_set_metadata", "get_image_frame"])
def test_no_match_of_a_get_is_not_found(client: Any, service: StandIn, image_set: str, method: str) -> None:
    guard(client, FunctionGate(hide))
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        getattr(client, method)(**CALLS[method](image_set))
    assert not hasattr(caught.value, "decision")
    assert "rule" not in str(caught.value)
    assert service.counts.total() == 0


def test_no_match_of_a_search_is_empty(client: Any, service: StandIn, image_set: str) -> None:
    guard(client, FunctionGate(hide))
    assert client.search_image_sets(datastoreId=STORE)["imageSetsMetadataSummaries"] == []
    assert client.list_image_set_versions(datastoreId=STORE, imageSetId=image_set)["imageSetPropertiesList"] == []
    assert next(iter(client.get_paginator("search_image_sets").paginate(datastoreId=STORE)))["imageSetsMetadataSummaries"] == []
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.generate_presigned_url("search_image_sets", Params={"datastoreId": STORE})
    assert service.counts.total() == 0


# -- allowed ---------------------------------------------------------------------------------------


def test_an_allowed_call_is_sent_as_it_was(client: Any, service: StandIn, image_set: str) -> None:
    make_client(service.url).update_image_set_metadata(**update(image_set))
    gate = FunctionGate()
    guard(client, gate, subject={"user": "anna"})
    answer = client.update_image_set_metadata(**{**update(image_set), "latestVersionId": "2"}, force=True)
    assert answer["latestVersionId"] == "3"
    unguarded, guarded = (each for each in service.received if each.operation == "UpdateImageSetMetadata")
    assert unguarded.body == guarded.body
    assert guarded.query == {"latestVersion": "2", "force": "true"}
    request = gate.requests[0]
    assert (request.subject, request.context) == ({"user": "anna"}, {"transport": "boto3"})
    assert gate.outcomes == [
        {
            "id": "request-1",
            "sent": True,
            "http_status": 200,
            "retries": 0,
            "latestVersionId": "3",
            "imageSetState": "LOCKED",
            "imageSetWorkflowStatus": "UPDATING",
        }
    ]


def test_every_kind_of_call_passes_the_comparison(client: Any, service: StandIn, image_set: str) -> None:
    """Nothing that is decided and not changed is held back: streams, empty bodies, times, names that need escaping."""
    guard(client, FunctionGate())
    client.get_image_set(datastoreId=STORE, imageSetId=image_set, versionId="1")
    assert client.get_image_set_metadata(datastoreId=STORE, imageSetId=image_set)["imageSetMetadataBlob"].read()[:2] == b"\x1f\x8b"
    filters = [
        {"operator": "BETWEEN", "values": [{"createdAt": 0}, {"createdAt": "2100-01-01T00:00:00Z"}]},
        {"operator": "EQUAL", "values": [{"DICOMPatientId": "1CT1"}]},
    ]
    found = client.search_image_sets(datastoreId=STORE, searchCriteria={"filters": filters}, maxResults=5, nextToken="0")
    assert len(found["imageSetsMetadataSummaries"]) == 1
    with pytest.raises(client.exceptions.ValidationException):
        client.list_image_set_versions(datastoreId=STORE, imageSetId=image_set, nextToken="a+b/c= d&e")
    made = client.copy_image_set(**CALLS["copy_image_set"](image_set), force=False)["destinationImageSetProperties"]["imageSetId"]
    client.delete_image_set(datastoreId=STORE, imageSetId=made)
    with pytest.raises(ClientError, match="UnknownOperation"):
        client.start_dicom_import_job(**CALLS["start_dicom_import_job"](""))  # boto3 adds the clientToken
    assert service.counts.total() == 7


def test_errors_of_the_service_come_through_and_are_recorded(client: Any, image_set: str) -> None:
    gate = FunctionGate()
    guard(client, gate)
    with pytest.raises(client.exceptions.ConflictException):
        client.update_image_set_metadata(**{**update(image_set), "latestVersionId": "9"})
    assert gate.outcomes == [{"id": "request-1", "sent": True, "http_status": 409, "retries": 0, "error": "ConflictException"}]


def test_a_call_without_an_answer_is_recorded(image_set: str, service: StandIn) -> None:
    client = make_client(service.url)
    gate = FunctionGate()
    guard(client, gate)
    service.stop()
    with pytest.raises(Exception, match="connect"):
        client.get_image_set(datastoreId=STORE, imageSetId=image_set)
    assert [outcome["error"] for outcome in gate.outcomes] == ["EndpointConnectionError"]


def test_a_retry_is_not_decided_again(client: Any, service: StandIn, image_set: str) -> None:
    gate = FunctionGate()
    guard(client, gate)
    service.fail["GetImageSet"] = "ThrottlingException"
    with pytest.raises(client.exceptions.ThrottlingException):
        client.get_image_set(datastoreId=STORE, imageSetId=image_set)
    assert service.counts["GetImageSet"] == 2
    assert len(gate.requests) == 1
    assert gate.outcomes[0]["retries"] == 1


def test_a_presigned_url(client: Any, image_set: str) -> None:
    gate = FunctionGate()
    guard(client, gate)
    url = client.generate_presigned_url("get_image_set", Params={"datastoreId": STORE, "imageSetId": image_set, "versionId": "1"})
    assert f"/imageSet/{image_set}/getImageSet?version=1&X-Amz-Algorithm" in url
    assert gate.outcomes == [{"id": "request-1", "presigned": True}]
    with pytest.raises(client.exceptions.AccessDeniedException, match="method was changed"):
        client.generate_presigned_url("get_image_set", Params={"datastoreId": STORE, "imageSetId": image_set}, HttpMethod="DELETE")


# -- rewritten -------------------------------------------------------------------------------------


def test_a_rewrite_leaves_the_callers_objects_alone(client: Any, service: StandIn, image_set: str) -> None:
    guard(client, FunctionGate(rewriting(updates={"Study": {"StudyDescription": "ANON"}}, force=False)))
    params = update(image_set, bytearray(json.dumps(NAME).encode()), force=True)
    before = copy.deepcopy(params)
    client.update_image_set_metadata(**params)
    assert params == before
    assert service.metadata(image_set)["Study"]["DICOM"]["StudyDescription"] == "ANON"
    assert service.received[-1].query == {"latestVersion": "1", "force": "false"}
    presigned = client.generate_presigned_url("update_image_set_metadata", Params={**params, "latestVersionId": "2"})
    assert "force=false" in presigned
    assert params == before


def test_the_mapping_of_generate_presigned_url_is_the_callers(client: Any, image_set: str) -> None:
    guard(client, FunctionGate(rewriting(force=False)))
    params = update(image_set, force=True)
    before = copy.deepcopy(params)
    client.generate_presigned_url("update_image_set_metadata", Params=params)
    assert params == before


def test_a_rewrite_that_cannot_be_carried_out_refuses(client: Any, service: StandIn, image_set: str) -> None:
    gate = FunctionGate(rewriting(updates={}))
    guard(client, gate)
    with pytest.raises(client.exceptions.AccessDeniedException, match="becomes empty"):
        client.update_image_set_metadata(**update(image_set))
    assert gate.outcomes == [{"id": "request-1", "sent": False, "error": "the update document becomes empty"}]
    assert service.counts.total() == 0


# -- before any rule -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"imageSetId": "A" * 32}, "imageSetId"),
        ({"imageSetId": ""}, "imageSetId"),
        ({"latestVersionId": "x"}, "latestVersionId"),
        ({"updateImageSetMetadataUpdates": {"DICOMUpdates": {}}}, "names no attribute"),
        ({"updateImageSetMetadataUpdates": {"DICOMUpdates": {"updatableAttributes": b"x" * 30_001}}}, "30001"),
        ({"updateImageSetMetadataUpdates": {"DICOMUpdates": {"updatableAttributes": b"eyJhIjogMX0="}}}, "base64"),
        ({"updateImageSetMetadataUpdates": {"DICOMUpdates": {"updatableAttributes": b'{"Patient":{"DICOM":{"00100010":"Miller"}}}'}}}, "spelled by its tag"),
        ({"updateImageSetMetadataUpdates": {"DICOMUpdates": {"updatableAttributes": b'{"Patient":{"DICOM":{"Modality":"CT"}}}'}}}, "level"),
    ],
)
def test_what_has_no_single_reading_is_refused_before_any_rule(
    client: Any, service: StandIn, image_set: str, change: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate = FunctionGate()
    guard(client, gate)
    with caplog.at_level(logging.WARNING, "hirules"), pytest.raises(client.exceptions.AccessDeniedException, match=why) as caught:
        client.update_image_set_metadata(**{**update(image_set), **change})
    assert "Miller" not in str(caught.value) + caplog.text
    assert "before any rule" in caplog.text
    assert gate.requests == []
    assert service.counts.total() == 0


def test_a_gate_may_record_what_is_refused_before_any_rule(client: Any, image_set: str) -> None:
    class Recording(FunctionGate):
        refusals: list[tuple[Request, str, str]] = []  # noqa: RUF012

        def refuse(self, request: Request, status: str, reason: str) -> Decision:
            self.refusals.append((request, status, reason))
            return Decision("deny", request, status=status, reason=reason)

    gate = Recording()
    guard(client, gate, {"user": "anna"})
    with pytest.raises(client.exceptions.AccessDeniedException) as caught:
        client.update_image_set_metadata(**{**update(image_set, b"{"), "latestVersionId": "x"}, force=True)
    with pytest.raises(client.exceptions.AccessDeniedException):
        client.get_datastore(datastoreId=STORE)
    (request, status, reason), (other, _, _) = gate.refusals
    assert caught.value.decision.reason == reason
    assert (request.action, request.subject, status) == ("update-image-set-metadata", {"user": "anna"}, "AccessDenied")
    assert request.request == {"datastoreId": STORE, "imageSetId": image_set, "force": True}
    assert other.action == "GetDatastore"


def test_botocores_own_errors_stay(client: Any) -> None:
    gate = FunctionGate()
    guard(client, gate)
    with pytest.raises(ParamValidationError):
        client.get_image_set(datastoreId=STORE, imageSetId=5)
    with pytest.raises(ParamValidationError):
        client.get_image_set(datastoreId=STORE)
    assert gate.requests == []


def test_botocores_validation_cannot_be_switched_off(service: StandIn) -> None:
    client = make_client(service.url, parameter_validation=False)
    guard(client, FunctionGate())
    with pytest.raises(ParamValidationError):
        client.get_image_set(datastoreId=STORE, imageSetId="a" * 32, extra=1)
    assert service.counts.total() == 0


# -- operations that are no action -----------------------------------------------------------------


def test_unlisted_operations(client: Any, service: StandIn) -> None:
    gate = FunctionGate()
    guard(client, gate)
    with pytest.raises(client.exceptions.AccessDeniedException, match="no action"):
        client.get_datastore(datastoreId=STORE)
    assert service.counts.total() == 0
    for unlisted in ("allow", ["GetDatastore"]):
        guard(client, gate, unlisted=unlisted)
        assert client.get_datastore(datastoreId=STORE)["datastoreProperties"]["datastoreStatus"] == "ACTIVE"
    guard(client, gate, unlisted=["ListDatastores"])
    with pytest.raises(client.exceptions.AccessDeniedException):
        client.get_datastore(datastoreId=STORE)
    assert gate.requests == []


# -- changed afterwards ----------------------------------------------------------------------------


def test_a_body_changed_after_the_decision_is_not_sent(client: Any, service: StandIn, image_set: str) -> None:
    guard(client, FunctionGate())

    def change(params: dict[str, Any], **_: object) -> None:
        params["body"] = params["body"].replace(b"DICOMUpdates", b"dICOMUpdates")

    client.meta.events.register_last("before-call.medical-imaging.UpdateImageSetMetadata", change)
    with pytest.raises(client.exceptions.AccessDeniedException, match="body was changed after the decision"):
        client.update_image_set_metadata(**update(image_set))
    assert service.counts.total() == 0


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("latestVersion=1", "latestVersion=1&force=true", "query"),
        ("updateImageSetMetadata", "deleteImageSet", "address"),
        ("127.0.0.1", "localhost", "address"),
    ],
)
def test_an_address_changed_after_the_decision_is_not_sent(client: Any, service: StandIn, image_set: str, old: str, new: str, what: str) -> None:
    guard(client, FunctionGate())

    def change(params: dict[str, Any], **_: object) -> None:
        params["url"] = params["url"].replace(old, new)

    client.meta.events.register_last("before-call.medical-imaging", change)
    with pytest.raises(client.exceptions.AccessDeniedException, match=f"{what} was changed after the decision"):
        client.update_image_set_metadata(**update(image_set))
    assert service.counts.total() == 0


def test_parameters_changed_by_a_later_handler_are_not_sent(client: Any, service: StandIn, image_set: str) -> None:
    guard(client, FunctionGate())
    client.meta.events.register_last("before-parameter-build", lambda params, **_: params.update(force=True))
    with pytest.raises(client.exceptions.AccessDeniedException, match="query was changed"):
        client.update_image_set_metadata(**update(image_set))
    with pytest.raises(client.exceptions.AccessDeniedException, match="query was changed"):
        client.generate_presigned_url("update_image_set_metadata", Params=update(image_set))
    assert service.counts.total() == 0


def test_handlers_of_other_libraries_come_first(client: Any, image_set: str) -> None:
    gate = FunctionGate()
    guard(client, gate)
    for event in ("before-parameter-build", "before-parameter-build.medical-imaging", "before-parameter-build.medical-imaging.UpdateImageSetMetadata"):
        client.meta.events.register(event, lambda params, **_: params.update(force=True))
    client.update_image_set_metadata(**update(image_set))
    assert gate.requests[0].request["force"] is True


def test_what_was_never_decided_is_not_sent(client: Any, service: StandIn) -> None:
    guard(client, FunctionGate())
    model = client.meta.service_model.operation_model("GetDatastore")
    request = client._convert_to_request_dict({"datastoreId": STORE}, model, service.url, context={})
    with pytest.raises(client.exceptions.AccessDeniedException, match="was not decided"):
        client._endpoint.make_request(model, request)
    assert service.counts.total() == 0


# -- failures --------------------------------------------------------------------------------------


class BrokenGate(FunctionGate):
    def check(self, request: Request) -> Decision:
        raise KeyError("Miller^Anna")


def test_whatever_fails_in_the_guard_refuses(client: Any, service: StandIn, image_set: str, caplog: pytest.LogCaptureFixture) -> None:
    guard(client, BrokenGate())
    with caplog.at_level(logging.ERROR, "hirules"), pytest.raises(client.exceptions.AccessDeniedException, match=r"the guard failed \(KeyError\)") as caught:
        client.update_image_set_metadata(**update(image_set))
    assert "Miller" not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None
    assert "KeyError at test_calls.py" in caplog.text

    def subject() -> dict[str, object]:
        raise RuntimeError("nobody is logged in")

    unguard(client)
    guard(client, FunctionGate(), subject)
    with pytest.raises(client.exceptions.AccessDeniedException, match="RuntimeError"):
        client.get_image_set(datastoreId=STORE, imageSetId=image_set)
    assert service.counts.total() == 0


def test_an_outcome_that_cannot_be_recorded_is_logged(client: Any, image_set: str, caplog: pytest.LogCaptureFixture) -> None:
    class Forgetful(FunctionGate):
        def complete(self, decision: Decision, outcome: Any) -> None:
            raise OSError("disk full")

    guard(client, Forgetful())
    with caplog.at_level(logging.ERROR, "hirules"):
        assert client.get_image_set(datastoreId=STORE, imageSetId=image_set)["versionId"] == "1"
    assert "the outcome of request-1 was not recorded: OSError" in caplog.text


# -- subject --------------------------------------------------------------------------------


def test_the_subject_may_change_from_call_to_call(client: Any, image_set: str) -> None:
    gate = FunctionGate()
    users = iter(["anna", "bo"])
    guard(client, gate, lambda: {"user": next(users)})
    for _ in range(2):
        client.get_image_set(datastoreId=STORE, imageSetId=image_set)
    assert [request.subject for request in gate.requests] == [{"user": "anna"}, {"user": "bo"}]
