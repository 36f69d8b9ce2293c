"""What a query or an N-GET asks beyond what the client asked: the elements that rules on its answers read.

They are asked for with zero length, and taken out of each answer before it leaves.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from hirules.dimse.association import Context
from hirules.dimse.identifier import read, write
from hirules.dimse.lookup_query import LEVELS, keywords, level_of
from hirules.dimse.message import C_FIND_RQ, N_GET_RQ, Command, encode_command, parse_command
from hirules.dimse.options import Options
from hirules.dimse.outputs import Ruling
from hirules.dimse.retrieve import QUERIES
from hirules.model.dataset import element_of, tag_of

_LIST = "AttributeIdentifierList"


def asking_more(ruling: Ruling, command: Command, context: Context, options: Options) -> Ruling:
    """``ruling``, which forwards ``command``, with what rules need of the answers. Raises ``ValueError``."""
    if options.disclosed is None or ruling.command is None:
        return ruling
    if command.field == C_FIND_RQ:
        return _query(ruling, command, context, options.disclosed("answer", "c-find").names)
    if command.field == N_GET_RQ:
        return _attributes(ruling, command, options.disclosed("release", "n-get").names)
    return ruling


def _query(ruling: Ruling, command: Command, context: Context, names: Iterable[str]) -> Ruling:
    if not names or ruling.data is None or context.transfer_syntax is None:
        return ruling
    dataset = read(ruling.data, context.transfer_syntax)
    tags = [tag for name in wanted(names, str(command.values.get("AffectedSOPClassUID")), dataset) if (tag := tag_of(name)) is not None and tag not in dataset]
    if not tags:
        return ruling
    for tag in tags:
        dataset.add(element_of(tag, dictionary_VR(tag).split(" or ")[0], ""))
    return msgspec.structs.replace(ruling, data=write(dataset, context.transfer_syntax), added=frozenset(tags))


def wanted(names: Iterable[str], sop_class: str, dataset: Dataset) -> frozenset[str]:
    """Of ``names`` those that a query of this level can be asked for: what lies below it an archive answers with anything, or nothing."""
    model, level = QUERIES.get(sop_class), str(dataset.get("QueryRetrieveLevel", ""))
    found = keywords(names)
    if model is None or not model.levels:
        return found
    if level not in LEVELS:
        return frozenset()
    root = model.levels[0] == "PATIENT"
    return frozenset(name for name in found if LEVELS.index(level_of(name, level, patient_root=root)) <= LEVELS.index(level))


def _attributes(ruling: Ruling, command: Command, names: Iterable[str]) -> Ruling:
    asked = command.values.get(_LIST)
    if not isinstance(asked, tuple) or not asked:
        return ruling  # everything is asked for (PS3.7 §10.1.2.1.6)
    added = frozenset(tag for name in names if (tag := tag_of(name)) is not None and tag not in asked)
    if not added:
        return ruling
    raw = encode_command({**command.values, _LIST: (*asked, *sorted(added))})
    return msgspec.structs.replace(ruling, command=parse_command(raw).raw, added=added)
