"""Policies on what leaves, and data sets to leave."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.uid import ExplicitVRLittleEndian

from hirules.gate import Gate
from hirules.policy.load import load_set

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"


def gate_of(rules: str, **lists: str) -> Gate:
    """A gate whose one policy has these rules, indented by two."""
    named = "lists:\n" + "".join(f"  {name}: {value}\n" for name, value in lists.items()) if lists else ""
    return Gate(load_set({"leaving.yaml": f"hirules: 1\npolicy: leaving\ntitle: What leaves\n{named}rules:\n{rules}".encode()}).required())


def encoded(path: Path) -> tuple[bytes, str]:
    """The data set of a file as it is on the wire, and its transfer syntax."""
    with path.open("rb") as file:
        read_preamble(file, force=False)
        meta = _read_file_meta_info(file)
        return file.read(), str(meta.get("TransferSyntaxUID", ExplicitVRLittleEndian))


def decoded(data: bytes, transfer_syntax: str) -> pydicom.Dataset:
    """What pydicom reads of a data set."""
    return pydicom.dcmread(BytesIO(_meta(transfer_syntax) + data), force=True)


def _meta(transfer_syntax: str) -> bytes:
    value = transfer_syntax.encode() + b"\0" * (len(transfer_syntax) % 2)
    element = b"\x02\x00\x10\x00UI" + len(value).to_bytes(2, "little") + value
    return b"\0" * 128 + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00" + len(element).to_bytes(4, "little") + element
