"""Letters that look like others (Unicode Technical Standard 39, §4: confusables).

``look-alike``  a word that mixes Latin letters with letters of another script that look the same, or that only looks like a word of the set
(Characters that hide or reorder text are errors: ``control-character``.)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from hirules.policy.ast import Policy, Position
from hirules.policy.document import Document, MappingNode, Node, ScalarNode, SequenceNode
from hirules.policy.lint.subject import Lint, Subject

_CYRILLIC = dict(zip("АВЕЅЗІЈКМНОРСТУХҮԌԜԚаеѕіјорсухһԁԛԝү", "ABES3IJKMHOPCTYXYGWQaesijopcyxhdqwy", strict=True))
_GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορτυχϲ", "ABEZHIKMNOPTYXaikvoptuxc", strict=True))
_OTHERS = dict(zip("ɑɡıƖǀօսհցոАᴀᴄᴇᴏᴠᴡᴢ", "agiIlouhgnAaceovwz", strict=True))
LOOK_ALIKES = {**_OTHERS, **_GREEK, **_CYRILLIC}
"""Letters of other scripts, and the ASCII letter that each looks like. Full width and mathematical letters and digits are look-alikes too; `m²` is none."""
_STYLED = re.compile("[\uff10-\uff5a\U0001d400-\U0001d7ff]")
_WORD = re.compile(r"\w+")


def lints(subject: Subject) -> Iterator[Lint]:
    """The findings of this family."""
    for document in subject.documents.values():
        if all(line.isascii() for line in document.lines):
            continue
        yield from _of_document(subject, document)
    for policy in subject.policies.policies:
        yield from _of_files(subject, policy)


def _of_document(subject: Subject, document: Document) -> Iterator[Lint]:
    if document.root is None:
        return
    scalars = list(_scalars(document.root))
    plain = {word for node in scalars if node.text.isascii() for word in _WORD.findall(node.text)}
    seen: set[tuple[int, int]] = set()
    for node in scalars:
        word = None if node.text.isascii() else suspect(node.text, plain)
        if word is not None and (node.line, node.column) not in seen:
            seen.add((node.line, node.column))
            yield _lint(subject, Position(document.file, node.line, node.column), f"`{word}` is", word)


def _lint(subject: Subject, place: Position, what: str, word: str) -> Lint:
    letter = next(character for character in word if look(character) is not None)
    message = f"{what} not what it looks like: it holds U+{ord(letter):04X}, which looks like `{look(letter)}`"
    return subject.lint(place, "look-alike", message, expected=f"`{look(letter)}`, or a word of one script")


def suspect(text: str, plain: set[str]) -> str | None:
    """The first word of ``text`` that mixes scripts by letters that look alike, or that looks like one of ``plain``."""
    for word in _WORD.findall(text):
        seen = [look(character) for character in word]
        if not any(seen):
            continue
        latin = any("a" <= character.lower() <= "z" for character in word)
        skeleton = "".join(other or character for character, other in zip(word, seen, strict=True))
        if skeleton.isascii() and (latin or skeleton in plain):
            return str(word)
    return None


def look(character: str) -> str | None:
    """The ASCII character that one outside of ASCII looks like."""
    if character.isascii():
        return None
    known = LOOK_ALIKES.get(character)
    if known is not None:
        return known
    if not _STYLED.match(character):
        return None
    folded = unicodedata.normalize("NFKC", character)
    return folded if len(folded) == 1 and folded.isascii() and folded.isalnum() else None


def _of_files(subject: Subject, policy: Policy) -> Iterator[Lint]:
    """Members of list files; a finding names the list, and quotes nothing."""
    nodes = subject.list_nodes(policy)
    written = set(subject.inline_lists(policy))
    for name, named in policy.lists.items():
        if nodes is None or name in written or name not in nodes.entries:
            continue
        texts = [*named.texts, *(cell for row in named.rows for cell in row.values())]
        if any(not text.isascii() and suspect(text, set()) is not None for text in texts):
            key = nodes.entries[name][0]
            message = f"a value in the file of `{name}` mixes letters of two scripts that look alike: it is not what it looks like"
            yield subject.lint(Position(policy.file, key.line, key.column), "look-alike", message, expected="values of one script")


def _scalars(node: Node) -> Iterator[ScalarNode]:
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield from _scalars(item)
    elif isinstance(node, MappingNode):
        for key, value in node.entries.values():
            yield key
            yield from _scalars(value)
