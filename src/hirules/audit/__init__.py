"""The record: written and on disk before a request goes on, completed by its outcome afterwards.

    Decision ─▶ redaction (no patient data) ─▶ record (frozen) ─▶ recorder (JSON line) ─▶ store (append, fdatasync)

A record that cannot be written raises :class:`NotRecorded`, and the gate refuses the request.
"""

from hirules.audit.record import DecisionRecord, InstanceRecord, LookupCost, OutcomeRecord
from hirules.audit.recorder import Recorder
from hirules.audit.store import FileStore, NotRecorded, Store

__all__ = ["DecisionRecord", "FileStore", "InstanceRecord", "LookupCost", "NotRecorded", "OutcomeRecord", "Recorder", "Store"]
