"""From the folder of a policy set to its gate."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from hirules.assemble.folder import read_folder
from hirules.assemble.language import Language, read_language, requirements
from hirules.audit import FileStore, NotRecorded, Recorder, Store
from hirules.facts import Lookups
from hirules.gate import Gate, now_of_clock
from hirules.model.request import Request
from hirules.policy import load_set
from hirules.policy.ast import PolicySet
from hirules.policy.findings import Finding, PolicyError, ordered
from hirules.settings import Settings, read_settings

_log = logging.getLogger(__name__)


def load(
    path: str | os.PathLike[str],
    *,
    config: Settings | str | os.PathLike[str] | None = None,
    audit: Store | str | os.PathLike[str] | None = None,
    plugins: Iterable[str | object] = (),
) -> Gate:
    """Read, check and compile the policy set in the folder ``path``.

    ``config``   a configuration, or its file: its plugins, its audit log, its limits
    ``audit``    where the record goes: a file or a store. Neither here nor in ``config``: nothing is recorded
    ``plugins``  more plugins: names of installed ones, or objects

    Raises :class:`~hirules.policy.findings.PolicyError` with every finding.
    """
    settings = _settings(config)
    return build(path, settings, audit=audit, plugins=plugins)


def build(
    path: str | os.PathLike[str],
    settings: Settings,
    *,
    audit: Store | str | os.PathLike[str] | None = None,
    plugins: Iterable[str | object] = (),
    now: Callable[[Request], datetime] = now_of_clock,
) -> Gate:
    """The gate of one policy set. ``now`` says what time it is for a request."""
    language = read_language(settings, plugins)
    policies, findings = read_set(Path(path), language)
    if policies is None or any(found.is_error for found in findings):
        raise PolicyError(findings)
    for found in findings:
        _log.info("%s:%s:%s: %s", found.file, found.line, found.column, found.message)
    facts = settings.facts
    return Gate(
        policies,
        plugins=language.plugins,
        recorder=Recorder(_store(settings, audit), policies.vocabulary, identifying_values=settings.audit is not None and settings.audit.identifying_values),
        lookups=Lookups(policies.vocabulary, seconds=facts.deadline, cache_seconds=facts.cache, cache_size=facts.cache_size),
        operators=language.operators,
        edits=language.edits,
        unlisted_operations=settings.healthimaging.unlisted_operations,
        now=now,
    )


def check_set(path: Path, *, settings: Settings | None = None, plugins: Iterable[str | object] = ()) -> tuple[Finding, ...]:
    """Everything that is to be said about the policy set in ``path``."""
    try:
        language = read_language(settings if settings is not None else Settings(), plugins)
    except PolicyError as error:
        return error.findings
    return read_set(path, language)[1]


def read_set(path: Path, language: Language) -> tuple[PolicySet | None, tuple[Finding, ...]]:
    """The policy set in the folder ``path``, and everything that is wrong with it."""
    files, findings = read_folder(path)
    if files is None:
        return None, findings
    loaded = load_set(files, vocabulary=language.vocabulary, operators=language.operators, edits=language.edits)
    required = requirements(loaded.set.requires, language.plugins) if loaded.set is not None else ()
    return loaded.set, ordered((*findings, *loaded.findings, *required))


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
