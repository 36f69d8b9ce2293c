"""What a policy may say: the built-in tables with what the plugins add; and what a set requires of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from hirules.hooks import PluginError, Plugins
from hirules.model.vocabulary import VOCABULARY, Vocabulary
from hirules.policy.edits import EDITS, EditKind
from hirules.policy.findings import Finding, PolicyError
from hirules.policy.operators import OPERATORS, Operator
from hirules.settings import Settings


class Language(msgspec.Struct, frozen=True):
    """What a policy may say: the built-in tables with what the plugins add."""

    plugins: Plugins
    vocabulary: Vocabulary
    operators: Mapping[str, Operator]
    edits: Mapping[str, EditKind]


def read_language(settings: Settings, plugins: Iterable[str | object] = ()) -> Language:
    """The plugins that are allowed, and the language with them. Raises :class:`PolicyError`."""
    try:
        loaded = Plugins((*settings.plugins, *plugins))
        return Language(
            loaded,
            VOCABULARY.extended(loaded.actions(), loaded.attributes()),
            _more(OPERATORS, loaded.operators(), "operator"),
            _more(EDITS, loaded.edits(), "edit"),
        )
    except ValueError as error:
        raise PolicyError([Finding("configuration", 1, 1, "plugin", str(error))]) from error


def requirements(required: Sequence[str], plugins: Plugins) -> tuple[Finding, ...]:
    """What ``set.yaml`` requires and is not there."""
    findings = []
    for text in required:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            findings.append(Finding("set.yaml", 1, 1, "unknown-requirement", f"`{text}` is no requirement", expected="`name` or `name>=1.2`"))
            continue
        there = _version("hirules") if requirement.name == "hirules" else plugins.version_of(requirement.name)
        if there is None:
            hint = "name it in `plugins` of the configuration, or with `--plugin`"
            findings.append(Finding("set.yaml", 1, 1, "requirement", f"the set requires `{text}`, which is not loaded", hint=hint))
        elif requirement.specifier and not requirement.specifier.contains(there or "0", prereleases=True):
            findings.append(Finding("set.yaml", 1, 1, "requirement", f"the set requires `{text}`, and version {there or '?'} is loaded"))
    return tuple(findings)


def _more(table: Mapping[str, Any], added: Sequence[Any], kind: str) -> Mapping[str, Any]:
    more = dict(table)
    for item in added:
        if item.name in more:
            raise PluginError(f"the {kind} `{item.name}` exists already")
        more[item.name] = item
    return more


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
