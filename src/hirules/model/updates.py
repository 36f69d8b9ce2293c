"""What of an update follows from its ``updates``: pure, so that a rewrite can be followed by it.

``updated`` is no parameter of the API: it lists what ``updates`` sets. After an edit of
``request.updates.…`` it is read anew, so that a rule on the effective request sees what will be set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def updated_paths(updates: Mapping[str, object]) -> list[str]:
    """Every attribute that ``updates`` sets, sorted: ``Level.Keyword``, ``Level.Sequence[*].Keyword``."""
    return sorted({path for level, fields in updates.items() if isinstance(fields, Mapping) for path in _below(level, fields, ".")})


def _below(prefix: str, fields: Mapping[object, object], separator: str) -> Iterator[str]:
    for name, value in fields.items():
        if value is None:
            continue
        path = f"{prefix}{separator}{name}"
        yield path
        # a mapping alone is one item
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, Mapping):
                yield from _below(path, item, "[*].")
