"""The embedded archive, served to pynetdicom's and DCMTK's clients, with the DICOM files of the pydicom wheel."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    BasicGrayscalePrintManagementMeta,
    CTImageStorage,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    Printer,
    PrinterInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from hirules.dimse.archive import Archive
from tests.peers.clients import Client, matches
from tests.peers.objects import FOLDER

PATIENT = "98890234"
TIMEOUT = 60


class Receiver:
    """A storage SCP that remembers what came."""

    def __init__(self) -> None:
        self.received: list[str] = []
        ae = AE("DEST")
        ae.supported_contexts = [build_context(uid) for uid in (CTImageStorage, MRImageStorage, "1.2.840.10008.5.1.4.1.1.1")]
        server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        self.server = server
        self.port = server.socket.getsockname()[1]

    def _store(self, event: Any) -> int:
        self.received.append(str(event.request.AffectedSOPInstanceUID))
        return 0


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for path in sorted((FOLDER / "dicomdirtests").glob("*/*/*")):
        if path.is_file():
            shutil.copy(path, folder / f"{path.parts[-3]}_{path.parts[-2]}_{path.name}")
    for name in ("CT_small.dcm", "MR_small.dcm", "examples_jpeg2k.dcm", "rtplan.dcm"):
        shutil.copy(FOLDER / name, folder / name)
    (folder / "README.txt").write_text("no DICOM file", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def archive(folder: Path, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Archive, str, int]]:
    archive = Archive(folder, "ARCHIVE", {"dest ": ("127.0.0.1", receiver.port), "GONE": ("127.0.0.1", _free_port())})
    host, port = archive.start()
    yield archive, host, port
    archive.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _associate(server: tuple[Archive, str, int], *contexts: Any, **options: Any) -> Any:
    ae = AE("TEST")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = TIMEOUT
    for context in contexts:
        ae.add_requested_context(*context) if isinstance(context, tuple) else ae.add_requested_context(context)
    association = ae.associate(server[1], server[2], ae_title="ARCHIVE", **options)
    assert association.is_established
    return association


def _keys(level: str | None, **keys: object) -> Dataset:
    dataset = Dataset()
    if level is not None:
        dataset.QueryRetrieveLevel = level
    for name, value in keys.items():
        vr = dictionary_VR(name)
        dataset.add(DataElement(name, vr, value, validation_mode=IGNORE))
    return dataset


def _find(server: tuple[Archive, str, int], keys: Dataset, model: str = StudyRootQueryRetrieveInformationModelFind) -> tuple[list[Dataset], int]:
    association = _associate(server, model)
    answers = [(status, answer) for status, answer in association.send_c_find(keys, model)]
    association.release()
    matches = [answer for status, answer in answers if status.Status == 0xFF00]
    return matches, answers[-1][0].Status


def _get(server: tuple[Archive, str, int], keys: Dataset, model: str = StudyRootQueryRetrieveInformationModelGet) -> tuple[list[str], Any]:
    received: list[str] = []

    def store(event: Any) -> int:
        received.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    storage = [CTImageStorage, MRImageStorage, "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.6.1"]
    roles = [build_role(uid, scp_role=True) for uid in storage]
    association = _associate(server, model, *storage, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, store)])
    final = [(status, answer) for status, answer in association.send_c_get(keys, model)][-1]
    association.release()
    return received, final


def test_the_folder_is_read(archive: tuple[Archive, str, int], folder: Path) -> None:
    uids = {dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in folder.iterdir() if path.name != "README.txt"}
    assert {entry.uid for entry in archive[0].catalog} == uids
    assert archive[0].skipped == 1


def test_echo(archive: tuple[Archive, str, int]) -> None:
    association = _associate(archive, Verification)
    assert association.send_c_echo().Status == 0
    association.release()


def test_find_by_patient_with_counts(archive: tuple[Archive, str, int], folder: Path) -> None:
    paths = [path for path in folder.iterdir() if path.name != "README.txt"]
    own = [dataset for dataset in (dcmread(path, stop_before_pixels=True) for path in paths) if dataset.get("PatientID") == PATIENT]
    keys = _keys("STUDY", PatientID=PATIENT, StudyInstanceUID="", ModalitiesInStudy="", NumberOfStudyRelatedInstances=None, PatientName="")
    matches, status = _find(archive, keys)
    assert status == 0
    assert {match.StudyInstanceUID for match in matches} == {dataset.StudyInstanceUID for dataset in own}
    for match in matches:
        study = [dataset for dataset in own if dataset.StudyInstanceUID == match.StudyInstanceUID]
        assert match.NumberOfStudyRelatedInstances == len(study)
        modalities = match.ModalitiesInStudy
        assert set([modalities] if isinstance(modalities, str) else modalities) == {dataset.Modality for dataset in study}
        assert match.RetrieveAETitle == "ARCHIVE"


@pytest.mark.parametrize(
    ("level", "model"), [("PATIENT", PatientRootQueryRetrieveInformationModelFind), ("SERIES", StudyRootQueryRetrieveInformationModelFind)]
)
def test_find_at_other_levels(archive: tuple[Archive, str, int], level: str, model: str) -> None:
    key = {"PATIENT": "PatientID", "SERIES": "SeriesInstanceUID"}[level]
    matches, status = _find(archive, _keys(level, **{key: "", "PatientName": ""}), model)
    assert status == 0
    values = [str(match[key].value) for match in matches]
    assert sorted(values) == sorted({str(entry.values[key]) for entry in archive[0].catalog if entry.values.get(key)})


@pytest.mark.parametrize(("level", "model"), [("PATIENT", StudyRootQueryRetrieveInformationModelFind), (None, StudyRootQueryRetrieveInformationModelFind)])
def test_find_refuses_a_level_that_the_model_has_not(archive: tuple[Archive, str, int], level: str | None, model: str) -> None:
    matches, status = _find(archive, _keys(level, PatientID=""), model)
    assert (matches, status) == ([], 0xA900)


def test_get_a_study(archive: tuple[Archive, str, int]) -> None:
    entries = [entry for entry in archive[0].catalog if entry.values.get("PatientID") == PATIENT]
    study = str(entries[0].values["StudyInstanceUID"])
    received, (status, identifier) = _get(archive, _keys("STUDY", StudyInstanceUID=study))
    assert status.Status == 0
    assert sorted(received) == sorted(entry.uid for entry in entries if entry.values["StudyInstanceUID"] == study)
    assert status.NumberOfCompletedSuboperations == len(received)
    assert not identifier


@pytest.mark.parametrize(
    "keys",
    [
        _keys("STUDY", StudyInstanceUID=""),
        _keys("STUDY"),
        _keys("STUDY", PatientID=PATIENT),
        _keys("SERIES", SeriesInstanceUID="1.2.3"),
        _keys("STUDY", StudyInstanceUID="*"),
        _keys(None, StudyInstanceUID="1.2.3"),
    ],
    ids=["empty", "missing", "patient", "series", "wildcard", "level"],
)
def test_an_invalid_retrieve_reaches_nothing(archive: tuple[Archive, str, int], keys: Dataset) -> None:
    received, (status, identifier) = _get(archive, keys)
    assert received == []
    assert status.Status == 0xA900
    assert status.OffendingElement in (Tag("StudyInstanceUID"), Tag("QueryRetrieveLevel"))
    assert not identifier


def test_a_retrieve_that_matches_nothing_succeeds(archive: tuple[Archive, str, int]) -> None:
    received, (status, _) = _get(archive, _keys("STUDY", StudyInstanceUID="1.2.3"))
    assert (received, status.Status) == ([], 0)


def test_a_patient_is_retrieved_in_the_patient_root(archive: tuple[Archive, str, int]) -> None:
    wanted = sorted(entry.uid for entry in archive[0].catalog if entry.values.get("PatientID") == "77654033")
    received, (status, _) = _get(archive, _keys("PATIENT", PatientID="77654033"), PatientRootQueryRetrieveInformationModelGet)
    assert sorted(received) == wanted
    assert status.Status == 0


def test_an_instance_whose_transfer_syntax_was_not_accepted_fails(archive: tuple[Archive, str, int]) -> None:
    entry = next(entry for entry in archive[0].catalog if entry.transfer_syntax == JPEG2000Lossless)
    received, (status, identifier) = _get(archive, _keys("STUDY", StudyInstanceUID=entry.values["StudyInstanceUID"]))
    assert received == []
    assert status.Status == 0xA702  # PS3.4 §C.4.3.1.4: not one sub-operation was performed
    assert status.NumberOfFailedSuboperations == 1
    assert identifier.FailedSOPInstanceUIDList == entry.uid


def _move(server: tuple[Archive, str, int], keys: Dataset, destination: str) -> Any:
    model = StudyRootQueryRetrieveInformationModelMove
    association = _associate(server, model)
    final = [status for status, _ in association.send_c_move(keys, destination, model)][-1]
    association.release()
    return final


def test_move(archive: tuple[Archive, str, int], receiver: Receiver) -> None:
    receiver.received.clear()
    entry = next(entry for entry in archive[0].catalog if entry.sop_class == CTImageStorage)
    study = entry.values["StudyInstanceUID"]
    status = _move(archive, _keys("SERIES", StudyInstanceUID=study, SeriesInstanceUID=entry.values["SeriesInstanceUID"]), "dest")
    wanted = [other.uid for other in archive[0].catalog if other.values["SeriesInstanceUID"] == entry.values["SeriesInstanceUID"]]
    assert status.Status == 0
    assert status.NumberOfCompletedSuboperations == len(wanted)
    assert sorted(receiver.received) == sorted(wanted)


@pytest.mark.parametrize("destination", ["NOWHERE", "GONE"])
def test_move_to_an_unknown_destination(archive: tuple[Archive, str, int], destination: str) -> None:
    study = next(iter(archive[0].catalog)).values["StudyInstanceUID"]
    assert _move(archive, _keys("STUDY", StudyInstanceUID=study), destination).Status == 0xA801


def test_an_invalid_move_is_refused_before_any_association(archive: tuple[Archive, str, int], receiver: Receiver) -> None:
    receiver.received.clear()
    assert _move(archive, _keys("STUDY", StudyInstanceUID=""), "DEST").Status == 0xA900
    assert receiver.received == []


@pytest.mark.parametrize("kept", ["memory", "folder"])
def test_store_and_find_again(tmp_path: Path, kept: str) -> None:
    dataset = dcmread(FOLDER / "CT_small.dcm")
    (tmp_path / "files").mkdir()
    archive = Archive(tmp_path / "files", "ARCHIVE", stored=tmp_path / "stored" if kept == "folder" else None)
    host, port = archive.start()
    try:
        server = (archive, host, port)
        association = _associate(server, (CTImageStorage, ExplicitVRLittleEndian))
        assert association.send_c_store(dataset).Status == 0
        association.release()
        matches, _ = _find(server, _keys("IMAGE", SOPInstanceUID=dataset.SOPInstanceUID, StudyInstanceUID="", SeriesInstanceUID=""))
        assert [match.StudyInstanceUID for match in matches] == [dataset.StudyInstanceUID]
        received, (status, _) = _get(server, _keys("STUDY", StudyInstanceUID=dataset.StudyInstanceUID))
        assert (received, status.Status) == ([dataset.SOPInstanceUID], 0)
    finally:
        archive.stop()
    if kept == "folder":
        assert dcmread(tmp_path / "stored" / f"{dataset.SOPInstanceUID}.dcm").PixelData == dataset.PixelData


def test_a_store_that_names_another_instance_is_refused(tmp_path: Path) -> None:
    dataset = dcmread(FOLDER / "CT_small.dcm")
    del dataset.StudyInstanceUID
    archive = Archive(tmp_path, "ARCHIVE")
    host, port = archive.start()
    try:
        association = _associate((archive, host, port), (CTImageStorage, ExplicitVRLittleEndian))
        assert association.send_c_store(dataset).Status == 0xA900
        association.release()
        assert len(archive.catalog) == 0
    finally:
        archive.stop()


@pytest.mark.parametrize("meta", [None, BasicGrayscalePrintManagementMeta])
def test_n_get_on_the_printer(archive: tuple[Archive, str, int], meta: str | None) -> None:
    association = _associate(archive, meta or Printer)
    everything = association.send_n_get([], Printer, PrinterInstance, meta_uid=meta)
    some = association.send_n_get([Tag("PrinterStatus")], Printer, PrinterInstance, meta_uid=meta)
    more = association.send_n_get([Tag("PrinterStatus"), Tag("PatientID")], Printer, PrinterInstance, meta_uid=meta)
    unknown = association.send_n_get([], Printer, "1.2.3", meta_uid=meta)
    association.release()
    assert everything[0].Status == 0
    assert everything[1].PrinterName == "ARCHIVE_PRINTER"
    assert some[0].Status == 0
    assert [element.keyword for element in some[1]] == ["PrinterStatus"]
    assert more[0].Status == 0x0107
    assert unknown[0].Status == 0x0112


def test_a_performed_procedure_step(archive: tuple[Archive, str, int]) -> None:
    uid = generate_uid()
    association = _associate(archive, ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve)
    created = association.send_n_create(_keys(None, PerformedProcedureStepStatus="IN PROGRESS", Modality="CT"), ModalityPerformedProcedureStep, uid)
    again = association.send_n_create(_keys(None, PerformedProcedureStepStatus="IN PROGRESS"), ModalityPerformedProcedureStep, uid)
    done = association.send_n_set(_keys(None, PerformedProcedureStepStatus="COMPLETED"), ModalityPerformedProcedureStep, uid)
    late = association.send_n_set(_keys(None, PerformedProcedureStepStatus="DISCONTINUED"), ModalityPerformedProcedureStep, uid)
    read = association.send_n_get([Tag("PerformedProcedureStepStatus"), Tag("Modality")], ModalityPerformedProcedureStepRetrieve, uid)
    missing = association.send_n_set(_keys(None, PerformedProcedureStepStatus="COMPLETED"), ModalityPerformedProcedureStep, "1.2.3")
    association.release()
    assert [answer[0].Status for answer in (created, again, done, late, missing)] == [0, 0x0111, 0, 0x0110, 0x0112]
    assert (read[1].PerformedProcedureStepStatus, read[1].Modality) == ("COMPLETED", "CT")


def test_no_identifier_is_logged(archive: tuple[Archive, str, int], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="pynetdicom"), caplog.at_level("DEBUG", logger="hirules"):
        _find(archive, _keys("STUDY", PatientID=PATIENT, PatientName=""))
    assert PATIENT not in caplog.text


def test_dcmtk_clients(archive: tuple[Archive, str, int], receiver: Receiver, tmp_path: Path) -> None:
    entry = next(entry for entry in archive[0].catalog if entry.sop_class == CTImageStorage and entry.transfer_syntax == ExplicitVRLittleEndian)
    study = f"StudyInstanceUID={entry.values['StudyInstanceUID']}"
    uids = sorted(other.uid for other in archive[0].catalog if other.values["StudyInstanceUID"] == entry.values["StudyInstanceUID"])
    client = Client("TEST", "ARCHIVE", archive[2], tmp_path)
    assert client.echo().echoed
    found = client.find("QueryRetrieveLevel=IMAGE", study, "SOPInstanceUID")
    assert sorted(match.SOPInstanceUID for match in matches(found)) == uids
    assert sorted(client.get("QueryRetrieveLevel=STUDY", study).files) == uids
    refused = client.get("QueryRetrieveLevel=STUDY", "StudyInstanceUID=")
    assert (refused.status, refused.files) == (0xA900, {})
    assert "Releasing Association" in refused.text
    receiver.received.clear()
    assert client.move("DEST", "QueryRetrieveLevel=STUDY", study).status == 0
    assert sorted(receiver.received) == uids
    assert client.move("DEST", "QueryRetrieveLevel=STUDY", "StudyInstanceUID=").status == 0xA900
