from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest

from hirules.healthimaging.sent import Sent
from hirules.model.decision import Decision
from hirules.model.request import Request

MODEL = botocore.session.Session().get_service_model("medical-imaging")
DECISION = Decision("allow", Request("update-image-set-metadata"))
PATH = f"/datastore/{'0' * 32}/imageSet/{'a' * 32}/updateImageSetMetadata"
BODY = b'{"revertToVersionId": "1"}'


def sent() -> Sent:
    params = {
        "datastoreId": "0" * 32,
        "imageSetId": "a" * 32,
        "latestVersionId": "2",
        "force": True,
        "updateImageSetMetadataUpdates": {"revertToVersionId": "1"},
    }
    return Sent.of(DECISION, params, MODEL.operation_model("UpdateImageSetMetadata"))


def request(**changes: Any) -> Any:
    return SimpleNamespace(**{"method": "POST", "url": f"https://host{PATH}?latestVersion=2&force=true", "body": BODY, "headers": {}, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"headers": {"Authorization": "AWS4-HMAC-SHA256 …"}},
        {"url": f"https://host{PATH}?force=true&latestVersion=2"},
        {"url": f"https://host{PATH}?latestVersion=2&force=true&X-Amz-Signature=0"},
        {"url": f"http://127.0.0.1:1/prefix{PATH}?latestVersion=2&force=true"},
        {"body": bytearray(BODY)},
        {"body": BODY.decode()},
    ],
)
def test_the_same(changes: dict[str, Any]) -> None:
    assert sent().change(request(**changes)) == ""


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"method": "PUT"}, "method"),
        ({"url": f"https://host{PATH}?latestVersion=2"}, "query"),
        ({"url": f"https://host{PATH}?latestVersion=2&force=false"}, "query"),
        ({"url": f"https://host{PATH}?latestVersion=2&force=true&force=true"}, "query"),
        ({"url": f"https://host{PATH}?latestVersion=2&force=true&more="}, "query"),
        ({"params": {"force": "false"}}, "query"),
        ({"url": f"https://host{PATH}/x?latestVersion=2&force=true"}, "path"),
        ({"body": b'{"revertToVersionId": "2"}'}, "body"),
        ({"body": b""}, "body"),
        ({"body": None}, "body"),
        ({"body": iter([BODY])}, "body"),
        ({"data": b"other"}, "body"),
    ],
)
def test_changed(changes: dict[str, Any], what: str) -> None:
    assert sent().change(request(**changes)) == what


def test_the_address_is_the_one_of_before() -> None:
    call = sent()
    call.origin = Sent.origin_of(f"https://host{PATH}?x=1")
    assert call.change(request()) == ""
    assert call.change(request(url=f"https://other{PATH}?latestVersion=2&force=true")) == "address"
    assert call.change(request(url=f"http://host{PATH}?latestVersion=2&force=true")) == "address"


def test_an_answered_call_is_never_sent_and_an_undecided_one_always() -> None:
    assert Sent.answered(DECISION).change(request()) == "answer"
    assert Sent.undecided().change(request()) == ""
