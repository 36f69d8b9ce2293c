"""Hot reload: a changed policy set is checked beside the running one, taken over in slices, and put into force whole.

    folder ─poll─▶ changed? ─▶ quiet? ─▶ a child reads and checks ─▶ pieces ─▶ PolicySet ─▶ Edition ─▶ gate.swap
                                           │ findings, a crash, a deadline: told; the last good set keeps deciding
                                           └ the folder changed meanwhile: once more

What the child has read counts, not what the folder holds later; whether it differs is told by the digest over the contents.
A decision that is under way keeps the edition it began with; an edition that nobody uses any more is taken apart in slices too.
"""

from __future__ import annotations

import gc
import logging
import subprocess
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from hirules.assemble.apart import Job, NotChecked, checked
from hirules.assemble.changes import State, state
from hirules.assemble.language import Language
from hirules.assemble.pace import Pace, Stopped
from hirules.gate import Edition, Gate, ReloadStatus
from hirules.hooks.failure import told
from hirules.policy.ast import PolicySet
from hirules.policy.findings import Finding, printable
from hirules.policy.index import Index

_log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two looks at the folder."""
SETTLE = 0.5
"""Seconds for which nothing must have changed: an editor, a copy or a checkout writes one file after another."""
DEADLINE = 120.0
"""Seconds for reading, checking and taking over one set."""
_RESTLESS = 30.0


class Reloader:
    """Keeps a gate's policies those of their folder. One daemon thread; ``close`` ends it and the process that it may have started."""

    def __init__(
        self,
        gate: Gate,
        language: Language,
        job: Job,
        seen: State | None = None,
        *,
        watch: bool = True,
        interval: float = INTERVAL,
        settle: float = SETTLE,
        deadline: float = DEADLINE,
    ) -> None:
        """``seen``: the folder as it was before the gate's set was read. Without ``watch`` it is looked at only when :meth:`check` is called."""
        self._gate = gate
        self._language = language
        self._job = job
        self._folder = Path(job.folder)
        self._seen = seen
        self._watch, self._interval, self._settle, self._deadline = watch, interval, settle, deadline
        self._asked, self._closed = threading.Event(), threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._retired: list[_Retired] = []
        self._pace = Pace(self._closed.is_set)
        self._status = ReloadStatus(gate.policies.digest)
        self._thread = threading.Thread(target=self._run, name="hirules-reload", daemon=True)

    @property
    def status(self) -> ReloadStatus:
        """How it stands."""
        return self._status

    def start(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def check(self) -> None:
        """Look at the policies now, changed or not. Does not wait for the result."""
        self._asked.set()

    def close(self) -> None:
        """End it. What is being checked is forgotten."""
        self._closed.set()
        self._asked.set()
        if (child := self._child) is not None:
            child.kill()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(10)

    def _run(self) -> None:
        while True:
            self._asked.wait(self._interval if self._watch or self._retired else None)
            if self._closed.is_set():
                return
            try:
                self._turn()
            except Stopped:
                return
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever goes wrong: the set that decides is untouched, and it is told
                self._failed(f"it could not be taken over: {told(error)}")

    def _turn(self) -> None:
        self._bury()
        asked = self._asked.is_set()
        self._asked.clear()
        if not (asked or self._watch):
            return
        now = state(self._folder)
        if not asked:
            if now == self._seen:
                return
            now = self._quiet(now)
        while not self._checked(now):
            now = self._quiet(now)

    def _quiet(self, now: State) -> State:
        """Wait until the folder has been the same for a while; or until somebody asks."""
        begun, warned = time.monotonic(), False
        while True:
            if self._closed.wait(self._settle):
                raise Stopped
            again = state(self._folder)
            if again == now or self._asked.is_set():
                return again
            now = again
            if not warned and time.monotonic() - begun > _RESTLESS:
                warned = True
                _log.warning("`%s` has been changing for %g s: it is reloaded when it is quiet; until then %s decides", self._folder, _RESTLESS, self._digest)

    def _checked(self, now: State) -> bool:
        """Check the set, and put it into force where it is another one without an error. False where the folder changed meanwhile."""
        self._seen = now  # whatever comes of it: it is tried again when something changes
        job = msgspec.structs.replace(self._job, digest=self._digest)
        try:
            with _no_full_collection(), checked(job, self._language, self._deadline, self._pace, self._started) as (outcome, take):
                if state(self._folder) != now:
                    return False
                if not outcome.usable:
                    self._refused(outcome.findings)
                elif outcome.digest == self._digest:
                    self._said(outcome.findings)
                    _log.info("the policies were checked: they are those that decide, %s", self._digest)
                else:
                    if gc.get_freeze_count():
                        # what is frozen is never collected: what has been left until now goes first, before there is a new set to walk through
                        gc.collect()
                    self._taken(take(), outcome.findings)
        except NotChecked as error:
            if self._closed.is_set():
                raise Stopped from error
            self._failed(str(error))
        finally:
            self._child = None
        return True

    def _taken(self, policies: PolicySet, findings: Sequence[Finding]) -> None:
        edition = self._gate.edition(policies, self._pace)
        self._pace.rest()
        self._retired.append(_Retired(self._gate.swap(edition)))
        if gc.get_freeze_count():
            # a process that keeps its start out of full collections, as `hirules serve` does, keeps the new set out of them too
            gc.freeze()
        self._said(findings, swapped=datetime.now(UTC))
        _log.info("the policies were reloaded: %s decides", self._digest)

    def _started(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        if self._closed.is_set():
            raise Stopped

    def _refused(self, findings: Sequence[Finding]) -> None:
        for found in findings:
            tell = _log.error if found.is_error else _log.warning
            tell("%s", printable(f"{found.file}:{found.line}:{found.column}: {found.severity}[{found.code}]: {found.message}"))
            self._pace()
        errors = [found for found in findings if found.is_error]
        first = errors[0]
        self._failed(f"{len(errors)} error{'s' if len(errors) > 1 else ''}, the first in {first.file}:{first.line}:{first.column}: {first.message}", findings)

    def _failed(self, why: str, findings: Sequence[Finding] = ()) -> None:
        self._said(findings, printable(why))
        _log.error("the policies were not reloaded: %s. %s keeps deciding", printable(why), self._digest)

    def _said(self, findings: Sequence[Finding], error: str | None = None, swapped: datetime | None = None) -> None:
        before = self._status
        self._status = ReloadStatus(self._digest, swapped or before.swapped, datetime.now(UTC), before.checks + 1, error, tuple(findings))

    @property
    def _digest(self) -> str:
        return self._gate.policies.digest

    def _bury(self) -> None:
        """Take apart the editions that no decision uses any more."""
        for retired in [each for each in self._retired if each.edition() is None]:
            self._retired.remove(retired)
            retired.take_apart(self._pace)


@contextmanager
def _no_full_collection() -> Iterator[None]:
    """A full collection stops every thread for tens of milliseconds, and a new set would set one off; the young generations go on."""
    before = gc.get_threshold()
    gc.set_threshold(before[0], before[1], 1_000_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Retired:
    """What an edition was made of. Without this it would be freed where its last decision ends: all at once, while others wait."""

    def __init__(self, edition: Edition) -> None:
        self.edition = weakref.ref(edition)
        self._index: list[Index] = [edition.index]
        self._policies = [edition.policies]

    def take_apart(self, pace: Pace) -> None:
        """Free it in slices; what somebody else still holds, such as the policies, stays whole."""
        index = self._index.pop()
        index.fell(pace)
        del index
        pace.rest()
        policies = list(self._policies.pop().policies)
        while policies:
            rules = list(policies.pop().rules)
            while rules:
                rules.pop()
                pace()
