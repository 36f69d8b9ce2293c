from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from hirules.cli.demo import DICOM_FILES
from hirules.cli.demo_clients import Client, Receiver
from hirules.dimse.archive import Archive


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """One CT instance, without a gateway in front."""
    import pydicom.data

    source = Path(pydicom.data.__file__).parent / "test_files" / DICOM_FILES[0]
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / source.name).write_bytes(source.read_bytes())
    return Archive(tmp_path / "files")


def test_the_client_tells_what_an_archive_answers(archive: Archive) -> None:
    host, port = archive.start()
    try:
        client = Client("WARD_1", "ARCHIVE", host, port)
        found = client.find("STUDY", PatientID="1CT1")
        assert (found.status, found.matches) == (0, 1)
        assert len(client.get(found.study).instances) == 1
        assert client.move("NOWHERE", found.study).status == 0xA801
        assert client.printer_attributes("PrinterStatus").names == ("PrinterStatus",)
    finally:
        archive.stop()


def test_no_gateway_is_an_error() -> None:
    with pytest.raises(ConnectionError):
        Client("WARD_1", "ARCHIVE", "127.0.0.1", 1).find("STUDY")


def test_the_receiver_counts_and_keeps(tmp_path: Path, archive: Archive) -> None:
    receiver = Receiver("PACS_MAIN", tmp_path / "received")
    host, port = receiver.start()
    try:
        ae = AE("ARCHIVE")
        ae.add_requested_context(CTImageStorage)
        association = ae.associate(host, port)
        assert association.send_c_store(dcmread(next((tmp_path / "files").iterdir()))).Status == 0
        association.release()
    finally:
        receiver.stop()
    assert receiver.count == 1
    assert len(list((tmp_path / "received").iterdir())) == 1
