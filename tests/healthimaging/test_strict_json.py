import base64

import pytest

from hirules.healthimaging.strict_json import JsonError, read_json, write_json


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"x": [{"a": 1, "a": 1}]}', "twice"),
        (b'{"\\u0061": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1e999}', "double"),
        (b'{"a": 0.12345678901234567890123}', "double"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "JSON"),
        ('{"a": 1}'.encode("utf-16"), "UTF-8"),
        (b"", "JSON"),
        (b"{} {}", "JSON"),
        (b"{'a': 1}", "JSON"),
        (b'{"a": 01}', "JSON"),
        (b'{"a": "\n"}', "JSON"),
        (b"[" * 20_000 + b"]" * 20_000, "deep"),
        (b"[" * 65 + b"]" * 65, "deep"),
        (b"9" * 5000, "JSON"),
        (base64.b64encode(b'{"a": 1}'), "base64"),
    ],
)
def test_refuses(text: bytes, why: str) -> None:
    with pytest.raises(JsonError, match=why):
        read_json(text)


def test_messages_do_not_quote() -> None:
    with pytest.raises(JsonError) as caught:
        read_json(b'{"Miller^Anna": 1, "Miller^Anna": 2}')
    assert "Miller" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_reads_and_writes_the_same() -> None:
    text = '{"SchemaVersion":1.1,"b":["é","😀",60,1e-07,null,true],"a":{}}'.encode()
    assert write_json(read_json(text)) == text
    assert read_json(b"[" * 64 + b"]" * 64)
