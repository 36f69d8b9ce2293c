"""What became of the instances of one retrieve beyond what its upstream knows: the counts and the status that the client gets.

The upstream is told Success for an instance that the gateway drops or hides, so that it goes on. Its counts are made true again:

    Completed  less what was dropped or hidden        Failed  more by what was dropped
    status     B000 where some failed and some came, 0124 where nothing came since rules dropped it
    Remaining  left out where instances may be hidden: with what comes in the end it would tell how many were
    Identifier the upstream's Failed SOP Instance UID List and what was dropped (PS3.4 §C.4.2.1.6, §C.4.3.1.4)

Thread safe: instances, their answers and the responses come in threads of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from pydicom.dataset import Dataset

from hirules.dimse.identifier import read, write
from hirules.dimse.message import NO_DATA_SET, Command, Values, encode_command
from hirules.model.status import NOT_AUTHORIZED

SUCCESS: Final = 0x0000
SOME_FAILED: Final = 0xB000
"""PS3.4 Tables C.4-2 and C.4-3: sub-operations complete, one or more failures or warnings."""
UNABLE_TO_SEND: Final = 0xA702
"""Out of resources, unable to perform sub-operations."""
WITHHELD: Final = "instances were withheld"
_COMPLETED, _FAILED, _WARNING, _REMAINING = (f"NumberOf{kind}Suboperations" for kind in ("Completed", "Failed", "Warning", "Remaining"))
_DATA_SET: Final = 0x0001
_HIGHEST: Final = 0xFFFF


class Ledger:
    """The instances of one outstanding C-GET or C-MOVE, by what the gateway did with them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._delivered = 0
        self._dropped: list[str] = []
        self._hidden = 0
        self._said: tuple[object, ...] = (0, 0, 0)
        self.discreet = False
        """Instances may be hidden, so that nothing may tell how many there are."""

    def __repr__(self) -> str:
        return f"Ledger({self._delivered} delivered, {len(self._dropped)} dropped, {self._hidden} hidden)"

    @property
    def touched(self) -> bool:
        """Whether the client's responses differ from the upstream's."""
        with self._lock:
            return bool(self._dropped or self._hidden or self.discreet)

    def delivered(self, uid: str) -> None:
        """The instance was stored where it was to go."""
        with self._lock:
            self._delivered += 1

    def dropped(self, uid: str) -> None:
        """A denied release: a failed sub-operation."""
        with self._lock:
            self._dropped.append(uid)

    def hidden(self, uid: str) -> None:
        """A release denied with `respond: no-match`: not counted."""
        with self._lock:
            self._hidden += 1

    def pending(self, command: Command) -> Command:
        """A pending response with true counts."""
        if not self.touched:
            return command
        return self._told(command, {**command.values, **self._counts(command.values, always=False)})

    def news(self, command: Command) -> bool:
        """Whether the client may get this pending response, which :meth:`pending` made: where instances may be hidden only if its counts have changed."""
        counts = tuple(command.values.get(name) or 0 for name in (_COMPLETED, _FAILED, _WARNING))
        said, self._said = self._said, counts
        return counts != said or not (self.discreet or self._hidden)

    def final(self, command: Command) -> Command:
        """The final response with true counts and status; its Identifier is :meth:`identifier`'s to make."""
        if not self.touched:
            return command
        values: dict[str, object] = {**command.values, **self._counts(command.values, always=True)}
        with self._lock:
            dropped, delivered, hidden = len(self._dropped), self._delivered, self._hidden
        if not dropped and not hidden:
            return self._told(command, values)
        came = delivered or any(values.get(name) for name in (_COMPLETED, _WARNING))
        status = _status(command.values.get("Status"), bool(came), bool(values.get(_FAILED)), bool(dropped))
        if status != values.get("Status"):
            values["Status"] = status
            values.pop("ErrorComment", None)
            if dropped:
                values["ErrorComment"] = WITHHELD
        values["CommandDataSetType"] = _DATA_SET if dropped or command.has_data_set else NO_DATA_SET
        return self._told(command, values)

    def _told(self, command: Command, values: dict[str, object]) -> Command:
        """The response with these values and, where it may not be told, without what remains; as it came where that is the same."""
        if self.discreet or self._hidden:
            values.pop(_REMAINING, None)
        return command if values == command.values else _encoded(values)

    def identifier(self, identifier: bytes | None, transfer_syntax: str) -> bytes | None:
        """The Failed SOP Instance UID List of the final response; ``None`` where no sub-operation failed.

        ``identifier`` is the upstream's, of which nothing else is kept; one that cannot be read is left out, what was dropped is not.
        """
        with self._lock:
            dropped = list(self._dropped)
        uids = list(dict.fromkeys([*_listed(identifier, transfer_syntax), *(uid for uid in dropped if uid)]))
        if not uids:
            return None
        dataset = Dataset()
        dataset.FailedSOPInstanceUIDList = uids
        return write(dataset, transfer_syntax)

    def _counts(self, values: Values, *, always: bool) -> Mapping[str, int]:
        """Those that the response has; ``always``: also Failed where rules dropped something."""
        with self._lock:
            dropped, hidden = len(self._dropped), self._hidden
        found: dict[str, int] = {}
        completed, failed = values.get(_COMPLETED), values.get(_FAILED)
        if isinstance(completed, int):
            found[_COMPLETED] = max(0, completed - dropped - hidden)
        if isinstance(failed, int) or (always and dropped):
            found[_FAILED] = min(_HIGHEST, (failed if isinstance(failed, int) else 0) + dropped)
        return found

    def told(self) -> Mapping[str, int]:
        """For the outcome of the record; empty where the gateway took nothing out."""
        with self._lock:
            return {name: count for name, count in (("dropped", len(self._dropped)), ("hidden", self._hidden)) if count}


def _status(told: object, came: bool, failed: bool, dropped: bool) -> int:
    """The honest one for what the upstream told; its failures and a cancel stay what they are."""
    assert isinstance(told, int)  # INVARIANT: a response without a status is never taken into account
    if told not in (SUCCESS, SOME_FAILED):
        return told
    if came:
        # what the upstream said stays said: B000 is for warnings, too
        return SOME_FAILED if failed else told
    if dropped:
        return NOT_AUTHORIZED
    return UNABLE_TO_SEND if failed else SUCCESS


def _listed(identifier: bytes | None, transfer_syntax: str) -> list[str]:
    if not identifier:
        return []
    try:
        value = read(identifier, transfer_syntax).get("FailedSOPInstanceUIDList")
    except ValueError:
        return []
    return [str(uid) for uid in ([value] if isinstance(value, str) else value or [])]


def _encoded(values: Mapping[str, object]) -> Command:
    raw = encode_command(values)
    return Command({**values, "CommandGroupLength": len(raw) - 12}, raw)
