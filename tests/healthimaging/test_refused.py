from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from hirules.healthimaging.refused import code_of, not_found, refused
from hirules.model.decision import AssociateStatus, Decision
from hirules.model.request import Request
from hirules.model.status import HTTP_STATUS

CLIENT = boto3.client("medical-imaging", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
EXCEPTIONS = CLIENT.exceptions


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("AccessDenied", "AccessDeniedException"),
        ("Throttling", "ThrottlingException"),
        ("InternalServerException", "InternalServerException"),
        ("Exception", "AccessDeniedException"),
        ("", "AccessDeniedException"),
        (0x0124, "AccessDeniedException"),
        (AssociateStatus(1, 1, 1), "AccessDeniedException"),
        (None, "AccessDeniedException"),
    ],
)
def test_codes(status: object, code: str) -> None:
    assert code_of(status) == code


@pytest.mark.parametrize("status", sorted(HTTP_STATUS))
def test_every_status_that_a_policy_may_name_is_an_error_of_the_api(status: str) -> None:
    model: Any = CLIENT.meta.service_model  # the stub takes the code for an integer
    shape = model.shape_for_error_code(code_of(status))
    assert shape.name == f"{status}Exception"
    error = refused(EXCEPTIONS, "GetImageSet", shape.name, "why")
    assert isinstance(error, getattr(EXCEPTIONS, shape.name))
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == shape.metadata["error"]["httpStatusCode"]


def test_it_carries_the_decision_and_the_clients_class_is_untouched() -> None:
    decision = Decision("deny", Request("get-image-set", id="r1"), reason="no")
    error = refused(EXCEPTIONS, "GetImageSet", "AccessDeniedException", "no", decision)
    assert error.decision is decision  # type: ignore[attr-defined]
    assert error.response["ResponseMetadata"]["RequestId"] == "r1"
    assert str(error) == "An error occurred (AccessDeniedException) when calling the GetImageSet operation: no"
    assert type(error) is not EXCEPTIONS.AccessDeniedException
    assert not hasattr(EXCEPTIONS.AccessDeniedException, "decision")
    other = refused(EXCEPTIONS, "GetImageSet", "AccessDeniedException", "no")
    assert type(other) is type(error)
    assert other.decision is None  # type: ignore[attr-defined]


def test_not_found_tells_nothing() -> None:
    error = not_found(EXCEPTIONS, "GetImageSet")
    assert type(error) is EXCEPTIONS.ResourceNotFoundException
    assert isinstance(error, ClientError)
    assert error.response["Error"]["Code"] == "ResourceNotFoundException"
