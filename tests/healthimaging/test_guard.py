from typing import Any

import boto3
import botocore.session
import pytest

import hirules.healthimaging
from hirules.healthimaging import guard, unguard
from hirules.healthimaging.calls import Gate
from hirules.healthimaging.standin import StandIn
from hirules.model.request import Request
from tests.healthimaging.conftest import make_client
from tests.healthimaging.gates import FunctionGate, allow, deny

STORE = "0" * 32


def test_guarding_twice_decides_once(client: Any, image_set: str) -> None:
    gate = FunctionGate()
    guard(client, gate)
    guard(client, gate, {"user": "anna"})
    client.get_image_set(datastoreId=STORE, imageSetId=image_set)
    assert [request.subject for request in gate.requests] == [{"user": "anna"}]
    with pytest.raises(ValueError, match="another gate"):
        guard(client, FunctionGate())
    unguard(client)
    unguard(client)
    client.get_image_set(datastoreId=STORE, imageSetId=image_set)
    assert len(gate.requests) == 1
    assert len(gate.outcomes) == 1


def test_other_clients_are_none_of_its_business(service: StandIn, image_set: str) -> None:
    with pytest.raises(TypeError):
        guard(boto3.client("s3", region_name="us-east-1"), FunctionGate())
    session = boto3.Session()
    guarded, other = make_client(service.url, session), make_client(service.url, session)
    guard(guarded, FunctionGate(deny))
    other.get_image_set(datastoreId=STORE, imageSetId=image_set)


@pytest.mark.parametrize("kind", ["boto3", "botocore"])
def test_a_session_guards_the_clients_that_it_makes_later(service: StandIn, image_set: str, kind: str) -> None:
    core = botocore.session.Session()
    maker = boto3.Session(botocore_session=core)
    session: Any = maker if kind == "boto3" else core
    before = make_client(service.url, maker)
    gate = FunctionGate(deny)
    guard(session, gate)
    guard(session, gate)
    guard(core, gate)
    after = make_client(service.url, maker)
    for _ in range(2):
        with pytest.raises(after.exceptions.AccessDeniedException):
            after.get_image_set(datastoreId=STORE, imageSetId=image_set)
    assert len(gate.requests) == 2
    before.get_image_set(datastoreId=STORE, imageSetId=image_set)
    maker.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with pytest.raises(ValueError, match="another gate"):
        guard(session, FunctionGate())
    unguard(session)
    make_client(service.url, maker).get_image_set(datastoreId=STORE, imageSetId=image_set)


def test_the_public_name() -> None:
    assert hirules.healthimaging.guard is guard
    gate: Gate = FunctionGate(allow)
    assert gate.check(Request("get-image-set")).allowed
