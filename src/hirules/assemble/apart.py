"""Reading and checking a policy set in a process of its own.

    parent                                      child (a new interpreter, never a fork of a threaded process)
    Job on standard input ────────────────────▶ plugins, language, folder, load_set, what cannot be enforced
    Outcome, then the set in pieces ◀────────── a pipe of its own; what plugins print goes to standard error

Whatever happens to the child (it fails, hangs, runs out of memory, is killed), the parent hears of it as :class:`NotChecked`.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import msgspec

from hirules.assemble import handover
from hirules.assemble.enforceable import not_enforceable
from hirules.assemble.language import Language, read_language
from hirules.assemble.sets import read_set
from hirules.hooks.failure import told
from hirules.policy import ast
from hirules.policy.ast import PolicySet
from hirules.policy.findings import Finding, PolicyError
from hirules.settings import Settings


class Job(msgspec.Struct, frozen=True):
    """What the child does. ``plugins`` are names of installed ones, and pickles of objects; ``digest`` is that of the set which decides,
    ``fingerprint`` that of the parent's language."""

    folder: str
    plugins: tuple[str | bytes, ...]
    digest: str
    fingerprint: str
    enforced: bool = False
    """The set is for a DIMSE gateway, which must be able to enforce it."""


class Outcome(msgspec.Struct, frozen=True):
    """What the child found; the set follows where ``usable`` and ``digest`` is not the one of the job."""

    findings: tuple[Finding, ...] = ()
    usable: bool = False
    digest: str = ""
    failure: str = ""


class NotChecked(Exception):
    """The set could not be checked; it says nothing about the set."""


def job(folder: Path, settings: Settings, plugins: Iterable[str | object], language: Language, *, enforced: bool) -> Job:
    """The job for these settings. Raises ``ValueError`` for a plugin object that no other process can have."""
    return Job(str(folder.absolute()), (*settings.plugins, *map(_portable, plugins)), "", fingerprint(language), enforced)


def fingerprint(language: Language) -> str:
    """What both sides must have in common: the code's structures, and what plugins add. Another one: something was installed since the start."""
    structs = [(name, getattr(ast, name).__struct_fields__) for name in sorted(ast.__all__) if hasattr(getattr(ast, name), "__struct_fields__")]
    plugins = [(plugin.name, plugin.version) for plugin in language.plugins.plugins]
    said = (structs, plugins, sorted(language.operators), sorted(language.edits), language.vocabulary)
    return sha256(msgspec.json.encode(said, order="deterministic", enc_hook=repr)).hexdigest()


@contextmanager
def checked(
    job: Job, language: Language, seconds: float, between: Callable[[], None], started: Callable[[subprocess.Popen[bytes]], None]
) -> Iterator[tuple[Outcome, Callable[[], PolicySet]]]:
    """Runs a child, which ``started`` is told of: what it found, and a function that takes the set over.

    Raises :class:`NotChecked`; leaves no process behind.
    """
    reader, writer = os.pipe()
    try:
        # `-P`: no module of the current folder is taken for one of ours; the search path is the parent's
        command = [sys.executable, "-P", "-c", "from hirules.assemble.apart import main; main()", str(writer)]
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)  # noqa: PTH100 - as text, for the environment
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=(writer,), start_new_session=True, env={**os.environ, "PYTHONPATH": path}
        )
    except OSError as error:
        os.close(reader)
        raise NotChecked(f"no process could be started: {(error.strerror or '?').lower()}") from error
    finally:
        os.close(writer)
    late = threading.Event()

    def end() -> None:
        late.set()
        child.kill()

    clock = threading.Timer(seconds, end)
    clock.daemon = True
    clock.start()
    try:
        with os.fdopen(reader, "rb") as stream:
            started(child)
            assert child.stdin is not None
            with suppress(BrokenPipeError), child.stdin:
                child.stdin.write(pickle.dumps(job))
            outcome: Outcome = handover.read(stream)
            if outcome.failure:
                raise NotChecked(outcome.failure)
            yield outcome, lambda: handover.take(stream, language.vocabulary, between)
    except handover.Broken as error:
        raise NotChecked(_ended(child, f"took more than {seconds:g} s" if late.is_set() else "")) from error
    finally:
        clock.cancel()
        child.kill()
        child.wait()


def _ended(child: subprocess.Popen[bytes], late: str) -> str:
    if late:
        return f"the process that checks {late}"
    try:
        code = child.wait(5)
    except subprocess.TimeoutExpired:
        return "the process that checks fell silent"
    if code < 0:
        return f"the process that checks was ended by {signal.Signals(-code).name}"
    return f"the process that checks ended with exit code {code}"


def _portable(plugin: str | object) -> str | bytes:
    """A plugin as another process can have it."""
    if isinstance(plugin, str):
        return plugin
    try:
        # a module is found by its name, an object by its class
        data = pickle.dumps(_ByName(plugin.__name__) if isinstance(plugin, ModuleType) else plugin)
    except Exception as error:
        raise ValueError(
            f"the plugin `{type(plugin).__name__}` cannot be handed to the process that checks changed policies: install it, and name it"
        ) from error
    if b"__main__" in data:
        raise ValueError(f"the plugin `{type(plugin).__name__}` is of `__main__`, which another process does not have: put it into a module")
    return data


class _ByName(msgspec.Struct, frozen=True):
    """A module, as its name."""

    name: str


def _plugin(given: str | bytes) -> str | object:
    if isinstance(given, str):
        return given
    plugin = pickle.loads(given)
    return __import__(plugin.name, fromlist=["*"]) if isinstance(plugin, _ByName) else plugin


# The child.


def main() -> None:
    """Do the job on standard input, and write to the file descriptor that the first argument names."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    gc.disable()  # it ends soon
    _step_back()
    with suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as stream:  # nobody waits any more
        language, policies, outcome = _done(pickle.loads(sys.stdin.buffer.read()))
        handover.write(stream, outcome)
        if language is not None and policies is not None:
            handover.give(stream, policies, language.vocabulary)
        stream.flush()
        os._exit(0)  # the parent has it all: freeing it, and what plugins do at exit, takes time for nothing


def _done(job: Job) -> tuple[Language | None, PolicySet | None, Outcome]:
    try:
        language = read_language(Settings(), [_plugin(each) for each in job.plugins])
        if fingerprint(language) != job.fingerprint:
            return None, None, Outcome(failure="hirules or a plugin has been installed anew since the start; a restart takes it up")
        policies, findings = read_set(Path(job.folder), language)
        if policies is not None and job.enforced:
            findings = (*findings, *not_enforceable(policies))
        if policies is None or any(found.is_error for found in findings):
            return None, None, Outcome(findings)
        outcome = Outcome(findings, True, policies.digest)
        return language, None if policies.digest == job.digest else policies, outcome
    except PolicyError as error:
        return None, None, Outcome(error.findings)
    except Exception as error:  # noqa: BLE001 - whatever a plugin or the loader raises: the parent tells it, without the text, which may quote a list
        return None, None, Outcome(failure=f"the process that checks raised {told(error)}")


def _step_back() -> None:
    """The gateway goes first: for the processor, and where memory ends."""
    os.nice(10)
    with suppress(OSError):  # not Linux, or not allowed: it is a courtesy
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
