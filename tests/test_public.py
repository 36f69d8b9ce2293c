"""The public names of the package."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hirules


@pytest.mark.parametrize("name", hirules.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(hirules, name) is not None
    assert name in dir(hirules)


def test_any_other_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module `hirules` has no attribute `nothing`"):
        hirules.nothing  # noqa: B018


def test_importing_it_loads_no_client_of_a_network() -> None:
    program = "import sys, hirules; print(sorted({'boto3', 'botocore', 'pynetdicom', 'pydicom'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_example_of_the_docstring() -> None:
    request = hirules.Request("c-move", subject={"ae_title": "RES_1"}, request={"MoveDestination": "NOWHERE"})
    assert repr(request) == "Request('c-move', id='')"
    assert issubclass(hirules.PolicyError, Exception)
    assert callable(hirules.healthimaging.guard)
