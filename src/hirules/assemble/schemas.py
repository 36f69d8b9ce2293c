"""The published schemas, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hirules import settings as configuration
from hirules.assemble.language import read_language
from hirules.audit import record as audit_record
from hirules.policy.schema import schemas
from hirules.settings import Settings

OF_POLICIES = ("policy", "policy-set", "policy-test")
SCHEMAS: tuple[str, ...] = (*OF_POLICIES, "configuration", "audit-record")


def schema(name: str, *, settings: Settings | None = None) -> Mapping[str, Any]:
    """A published schema by its name, with what the plugins of ``settings`` add. Raises :class:`PolicyError`."""
    language = read_language(settings if settings is not None else Settings())
    if name in OF_POLICIES:
        return schemas(language.vocabulary, language.operators, language.edits)[name]
    return configuration.schema() if name == "configuration" else audit_record.schema()
