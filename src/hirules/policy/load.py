"""A folder's files as a policy set, or everything that is wrong with them.

    files → documents → set.yaml → lists → policies → schema → PolicySet

Pure: the caller has read the files. A set with an error is no set: nothing of it is used.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import PurePosixPath
from typing import cast

import msgspec

from hirules.model.vocabulary import VOCABULARY, Vocabulary
from hirules.policy import compile as compiler
from hirules.policy.ast import Policy, PolicySet
from hirules.policy.compile_set import Settings, extended, settings
from hirules.policy.compile_source import Source, Tables
from hirules.policy.document import MappingNode, parse
from hirules.policy.edits import EDITS, EditKind
from hirules.policy.findings import Finding, PolicyError, ordered
from hirules.policy.lists import LoadedList, declared
from hirules.policy.operators import OPERATORS, Operator
from hirules.policy.schema_check import against_schema, against_set_schema

SET_FILE = "set.yaml"
TEST_SUFFIX = "_test.yaml"


class Loaded(msgspec.Struct, frozen=True):
    """The set, ``None`` where there is an error, and all findings, sorted."""

    set: PolicySet | None
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep the set from loading."""
        return tuple(found for found in self.findings if found.is_error)

    def required(self) -> PolicySet:
        """The set. Raises :class:`PolicyError` with every finding where there is none."""
        if self.set is None:
            raise PolicyError(self.findings)
        return self.set


def load_set(
    files: Mapping[str, bytes],
    *,
    vocabulary: Vocabulary = VOCABULARY,
    operators: Mapping[str, Operator] = OPERATORS,
    edits: Mapping[str, EditKind] = EDITS,
) -> Loaded:
    """``files``: POSIX paths relative to the set's folder, with their contents."""
    # documents are trees without cycles: looking for cycles among their nodes triples the time of a large set
    with collector_paused():
        return _load(files, vocabulary, operators, edits)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without the garbage collector, for work that keeps many values which have no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _load(files: Mapping[str, bytes], vocabulary: Vocabulary, operators: Mapping[str, Operator], edits: Mapping[str, EditKind]) -> Loaded:
    findings: list[Finding] = list(_misnamed(files))
    if not _policy_files(files):
        message = "the set has no policy, so that `combining` decides everything"
        findings.append(Finding(SET_FILE, 1, 1, "no-policy", message, "warning", expected="a file that ends in `.yaml`"))
    tables = Tables(vocabulary, operators, edits)
    set_source = Source(parse(SET_FILE, files[SET_FILE]), tables) if SET_FILE in files else None
    chosen = Settings() if set_source is None else settings(_with_root(set_source))
    tables = Tables(extended(chosen, vocabulary), operators, edits)
    sources = [_with_root(Source(parse(name, files[name]), tables)) for name in _policy_files(files)]
    names = _policy_ids(sources)
    used = _read_lists(sources, files)
    findings += [] if set_source is None else set_source.findings
    policies, said, last = _compiled(sources, names, tables)
    findings += [*said, *_of_tests(files)]
    if not any(found.is_error for found in findings):
        findings += [*(() if set_source is None else against_set_schema(set_source)), *last]
    if any(found.is_error for found in findings) or None in policies:
        return Loaded(None, ordered(findings))
    digest = _digest(files, [*_policy_files(files), *([SET_FILE] if set_source else []), *used])
    return Loaded(_set(cast("list[Policy]", policies), chosen, digest, tables.vocabulary), ordered(findings))


def _compiled(sources: list[Source], names: Iterable[str], tables: Tables) -> tuple[list[Policy | None], list[Finding], list[Finding]]:
    """The policies, the compiler's findings, and those of the schema, which count where there are no errors."""
    policies: list[Policy | None] = []
    findings: list[Finding] = []
    last: list[Finding] = []
    check = against_schema(tables)
    sources.reverse()
    for name in names:
        source = sources.pop()  # its document is done with: to touch and to free it at once is to find it in the processor's cache
        policies.append(compiler.policy(source, name))
        findings += source.findings
        if not source.failed:
            last += check(source)
    return policies, findings, last


def _set(policies: Iterable[Policy], chosen: Settings, digest: str, vocabulary: Vocabulary) -> PolicySet:
    return PolicySet(
        policies=tuple(sorted(policies, key=lambda policy: policy.id)),
        digest=digest,
        vocabulary=vocabulary,
        combining=chosen.combining,  # type: ignore[arg-type]
        time_zone=chosen.time_zone,
        requires=chosen.requires,
    )


def _policy_files(files: Mapping[str, bytes]) -> list[str]:
    return sorted(name for name in files if name.endswith(".yaml") and not name.endswith(TEST_SUFFIX) and name != SET_FILE)


def _misnamed(files: Mapping[str, bytes]) -> Iterable[Finding]:
    for name in files:
        suffix = PurePosixPath(name).suffix
        if suffix.lower() in (".yml", ".yaml") and suffix != ".yaml":
            yield Finding(name, 1, 1, "file-extension", f"the file ends in `{suffix}` and would not be read", expected=f"`{PurePosixPath(name).stem}.yaml`")


def _with_root(source: Source) -> Source:
    """Adds the finding for a file that holds nothing."""
    if source.document.root is None and not source.failed:
        expected = "`hirules-set: 1`" if source.file == SET_FILE else "a policy, `hirules: 1`"
        source.findings.append(Finding(source.file, 1, 1, "empty-file", "the file holds nothing", expected=expected))
    return source


def _policy_ids(sources: Iterable[Source]) -> list[str]:
    """The ids of the policies, each of which must be unique in the set."""
    first: dict[str, str] = {}
    found: list[str] = []
    for source in sources:
        name = compiler.policy_id(source)
        root = source.document.root
        if name is not None and isinstance(root, MappingNode):
            if name in first:
                node = root.entries["policy"][1]
                hint = f"the first one is in `{first[name]}`"
                source.error(node, "duplicate-id", f"the policy `{name}` exists already", expected="an id that is unique in the set", hint=hint)
            first.setdefault(name, source.file)
        # a policy without a usable id is compiled all the same, for its other findings
        found.append(name or "policy")
    return found


def _read_lists(sources: Iterable[Source], files: Mapping[str, bytes]) -> set[str]:
    """Gives every source its lists and the shared ones; answers the names of the files they came from."""
    shared: dict[str, LoadedList] = {}
    own: dict[str, tuple[LoadedList, ...]] = {}
    for source in sources:
        root = source.document.root
        node = root.get("lists") if isinstance(root, MappingNode) else None
        own[source.file] = () if node is None else declared(source, node, files)
        for one in own[source.file]:
            earlier = shared.get(one.named.name) if one.shared else None
            if earlier is not None:
                _list_error(source, one, f"the list `{one.named.name}` is shared by `{earlier.declared_in}` already")
            elif one.shared:
                shared[one.named.name] = one
    for source in sources:
        source.lists = dict(shared)
        for one in own[source.file]:
            hidden = shared.get(one.named.name)
            if not one.shared and hidden is not None:
                _list_error(source, one, f"`${one.named.name}` could be this list, or the one that `{hidden.declared_in}` shares")
            source.lists[one.named.name] = one
    return {one.file for lists in own.values() for one in lists if not one.shown}


def _list_error(source: Source, one: LoadedList, message: str) -> None:
    root = source.document.root
    node = root.get("lists") if isinstance(root, MappingNode) else None
    if isinstance(node, MappingNode):
        source.error(node.entries[one.named.name][0], "duplicate-list", message, expected="another name")


def _digest(files: Mapping[str, bytes], names: Iterable[str]) -> str:
    """Over the sorted names and contents of all that a decision depends on."""
    digest = sha256()
    for name in sorted(set(names)):
        encoded = name.encode("utf-8", "surrogateescape")
        digest.update(b"%d:%b%d:" % (len(encoded), encoded, len(files[name])))
        digest.update(files[name])
    return f"sha256:{digest.hexdigest()}"


def _of_tests(files: Mapping[str, bytes]) -> Iterable[Finding]:
    """Tests are YAML too, in which a null is what was removed or is absent."""
    names = (name for name in files if name.endswith(TEST_SUFFIX))
    return [found for name in names for found in parse(name, files[name]).findings if found.code != "null"]
