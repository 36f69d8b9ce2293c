"""Tests of policies as data: what a `*_test.yaml` says once it has been read (LANGUAGE: Tests).

bytes ─▶ suite_read ─▶ Suite: Cases with a Request and what is Expected ─▶ suite_run ─▶ Result ─▶ reports of the command line
             │ suite_parts: fixtures, parts, files                │ coverage: which conditions were seen true and false
             │ suite_expect: `expect`                             │ narrowing: the few rules that can matter
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from hirules.model.decision import Status
from hirules.model.request import EMPTY, Request
from hirules.policy.ast import Position

Entry = Mapping[str, object]
"""One expected note, shadow result, exception or error: the fields of it that are stated."""


class Expected(msgspec.Struct, frozen=True):
    """What must be decided. ``stated`` are the keys that the test gives; a key that it does not give is not compared,

    but for ``rewritten`` and ``errors``: a rewrite, and something unknown, that nobody expected fails the test.
    """

    stated: frozenset[str]
    decision: str = ""
    by: tuple[str, ...] = ()
    status: Status = None
    reason: str = ""
    full_reason: str = ""
    no_match: bool = False
    rewritten: Mapping[str, object] = EMPTY
    notes: tuple[Entry, ...] = ()
    shadow: tuple[Entry, ...] = ()
    exceptions: tuple[Entry, ...] = ()
    errors: tuple[Entry, ...] = ()


class Case(msgspec.Struct, frozen=True):
    """One test: a request, the time, and what must be decided. ``name`` is unique in its file."""

    name: str
    position: Position
    request: Request
    now: datetime
    expected: Expected


class Suite(msgspec.Struct, frozen=True):
    """One file of tests."""

    file: str
    cases: tuple[Case, ...]
