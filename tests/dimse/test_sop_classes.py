from __future__ import annotations

import pytest
from pydicom.uid import UID
from pynetdicom import sop_class

from hirules.dimse.sop_classes import MEMBERS, QUERIES, RETRIEVES, belongs
from tests.dimse.wire import CT, GRAYSCALE_PRINT_META, PRINTER


def test_a_context_is_for_its_own_class_and_the_members_of_a_meta_class() -> None:
    assert belongs("1.2.3", "1.2.3")
    assert belongs(PRINTER, GRAYSCALE_PRINT_META)
    assert not belongs(GRAYSCALE_PRINT_META, PRINTER)
    assert not belongs(CT, GRAYSCALE_PRINT_META)
    assert belongs("1.2.840.10008.5.1.4.34.6.1", "1.2.840.10008.5.1.4.34.6.2")
    assert not belongs(None, "1.2.3")


@pytest.mark.parametrize("uid", sorted({*MEMBERS, *QUERIES, *RETRIEVES}.union(*MEMBERS.values())))
def test_every_uid_is_a_registered_sop_class(uid: str) -> None:
    assert UID(uid).type in ("SOP Class", "Meta SOP Class")


def test_every_query_and_retrieve_model_that_pynetdicom_knows_is_listed() -> None:
    known = {name: str(uid) for name, uid in vars(sop_class).items() if isinstance(uid, UID) and "InformationModel" in name}
    assert {uid for name, uid in known.items() if name.endswith("Find")} <= QUERIES
    roots = ("PatientRoot", "StudyRoot", "PatientStudyOnly")
    assert {uid for name, uid in known.items() if name.startswith(roots) and name.endswith(("Move", "Get"))} == RETRIEVES
