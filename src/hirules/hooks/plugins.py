"""The typed facade over pluggy: which plugins there are, and each of them asked apart.

Rules
1. Only plugins that the configuration names are imported; an installed one that it does not name is not.
2. Each plugin is asked apart, so that the failure of one is not the silence of another.
3. A plugin that raises, or answers something else than its hook says, has an unknown verdict, which refuses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from types import MappingProxyType, ModuleType
from typing import TypeVar

import msgspec
import pluggy

from hirules.hooks import spec
from hirules.hooks.failure import told
from hirules.hooks.spec import PROJECT, Facts
from hirules.model.actions import Action
from hirules.model.attributes import Attribute
from hirules.model.identity import Identity, StatedIdentity
from hirules.model.request import Request
from hirules.policy.edits import EditKind
from hirules.policy.operators import Operator
from hirules.policy.verdict import Verdict

_log = logging.getLogger(__name__)
Item = TypeVar("Item")


class PluginError(ValueError):
    """A plugin that cannot be used; the text names it and says why."""


class Plugin(msgspec.Struct, frozen=True):
    """One loaded plugin. ``distribution`` and ``version`` are empty for an object that the program handed over."""

    name: str
    distribution: str = ""
    version: str = ""


class Plugins:
    """The plugins of one gate. Frozen once made; thread safe as far as the plugins are."""

    def __init__(self, allowed: Iterable[str | object] = ()) -> None:
        """``allowed``: names of entry points in the group ``hirules``, or plugin objects. Raises :class:`PluginError`."""
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(spec)
        self.plugins = tuple(sorted((self._load(plugin) for plugin in allowed), key=lambda plugin: plugin.name))
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"plugin `{self._manager.get_name(error.plugin)}` implements a hook that does not exist: {_first_line(error)}") from error
        self._verdict = self._callers("hirules_verdict")
        self._facts = self._callers("hirules_facts")
        self._decided = self._callers("hirules_decided")
        self._verify = self._callers("hirules_verify_identity")

    @property
    def listens(self) -> bool:
        """Whether any plugin wants to hear of decisions."""
        return bool(self._decided)

    @property
    def votes(self) -> bool:
        """Whether any plugin has verdicts."""
        return bool(self._verdict)

    def version_of(self, name: str) -> str | None:
        """The version of a loaded plugin, by its name or its distribution's; ``None`` where it is not loaded."""
        for plugin in self.plugins:
            if name in (plugin.name, plugin.distribution):
                return plugin.version
        return None

    def actions(self) -> tuple[Action, ...]:
        """The actions that plugins add."""
        return self._added("hirules_actions", Action)

    def attributes(self) -> tuple[Attribute, ...]:
        """The attributes that plugins add."""
        return self._added("hirules_attributes", Attribute)

    def operators(self) -> tuple[Operator, ...]:
        """The operators that plugins add."""
        return self._added("hirules_operators", Operator)

    def edits(self) -> tuple[EditKind, ...]:
        """The edits that plugins add."""
        return self._added("hirules_edits", EditKind)

    def verdicts(self, request: Request) -> tuple[Verdict, ...]:
        """What each plugin says about ``request``; one that fails is unknown."""
        verdicts: list[Verdict] = []
        for name, ask in self._verdict:
            source = f"plugin:{name}"
            try:
                answers = ask(request=request)
            except Exception as error:  # noqa: BLE001 - INVARIANT: a plugin that raises is an unknown verdict, never no opinion
                _log.error("plugin `%s` raised in `hirules_verdict` on request %s: %s", name, request.id, told(error))
                verdicts.append(Verdict(effect="unknown", source=source, reason=f"raised {type(error).__name__}"))
                continue
            for answer in answers:
                if isinstance(answer, Verdict):
                    verdicts.append(msgspec.structs.replace(answer, source=source))
                else:
                    verdicts.append(Verdict(effect="unknown", source=source, reason=f"answered a {type(answer).__name__}, not a verdict"))
        return tuple(verdicts)

    def fact_sources(self) -> tuple[tuple[str, Callable[[Request, frozenset[str]], Facts | None]], ...]:
        """Each plugin that gives facts, by its source, with a function that asks it and raises what it raises."""
        return tuple((f"plugin:{name}", _facts_of(ask)) for name, ask in self._facts)

    @property
    def verifies(self) -> bool:
        """Whether any plugin verifies user identities."""
        return bool(self._verify)

    def identity(self, stated: StatedIdentity) -> Identity | None:
        """Who it is, as the plugins say; ``None`` where none of them can tell. Raises what a plugin raises, and ``ValueError`` where they disagree."""
        found: list[Identity] = []
        for name, ask in self._verify:
            for answer in ask(identity=stated):
                if not isinstance(answer, Identity) or not answer.user:
                    raise ValueError(f"plugin `{name}` answered something else than an identity")
                found.append(answer)
        if any(answer != found[0] for answer in found):
            raise ValueError("plugins disagree about an identity")
        return found[0] if found else None

    def decided(self, record: Mapping[str, object]) -> None:
        """Tell every plugin; what one raises is logged."""
        for name, tell in self._decided:
            try:
                tell(record=MappingProxyType(dict(record)))
            except Exception as error:  # noqa: BLE001 - a notification: the decision is recorded and stands
                _log.error("plugin `%s` raised in `hirules_decided` on request %s: %s", name, record.get("id"), told(error))

    def _load(self, plugin: str | object) -> Plugin:
        if isinstance(plugin, str):
            return self._load_installed(plugin)
        name = _name_of(plugin)
        self._register(plugin, name)
        return Plugin(name)

    def _load_installed(self, name: str) -> Plugin:
        found = [point for point in entry_points(group=PROJECT) if point.name == name]
        if not found:
            raise PluginError(f"plugin `{name}` is not installed")
        if len(found) > 1:
            raise PluginError(f"plugin `{name}` is installed twice: {', '.join(sorted(_distribution(point) for point in found))}")
        try:
            module = found[0].load()
        except Exception as error:
            raise PluginError(f"plugin `{name}` cannot be imported: {type(error).__name__}: {_first_line(error)}") from error
        self._register(module, name)
        distribution = _distribution(found[0])
        return Plugin(name, distribution, _version(distribution))

    def _register(self, plugin: object, name: str) -> None:
        try:
            self._manager.register(plugin, name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise PluginError(f"plugin `{name}` cannot be registered: {' '.join(str(error).split())}") from error
        callers = self._manager.get_hookcallers(plugin) or []
        # INVARIANT: what looks like a hook is one; a forgotten mark must not be a plugin that has no opinion
        unmarked = sorted(_named_as_hooks(plugin) - {caller.name for caller in callers})
        if unmarked or not callers:
            what = f"does not mark `{unmarked[0]}`" if unmarked else "implements no hook"
            raise PluginError(f"plugin `{name}` {what}: hooks are marked with `@hirules.hookimpl`")
        for caller in callers:
            for implementation in caller.get_hookimpls():
                if implementation.plugin is plugin and (implementation.wrapper or implementation.hookwrapper):
                    raise PluginError(f"plugin `{name}` wraps `{caller.name}`: a plugin answers for itself only")

    def _callers(self, hook: str) -> tuple[tuple[str, Callable[..., list[object]]], ...]:
        """For each plugin that implements ``hook``: its name, and the hook as that plugin alone answers it."""
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        registered = self._manager.get_plugins()
        callers = []
        for plugin in {id(each.plugin): each.plugin for each in implementations}.values():
            others = [other for other in registered if other is not plugin]
            callers.append((self._manager.get_name(plugin) or "?", self._manager.subset_hook_caller(hook, others)))
        return tuple(sorted(callers, key=lambda caller: caller[0]))

    def _added(self, hook: str, kind: type[Item]) -> tuple[Item, ...]:
        added: list[Item] = []
        for name, ask in self._callers(hook):
            try:
                answers = ask()
            except Exception as error:
                raise PluginError(f"plugin `{name}` raised in `{hook}`: {type(error).__name__}: {_first_line(error)}") from error
            for answer in answers:
                if not isinstance(answer, Sequence) or isinstance(answer, str) or not all(isinstance(item, kind) for item in answer):
                    raise PluginError(f"plugin `{name}` answered something else than a sequence of {kind.__name__} in `{hook}`")
                added.extend(answer)
        return tuple(added)


def installed() -> tuple[Plugin, ...]:
    """The plugins that are installed, by their metadata: nothing is imported."""
    return tuple(
        sorted(
            (Plugin(point.name, _distribution(point), _version(_distribution(point))) for point in entry_points(group=PROJECT)),
            key=lambda plugin: (plugin.name, plugin.distribution),
        )
    )


def _facts_of(ask: Callable[..., list[object]]) -> Callable[[Request, frozenset[str]], Facts | None]:
    def facts(request: Request, needed: frozenset[str]) -> Facts | None:
        answers = ask(request=request, needed=needed)
        if len(answers) > 1 or not all(isinstance(answer, Facts) and isinstance(answer.context, Mapping) for answer in answers):
            raise TypeError("answered something else than facts")
        return answers[0] if answers else None  # type: ignore[return-value]

    return facts


def _name_of(plugin: object) -> str:
    if isinstance(plugin, ModuleType | type):
        return plugin.__name__.rpartition(".")[2]
    return type(plugin).__name__


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "?"


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "?"


def _named_as_hooks(plugin: object) -> frozenset[str]:
    return frozenset(name for name in dir(plugin) if name.startswith(f"{PROJECT}_") and callable(getattr(plugin, name, None)))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
