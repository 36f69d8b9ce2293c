from __future__ import annotations

import pytest
from pydicom.uid import UID
from pynetdicom import sop_class

from hirules.dimse.sop_classes import MEMBERS, QUERIES, RETRIEVES, belongs


def test_a_context_is_for_its_own_class_and_the_members_of_a_meta_class() -> None:
    meta = str(sop_class.BasicGrayscalePrintManagementMeta)
    assert belongs("1.2.3", "1.2.3")
    assert belongs(str(sop_class.Printer), meta)
    assert not belongs(meta, str(sop_class.Printer))
    assert not belongs(str(sop_class.CTImageStorage), meta)
    assert belongs(str(sop_class.UnifiedProcedureStepPush), str(sop_class.UnifiedProcedureStepWatch))
    assert not belongs(None, "1.2.3")


@pytest.mark.parametrize("uid", sorted({*MEMBERS, *QUERIES, *RETRIEVES}.union(*MEMBERS.values())))
def test_every_uid_is_a_registered_sop_class(uid: str) -> None:
    assert UID(uid).type in ("SOP Class", "Meta SOP Class")


def test_every_query_and_retrieve_model_that_pynetdicom_knows_is_listed() -> None:
    known = {name: str(uid) for name, uid in vars(sop_class).items() if isinstance(uid, UID) and "InformationModel" in name}
    assert {uid for name, uid in known.items() if name.endswith("Find")} <= QUERIES
    roots = ("PatientRoot", "StudyRoot", "PatientStudyOnly")
    assert {uid for name, uid in known.items() if name.startswith(roots) and name.endswith(("Move", "Get"))} == RETRIEVES
