from __future__ import annotations

import json

import pytest

from hirules.assemble import SCHEMAS
from hirules.cli import main


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", name]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_no_other() -> None:
    with pytest.raises(SystemExit) as raised:
        main(["schema", "nothing"])
    assert raised.value.code == 2
