"""DCMTK's clients, and what their output says.

findscu and getscu exit 0 on a refusal, and print 0x0124 as "Unknown Status Code": so each runs with ``--debug``, which
prints every message, and the messages are read, not the exit code.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread

from tests.peers.process import HOST, program

SECONDS = 90
_MESSAGE = re.compile(
    r"=+ (?P<way>INCOMING|OUTGOING) DIMSE MESSAGE =+$(?P<body>.*?)=+ END DIMSE MESSAGE =+$(?P<after>.*?)(?==+ (?:INCOMING|OUTGOING) DIMSE|\Z)",
    re.MULTILINE | re.DOTALL,
)
_FIELD = re.compile(r"^D: (?P<name>[A-Za-z ]+?)\s*: (?P<value>.*)$", re.MULTILINE)
_ELEMENT = re.compile(r"^D: \((?P<tag>[0-9a-f]{4},[0-9a-f]{4})\) [A-Z]{2} (?P<value>.*?)\s+#", re.MULTILINE)


@dataclass(frozen=True)
class Message:
    """A DIMSE message as a client of DCMTK prints it."""

    incoming: bool
    kind: str
    """``C-FIND RSP`` …"""
    fields: Mapping[str, str]
    detail: Mapping[str, str]
    """The status detail by tag: ``0000,0902`` is the Error Comment."""

    @property
    def status(self) -> int:
        """The DIMSE status of a response."""
        return int(self.fields["DIMSE Status"].split(":")[0], 16)


@dataclass(frozen=True)
class Run:
    """What a client did."""

    code: int
    text: str
    folder: Path

    @property
    def messages(self) -> list[Message]:
        """All messages, in their order."""
        return [_message(match) for match in _MESSAGE.finditer(self.text)]

    def responses(self, kind: str) -> list[Message]:
        """The responses of ``kind`` (``C-FIND RSP``) that came from the peer."""
        return [message for message in self.messages if message.incoming and message.kind == kind]

    @property
    def status(self) -> int:
        """The status of the last response to the client's own request."""
        answers = [message for message in self.messages if message.incoming and message.kind.endswith("RSP")]
        assert answers, f"no response came:\n{self.text}"
        return answers[-1].status

    @property
    def comment(self) -> str:
        """The Error Comment of the last response, else empty. Not every client prints it."""
        answers = [message for message in self.messages if message.incoming and message.kind.endswith("RSP")]
        return answers[-1].detail.get("0000,0902", "").strip("[]") if answers else ""

    @property
    def echoed(self) -> bool:
        """A C-ECHO was answered with success; echoscu prints no message."""
        return "Received Echo Response (Success)" in self.text

    @property
    def rejected(self) -> bool:
        """The association was rejected."""
        return "Association Rejected" in self.text

    @property
    def files(self) -> dict[str, bytes]:
        """What was received: SOP instance UID to the bytes of its data set."""
        return received(self.folder)


def received(folder: Path) -> dict[str, bytes]:
    """The DICOM files of a folder: SOP instance UID to the bytes of the data set after the file meta information."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix != ".txt" and path.is_file():
            data_set = dcmread(path, stop_before_pixels=True)
            found[str(data_set.SOPInstanceUID)] = after_meta(path.read_bytes())
    return found


def after_meta(file: bytes) -> bytes:
    """The data set of a DICOM file: what follows the group 0002 (PS3.10 §7.1), whose length its first element says."""
    assert file[128:132] == b"DICM"
    assert file[132:140] == b"\x02\x00\x00\x00UL\x04\x00"
    return file[144 + int.from_bytes(file[140:144], "little") :]


def run(name: str, *arguments: str | Path, folder: Path, seconds: float = SECONDS) -> Run:
    """Runs a client of DCMTK to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [program(f"/usr/bin/{name}"), "--debug", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        check=False,
        cwd=folder,
        env=os.environ | {"TCP_NODELAY": "1"},
    )
    return Run(done.returncode, done.stdout.decode("utf-8", "replace"), folder)


@dataclass(frozen=True)
class Client:
    """The clients of DCMTK under one calling AE title, towards one peer. Received files come into folders below ``folder``."""

    aet: str
    called: str
    port: int
    folder: Path

    def echo(self) -> Run:
        """C-ECHO."""
        return run("echoscu", *self._titles(), HOST, str(self.port), folder=self._new("echo"))

    def find(self, *keys: str, model: str = "--study") -> Run:
        """C-FIND. The matches are in ``matches(run)``."""
        return run("findscu", model, *self._titles(), "--extract", *_keys(keys), HOST, str(self.port), folder=self._new("find"))

    def get(self, *keys: str, model: str = "--study", options: Sequence[str] = ("+B",)) -> Run:
        """C-GET, written bit by bit."""
        return run("getscu", model, *self._titles(), *options, *_keys(keys), HOST, str(self.port), folder=self._new("get"))

    def move(self, destination: str, *keys: str, model: str = "--study") -> Run:
        """C-MOVE to an AE title that the peer knows."""
        titles = [*self._titles(), "--move", destination]
        return run("movescu", model, *titles, *_keys(keys), HOST, str(self.port), folder=self._new("move"))

    def store(self, *files: Path, options: Sequence[str] = ()) -> Run:
        """C-STORE of each file."""
        return run("storescu", *self._titles(), *options, HOST, str(self.port), *files, folder=self._new("store"))

    def _titles(self) -> list[str]:
        return ["--aetitle", self.aet, "--call", self.called]

    def _new(self, what: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{what}-{len(list(self.folder.iterdir()))}"


def matches(found: Run) -> list[Dataset]:
    """The matches of a C-FIND, as the peer sent them."""
    return [dcmread(path, force=True) for path in sorted(found.folder.glob("rsp*.dcm"))]


def _keys(keys: Sequence[str]) -> list[str]:
    return [part for key in keys for part in ("--key", key)]


def _message(match: re.Match[str]) -> Message:
    fields = {field["name"]: field["value"].strip() for field in _FIELD.finditer(match["body"])}
    detail = {element["tag"]: element["value"] for element in _ELEMENT.finditer(match["after"].partition("Status Detail:")[2])}
    return Message(match["way"] == "INCOMING", fields["Message Type"], fields, detail)
