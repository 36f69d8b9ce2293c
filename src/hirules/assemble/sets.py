"""From the folder of a policy set to the set, or to everything that is wrong with it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from hirules.assemble.folder import read_folder
from hirules.assemble.language import Language, requirements
from hirules.policy import load_set
from hirules.policy.ast import PolicySet
from hirules.policy.findings import Finding, ordered


def read_set(path: Path, language: Language) -> tuple[PolicySet | None, tuple[Finding, ...]]:
    """The policy set in the folder ``path``, and everything that is wrong with it."""
    files, findings = read_folder(path)
    if files is None:
        return None, findings
    loaded = load_set(files, vocabulary=language.vocabulary, operators=language.operators, edits=language.edits)
    required = requirements(loaded.set.requires, language.plugins) if loaded.set is not None else ()
    return loaded.set, ordered((*findings, *loaded.findings, *required))


def linted_set(path: Path, language: Language, now: datetime) -> tuple[Finding, ...]:
    """Everything that is to be said about the policy set in the folder ``path``; lints only where it loads. ``now`` has an offset."""
    from hirules.policy.lint import lint  # only `check` needs it, and a gateway reads this module too

    files, findings = read_folder(path)
    if files is None:
        return findings
    loaded = load_set(files, vocabulary=language.vocabulary, operators=language.operators, edits=language.edits)
    if loaded.set is None:
        return ordered((*findings, *loaded.findings))
    said = lint(loaded.set, files, now, found=loaded.findings, operators=language.operators, edits=language.edits)
    return ordered((*findings, *said, *requirements(loaded.set.requires, language.plugins)))
