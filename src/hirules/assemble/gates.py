"""From the folder of a policy set to its gate."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Literal

from hirules.assemble.apart import job
from hirules.assemble.changes import state
from hirules.assemble.enforceable import not_enforceable
from hirules.assemble.language import read_language
from hirules.assemble.reload import Reloader
from hirules.assemble.sets import linted_set, read_set
from hirules.audit import FileStore, NotRecorded, Recorder, Store
from hirules.facts import Lookups
from hirules.gate import Gate, now_of_clock
from hirules.model.request import Request
from hirules.policy.findings import Finding, PolicyError
from hirules.settings import Settings, read_settings

_log = logging.getLogger(__name__)

Reload = Literal["never", "asked", "watch"]


def load(
    path: str | os.PathLike[str],
    *,
    config: Settings | str | os.PathLike[str] | None = None,
    audit: Store | str | os.PathLike[str] | None = None,
    plugins: Iterable[str | object] = (),
    reload: bool = False,
) -> Gate:
    """Read, check and compile the policy set in the folder ``path``.

    ``config``   a configuration, or its file: its plugins, its audit log, its limits
    ``audit``    where the record goes: a file or a store. Neither here nor in ``config``: nothing is recorded
    ``plugins``  more plugins: names of installed ones, or objects
    ``reload``   watch the folder and put changed policies into force (``gate.reloader``) until ``gate.close()``

    Raises :class:`~hirules.policy.findings.PolicyError` with every finding.
    """
    settings = _settings(config)
    return build(path, settings, audit=audit, plugins=plugins, reload="watch" if reload else "never")


def build(
    path: str | os.PathLike[str],
    settings: Settings,
    *,
    audit: Store | str | os.PathLike[str] | None = None,
    plugins: Iterable[str | object] = (),
    now: Callable[[Request], datetime] = now_of_clock,
    reload: Reload = "never",
    enforced: bool = False,
) -> Gate:
    """The gate of one policy set. ``now`` says what time it is for a request.

    ``reload``    whether it follows its folder: when that changes, or only when asked
    ``enforced``  a DIMSE gateway must be able to enforce every rule, also of a reloaded set
    """
    plugins = tuple(plugins)
    seen = state(Path(path)) if reload == "watch" else None
    language = read_language(settings, plugins)
    policies, findings = read_set(Path(path), language)
    if policies is None or any(found.is_error for found in findings):
        raise PolicyError(findings)
    if enforced and (beyond := not_enforceable(policies)):
        raise PolicyError(beyond)
    for found in findings:
        _log.info("%s:%s:%s: %s", found.file, found.line, found.column, found.message)
    beside = None if reload == "never" else job(Path(path), settings, plugins, language, enforced=enforced)
    facts = settings.facts
    gate = Gate(
        policies,
        plugins=language.plugins,
        recorder=Recorder(_store(settings, audit), policies.vocabulary, identifying_values=settings.audit is not None and settings.audit.identifying_values),
        lookups=Lookups(policies.vocabulary, seconds=facts.deadline, cache_seconds=facts.cache, cache_size=facts.cache_size),
        operators=language.operators,
        edits=language.edits,
        unlisted_operations=settings.healthimaging.unlisted_operations,
        now=now,
    )
    if beside is not None:
        gate.reloader = Reloader(gate, language, beside, seen, watch=reload == "watch").start()
    return gate


def check_set(path: Path, *, settings: Settings | None = None, plugins: Iterable[str | object] = (), now: datetime | None = None) -> tuple[Finding, ...]:
    """Everything that is to be said about the policy set in ``path``.

    ``now``, with its offset: lint as well, and judge what has expired at this time. Without it: what loading finds.
    """
    try:
        language = read_language(settings if settings is not None else Settings(), plugins)
    except PolicyError as error:
        return error.findings
    return read_set(path, language)[1] if now is None else linted_set(path, language, now)


def _settings(config: Settings | str | os.PathLike[str] | None) -> Settings:
    if config is None:
        return Settings()
    return config if isinstance(config, Settings) else read_settings(config)


def _store(settings: Settings, audit: Store | str | os.PathLike[str] | None) -> Store | None:
    where = audit if audit is not None else settings.audit.file if settings.audit is not None else None
    if where is None or not isinstance(where, str | os.PathLike):
        return where
    try:
        return FileStore(where)
    except NotRecorded as error:
        raise PolicyError([Finding(os.fspath(where), 1, 1, "audit", str(error))]) from error
