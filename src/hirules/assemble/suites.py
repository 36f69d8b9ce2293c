"""From a folder to a policy set and its tests: which folder, which files of tests, and everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import msgspec

from hirules.assemble.folder import read_folder
from hirules.assemble.language import Language, read_language, requirements
from hirules.facts.consistent import ambiguous
from hirules.facts.names import Names
from hirules.model.vocabulary import Vocabulary
from hirules.policy import load_set
from hirules.policy.ast import PolicySet
from hirules.policy.findings import Finding, PolicyError, ordered
from hirules.policy.load import TEST_SUFFIX
from hirules.policy.suite import Suite
from hirules.policy.suite_parts import FileKind, Files, ReadFile
from hirules.policy.suite_read import Reader
from hirules.policy.suite_run import Runner
from hirules.settings import Settings


class Tested(msgspec.Struct, frozen=True):
    """A policy set with its tests; ``policies`` is ``None`` where it cannot be used. Files are relative to ``folder``."""

    folder: Path
    policies: PolicySet | None
    suites: tuple[Suite, ...]
    findings: tuple[Finding, ...]
    language: Language | None = None

    def runner(self, *, coverage: bool) -> Runner:
        """What runs the tests of a set that can be used."""
        assert self.policies is not None  # INVARIANT: who asks has looked
        assert self.language is not None
        plugins = self.language.plugins
        return Runner(
            self.policies, operators=self.language.operators, edits=self.language.edits, verdicts=plugins.verdicts, coverage=coverage
        )  # fmt: skip


def read_tests(folder: Path, *, only: Collection[str] | None = None, settings: Settings | None = None, plugins: Iterable[str | object] = ()) -> Tested:
    """The set in ``folder`` and its tests; ``only`` are the files of tests that are wanted, by their paths in it."""
    try:
        language = read_language(settings if settings is not None else Settings(), plugins)
    except PolicyError as error:
        return Tested(folder, None, (), error.findings)
    files, findings = read_folder(folder)
    if files is None:
        return Tested(folder, None, (), findings)
    tests = {name: data for name, data in files.items() if name.endswith(TEST_SUFFIX)}
    others = {name: data for name, data in files.items() if name not in tests}
    loaded = load_set(others, vocabulary=language.vocabulary, operators=language.operators, edits=language.edits)
    required = requirements(loaded.set.requires, language.plugins) if loaded.set is not None else ()
    findings = (*findings, *loaded.findings, *required)
    if loaded.set is None or any(found.is_error for found in findings):
        return Tested(folder, None, (), ordered(findings))
    wanted = {name: data for name, data in tests.items() if only is None or name in only}
    suites, said = _read(loaded.set, wanted, others, language)
    if not wanted:
        said.append(Finding(".", 1, 1, "no-test", "the set has no test" if not tests else "there is no test", expected=f"a file that ends in `{TEST_SUFFIX}`"))
    # what is to be said about the policies themselves is `check`'s: here only what keeps tests from running
    return Tested(folder, loaded.set, suites, ordered(said), language)


def _read(policies: PolicySet, tests: dict[str, bytes], others: dict[str, bytes], language: Language) -> tuple[tuple[Suite, ...], list[Finding]]:
    names = Names(policies.vocabulary)
    read = Reader(
        policies,
        Files(others, _reader(policies.vocabulary)),
        lambda request: names.strange(request, whole=True),
        ambiguous,
        operators=language.operators,
        plugins=[f"plugin:{plugin.name}" for plugin in language.plugins.plugins],
    )
    suites: list[Suite] = []
    findings: list[Finding] = []
    for name in sorted(tests):
        suite, said = read.read(name, tests[name])
        findings += said
        if suite is not None:
            suites.append(suite)
    return tuple(suites), findings


def _reader(vocabulary: Vocabulary) -> ReadFile:
    """What reads captured requests. Its libraries, those of both services, are loaded by the first file: most tests have none."""

    def read(kind: FileKind, data: bytes, record: str) -> Mapping[str, object]:
        from hirules.assemble.captured import reader

        return reader(vocabulary)(kind, data, record)

    return read
