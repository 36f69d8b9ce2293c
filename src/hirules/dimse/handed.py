"""What a guarded handler hands over: each match, instance and attribute list is decided before it leaves.

    handler ─▶ data set ─▶ disclosure ─▶ gate ─▶ leaves, changed or not
                                              └▶ left out
    response of a retrieve ◀─ honest counts and status ◀─ what was left out

The instances that do not leave are failed sub-operations: pynetdicom is given a data set that it cannot send. The data
sets of the program are never changed: it may keep them.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, Protocol

import msgspec
from pydicom.dataset import Dataset

from hirules.dimse.conversation import PENDING
from hirules.dimse.identifier import read, write
from hirules.dimse.ledger import SOME_FAILED, UNABLE_TO_SEND, WITHHELD
from hirules.dimse.lookup_query import kept_in
from hirules.dimse.release import MatchView, disclosure, edited
from hirules.dimse.response import status_of
from hirules.dimse.ruling import NO_SUCH_OBJECT_INSTANCE, SUCCESS, place_of
from hirules.dimse.translate import same
from hirules.facts.disclosed import Disclosed
from hirules.model.dataset import DatasetView, tag_of
from hirules.model.decision import Decision
from hirules.model.reading import Fields
from hirules.model.request import Request
from hirules.model.status import NOT_AUTHORIZED

log = logging.getLogger("hirules.dimse")

BRINGS = {"c-find": "answer", "c-get": "release", "c-move": "release", "n-get": "release"}
"""The action that each data set is which a service hands over."""
_FAILED, _CAME = "NumberOfFailedSuboperations", ("NumberOfCompletedSuboperations", "NumberOfWarningSuboperations")


class Asking(Protocol):
    """What decides."""

    def disclosed(self, action: str, asking: str) -> Disclosed:
        """What the rules of the set that decides now need of a data set."""

    def check(self, request: Request) -> Decision:
        """Decide and record."""

    def leaves(self, decision: Decision, uid: str) -> bool:
        """Whether the instance is in the record; else it must not leave."""


class Left(msgspec.Struct, frozen=True):
    """A data set that does not leave; ``hidden``: as if it did not exist."""

    hidden: bool
    status: int = NOT_AUTHORIZED
    reason: str = ""


class Handed:
    """Of one allowed request: ``decision``, which came as ``asked``; ``added`` are the tags that only rules asked for. Used by one thread."""

    def __init__(self, asking: Asking, decision: Decision, asked: Request, added: frozenset[int] = frozenset()) -> None:
        self.action = decision.effective.action
        self._asking = asking
        self._decision = decision
        self._asked = asked
        self._strip = added
        self._dropped: set[str] = set()
        self._hidden: set[str] = set()

    @property
    def told(self) -> dict[str, int]:
        """For the outcome of the record."""
        return {name: count for name, count in (("dropped", len(self._dropped)), ("hidden", len(self._hidden))) if count}

    @property
    def applies(self) -> bool:
        """Whether a rule could change or refuse what is handed over."""
        return self._asking.disclosed(BRINGS[self.action], self.action).applies

    # -- what the handler gave --------------------------------------------------------------------

    def over(self, result: Any) -> Any:
        """What the handler gave, decided."""
        match self.action:
            case "c-find":
                return self._matches(result)
            case "c-get" | "c-move":
                return self._instances(result)
            case "n-get":
                return self._attributes(result)
        return result

    def _matches(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if not _is_pending(item):
                yield item
                continue
            status, match = item
            leaving = self._decided(match)
            if not isinstance(leaving, Left):
                yield status, leaving

    def _instances(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if not _is_pending(item):
                yield item
                continue
            status, instance = item
            uid = str(instance.get("SOPInstanceUID", ""))
            leaving = self._decided(instance)
            if not isinstance(leaving, Left) and not self._asking.leaves(self._decision, uid):
                leaving = Left(hidden=False)
            if isinstance(leaving, Left):
                (self._hidden if leaving.hidden else self._dropped).add(uid)
                leaving = Dataset()
                # without a SOP class pynetdicom cannot send it, and counts it as failed
                leaving.SOPInstanceUID = uid
            yield status, leaving

    def _attributes(self, result: Any) -> Any:
        status, attributes = result
        if not isinstance(attributes, Dataset) or not attributes:
            return result
        leaving = self._decided(attributes)
        if not isinstance(leaving, Left):
            return status, leaving
        refused = Dataset()
        refused.Status = NO_SUCH_OBJECT_INSTANCE if leaving.hidden else leaving.status
        if not leaving.hidden and leaving.reason:
            refused.ErrorComment = leaving.reason
        return refused, None

    def _decided(self, dataset: Dataset) -> Dataset | Left:
        """The data set that leaves in its place."""
        try:
            leaving = self._allowed(dataset) if self.applies else dataset
            return leaving if isinstance(leaving, Left) else self._stripped(leaving, dataset)
        except Exception as error:  # noqa: BLE001 - whatever fails on the way, the data set does not leave
            log.error("a data set could not be decided, and does not leave: %s", place_of(error))
            return Left(hidden=False)

    def _allowed(self, dataset: Dataset) -> Dataset | Left:
        view = self._view(dataset)
        decision = self._asking.check(disclosure(BRINGS[self.action], self._decision, self._asked, view))
        if not decision.allowed:
            return Left(decision.no_match, status_of(decision), decision.reason)
        wanted = decision.effective.instance
        if wanted is view or wanted is None:
            return dataset
        changed = copy.deepcopy(dataset)
        edited(changed, self._view(changed), wanted)
        # INVARIANT: what leaves is what was decided
        if not _says(changed, view, wanted):
            raise ValueError("the rewritten data set is another than was decided")
        return changed

    def _view(self, dataset: Dataset) -> DatasetView:
        return MatchView(dataset, kept_in(self._decision.effective, ())) if self.action == "c-find" else DatasetView(dataset)

    def _stripped(self, leaving: Dataset, dataset: Dataset) -> Dataset:
        if not any(tag in leaving for tag in self._strip):
            return leaving
        kept = copy.copy(leaving) if leaving is dataset else leaving
        for tag in self._strip:
            if tag in kept:
                del kept[tag]
        return kept

    # -- its responses ----------------------------------------------------------------------------

    def responding(self, response: Any, transfer_syntax: str) -> None:
        """Make the counts and the status of a retrieve's response honest (PS3.4 §C.4.2.1.6, §C.4.3.1.4)."""
        if self.action in ("c-get", "c-move") and (self._hidden or self._asking.disclosed("release", self.action).hides):
            # with what comes in the end it would tell how many were hidden
            response.NumberOfRemainingSuboperations = None
        failed = getattr(response, _FAILED, None)
        if self.action not in ("c-get", "c-move") or not failed or not (self._dropped or self._hidden):
            return
        failed -= len(self._hidden)
        setattr(response, _FAILED, failed)
        if response.Status in PENDING:
            return
        came = any(getattr(response, name, None) for name in _CAME)
        if response.Status in (SOME_FAILED, UNABLE_TO_SEND):
            warned = bool(getattr(response, _CAME[1], None))
            response.Status = SUCCESS if not failed and not warned else response.Status
            if not came and failed == len(self._dropped) and failed:
                response.Status = NOT_AUTHORIZED
                response.ErrorComment = WITHHELD
        if response.Identifier is not None:
            response.Identifier = self._still_failed(response.Identifier, transfer_syntax) if failed else None

    def _still_failed(self, identifier: BytesIO, transfer_syntax: str) -> BytesIO | None:
        listed = read(identifier.getvalue(), transfer_syntax).get("FailedSOPInstanceUIDList")
        uids = [str(uid) for uid in ([listed] if isinstance(listed, str) else listed or []) if str(uid) not in self._hidden]
        dataset = Dataset()
        dataset.FailedSOPInstanceUIDList = uids
        return BytesIO(write(dataset, transfer_syntax)) if uids else None


def _says(changed: Dataset, before: Fields, wanted: Fields) -> bool:
    """Whether ``changed`` says what ``wanted`` says, where that is another than ``before``."""
    others = {name: value for name, value in wanted.items() if value is not None and before.get(name) != value}
    some = Dataset()
    for name in others:
        tag = tag_of(name, changed)
        if tag is None or tag not in changed:
            return False
        some.add(changed[tag])
    after = DatasetView(changed)
    return same(DatasetView(some), others) and not any(name in after for name in before if wanted.get(name) is None)


def _is_pending(item: Any) -> bool:
    """Whether a handler's item is a match or an instance, and not a count, a destination or a final status."""
    if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[1], Dataset):
        return False
    status = item[0]
    return (status.get("Status") if isinstance(status, Dataset) else status) in PENDING
