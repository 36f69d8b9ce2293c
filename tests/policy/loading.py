"""Loading a policy from the text of its rules, and what was found."""

from __future__ import annotations

from textwrap import dedent, indent

from hirules.policy import Finding, Loaded, load_set
from hirules.policy.ast import Rule

FILE = "p.yaml"


def load(text: str, **files: str) -> Loaded:
    """A set of one policy file; ``files`` by name, ``_`` for ``/`` and the last ``_`` for the dot."""
    others = {name.replace("__", "/").replace("_", "."): content.encode() for name, content in files.items()}
    return load_set({FILE: dedent(text).encode(), **others})


def policy(rules: str, head: str = "") -> str:
    """A policy with these rules."""
    return f"hirules: 1\npolicy: p\n{dedent(head)}rules:\n{indent(dedent(rules).strip(), '  ')}\n"


def rule(body: str, *, on: str = "c-move", effect: str = "deny: {}", head: str = "", **files: str) -> Loaded:
    """A policy with one rule, whose ``when`` or other keys are ``body``."""
    text = dedent(body).strip()
    lines = f"- id: r\n  on: {on}\n{indent(text, '  ')}\n  {effect}" if text else f"- id: r\n  on: {on}\n  {effect}"
    return load(policy(lines, head), **files)


def compiled(body: str, *, on: str = "c-move", effect: str = "deny: {}", head: str = "", **files: str) -> Rule:
    """That one rule; every finding but a warning fails the test."""
    return rule(body, on=on, effect=effect, head=head, **files).required().rules[0]


def codes(loaded: Loaded, *, errors_only: bool = False) -> list[str]:
    """The codes of the findings, in their order."""
    return [found.code for found in loaded.findings if found.is_error or not errors_only]


def only(loaded: Loaded) -> Finding:
    """The only finding."""
    (found,) = loaded.findings
    return found


def marked(found: Finding) -> str:
    """The text that the caret points at."""
    return found.source[found.column - 1 : found.column - 1 + found.length]
