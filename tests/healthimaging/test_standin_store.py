import pytest
from pydicom import Dataset, Sequence
from pydicom.dataelem import DataElement

from hirules.healthimaging.document import Document, read_document
from hirules.healthimaging.standin_store import ServiceError, Store, metadata_of
from hirules.healthimaging.translate import Updates


def data_set(instance: str = "1.2.3.1") -> Dataset:
    made = Dataset()
    made.PatientID, made.PatientName = "1", "A^B"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = "1.2", "1.2.3", instance
    made.Manufacturer, made.Rows, made.ImageType = "M", 4, ["ORIGINAL", "PRIMARY"]
    code = Dataset()
    code.CodeValue = "C"
    made.ProcedureCodeSequence = Sequence([code])
    block = made.private_block(0x0019, "ME", create=True)
    block.add_new(0x01, "DS", "1.5")
    made.add(DataElement(0x7FE00010, "OW", b"\0\1"))
    return made


def document(text: bytes, removes: bool = False) -> Document:
    return read_document(text, removes)


def test_an_import_puts_each_attribute_at_its_level() -> None:
    tree, frames = metadata_of("0" * 32, [data_set(), data_set("1.2.3.2")])
    assert tree["Patient"]["DICOM"] == {"PatientID": "1", "PatientName": "A^B"}
    assert tree["Study"]["DICOM"] == {"StudyInstanceUID": "1.2", "ProcedureCodeSequence": [{"CodeValue": "C"}]}
    series = tree["Study"]["Series"]["1.2.3"]
    assert series["DICOM"] == {"Manufacturer": "M", "SeriesInstanceUID": "1.2.3"}
    first = series["Instances"]["1.2.3.1"]
    assert first["DICOM"] == {"SOPInstanceUID": "1.2.3.1", "ImageType": ["ORIGINAL", "PRIMARY"], "Rows": 4, "00190010": "ME", "00191001": "1.5"}
    assert first["DICOMVRs"] == {"00190010": "LO", "00191001": "DS"}
    assert [frames[frame["ID"]] for frame in first["ImageFrames"]] == [b"\0\1"]
    assert len(frames) == 2


def test_time_unlocks() -> None:
    now = [100.0]
    store = Store("0" * 32, delay=10, clock=lambda: now[0])
    image_set = store.add(*metadata_of("0" * 32, [data_set()]), primary=False)
    updates = Updates(updatable=document(b'{"Study": {"DICOM": {"StudyDescription": "x"}}}'))
    store.update(image_set.id, "1", updates, force=False, study=False)
    assert store.state(image_set, image_set.versions[-1]) == ("LOCKED", "UPDATING")
    with pytest.raises(ServiceError, match="locked"):
        store.delete(image_set.id)
    now[0] = 110.0
    assert store.state(image_set, image_set.versions[-1]) == ("ACTIVE", "UPDATED")
    store.delete(image_set.id)
    now[0] = 120.0
    assert store.state(image_set, image_set.versions[-1]) == ("DELETED", "DELETED")
    with pytest.raises(ServiceError):
        store.update(image_set.id, "2", updates, force=False, study=False)


def test_private_elements_need_force_and_bring_their_vr() -> None:
    store = Store("0" * 32)
    image_set = store.add(*metadata_of("0" * 32, [data_set()]), primary=False)
    node = b'{"Study": {"Series": {"1.2.3": {"Instances": {"1.2.3.1": {"DICOM": {"00191002": "7"}, "DICOMVRs": {"00191002": "IS"}}}}}}}'
    updates = Updates(updatable=document(node))
    with pytest.raises(ServiceError, match="force"):
        store.update(image_set.id, "1", updates, force=False, study=False)
    store.update(image_set.id, "1", updates, force=True, study=False)
    instance = image_set.versions[-1].metadata["Study"]["Series"]["1.2.3"]["Instances"]["1.2.3.1"]
    assert (instance["DICOM"]["00191002"], instance["DICOMVRs"]["00191002"]) == ("7", "IS")


def test_a_copy_into_another_image_set_brings_its_instances() -> None:
    store = Store("0" * 32)
    source = store.add(*metadata_of("0" * 32, [data_set("1.2.3.2")]), primary=False)
    target = store.add(*metadata_of("0" * 32, [data_set()]), primary=False)
    store.copy(source.id, "1", (target.id, "1"), force=False, promote=False)
    assert sorted(target.versions[-1].metadata["Study"]["Series"]["1.2.3"]["Instances"]) == ["1.2.3.1", "1.2.3.2"]
    target.versions[-1].metadata["Patient"]["DICOM"]["PatientID"] = "2"
    with pytest.raises(ServiceError, match="inconsistent"):
        store.copy(source.id, "1", (target.id, "2"), force=False, promote=False)
    store.copy(source.id, "1", (target.id, "2"), force=True, promote=False)
