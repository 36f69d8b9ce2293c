from __future__ import annotations

import msgspec
import pytest

from hirules.dimse.options import Options
from tests.dimse.wire import OPTIONS


def test_nothing_is_opened_by_default() -> None:
    assert not any((OPTIONS.allow_relational, OPTIONS.allow_fuzzy, OPTIONS.allow_combined_date_time, OPTIONS.preserve_ae_title_case))
    assert OPTIONS.calling_ae_title is None


def test_they_can_be_read_from_a_configuration() -> None:
    read = msgspec.json.decode(b'{"ae_title": "GATE", "upstream_ae_title": "PACS", "upstream_host": "127.0.0.1", "upstream_port": 104}', type=Options)
    assert read == OPTIONS
    with pytest.raises(msgspec.ValidationError, match="upstream_port"):
        msgspec.json.decode(b'{"ae_title": "GATE", "upstream_ae_title": "PACS", "upstream_host": "127.0.0.1"}', type=Options)
