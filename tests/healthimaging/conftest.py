from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from pydicom.data import get_testdata_file

from hirules.healthimaging.standin import StandIn

SESSION = boto3.Session()
"""Reads the service's model once. A test that guards a session makes its own."""


def make_client(url: str, session: Any = None, **config: Any) -> Any:
    return (session or SESSION).client(
        "medical-imaging",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(inject_host_prefix=False, retries={"mode": "standard", "total_max_attempts": 2}, **config),
    )


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def client(service: StandIn) -> Any:
    return make_client(service.url)


@pytest.fixture
def image_set(service: StandIn) -> str:
    (made,) = service.load([str(get_testdata_file("CT_small.dcm"))], primary=False)
    return made
