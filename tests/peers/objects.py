"""The real DICOM files that the archives of the tests hold: of the pydicom wheel, uncompressed, in Explicit VR Little Endian.

``pydicom.data.get_testdata_files()`` would try to download what the wheel lacks, so its folder is listed.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import dcmread

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
PATIENT = "98890234"
"""A patient with several studies, CT and MR."""
OTHER_PATIENT = "77654033"
LARGE = FOLDER / "examples_overlay.dcm"
"""An MR image of some 300 KiB."""


@dataclass(frozen=True)
class Instance:
    """A DICOM file and what the archives know of it."""

    path: Path
    patient: str
    study: str
    series: str
    uid: str
    sop_class: str
    modality: str


@functools.cache
def archive() -> tuple[Instance, ...]:
    """What an archive of the tests holds at the start: two patients, CT, CR and MR, and the wheel's small CT and MR."""
    paths = [*sorted(path for path in (FOLDER / "dicomdirtests").glob("*/*/*") if path.is_file()), FOLDER / "CT_small.dcm", FOLDER / "MR_small.dcm"]
    return tuple(read(path) for path in paths)


def read(path: Path) -> Instance:
    """The instance in a file."""
    found = dcmread(path, stop_before_pixels=True)
    return Instance(
        path,
        str(found.PatientID),
        str(found.StudyInstanceUID),
        str(found.SeriesInstanceUID),
        str(found.SOPInstanceUID),
        str(found.SOPClassUID),
        str(found.Modality),
    )


def study_of(patient: str = PATIENT, modality: str = "CT") -> tuple[Instance, ...]:
    """The instances of the first study of ``patient`` that has ``modality``."""
    study = next(instance.study for instance in archive() if instance.patient == patient and instance.modality == modality)
    return tuple(instance for instance in archive() if instance.study == study)
