from __future__ import annotations

import logging
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hirules import Facts, Request, Verdict, hookimpl
from hirules.hooks.plugins import PluginError, Plugins, installed
from hirules.model.attributes import Attribute
from hirules.model.scalars import Type

MOVE = Request("c-move", id="r1")


class Denies:
    @hookimpl
    def hirules_verdict(self, request: Request) -> Verdict:
        return Verdict(effect="deny", reason="no", source="somebody/else")


class Raises:
    @hookimpl
    def hirules_verdict(self, request: Request) -> Verdict:
        raise ValueError("PATIENT-1")


class Wrong:
    @hookimpl
    def hirules_verdict(self, request: Request) -> object:
        return True


class Silent:
    @hookimpl
    def hirules_verdict(self, request: Request) -> None:
        return None


def test_each_plugin_speaks_for_itself_under_its_own_name() -> None:
    assert Plugins([Denies(), Silent()]).verdicts(MOVE) == (Verdict(effect="deny", reason="no", source="plugin:Denies"),)


def test_one_that_raises_is_unknown_and_does_not_silence_another(caplog: pytest.LogCaptureFixture) -> None:
    verdicts = Plugins([Raises(), Denies()]).verdicts(MOVE)
    assert verdicts == (
        Verdict(effect="deny", reason="no", source="plugin:Denies"),
        Verdict(effect="unknown", reason="raised ValueError", source="plugin:Raises"),
    )
    assert "plugin `Raises` raised in `hirules_verdict`" in caplog.text
    assert "PATIENT-1" not in caplog.text


def test_the_wrong_type_is_unknown() -> None:
    assert [verdict.effect for verdict in Plugins([Wrong()]).verdicts(MOVE)] == ["unknown"]


def test_the_order_of_plugins_does_not_matter() -> None:
    assert Plugins([Raises(), Denies()]).verdicts(MOVE) == Plugins([Denies(), Raises()]).verdicts(MOVE)


def test_a_hook_that_does_not_exist_is_an_error() -> None:
    class Misspelled:
        @hookimpl
        def hirules_verdicts(self, request: Request) -> None:
            return None

    with pytest.raises(PluginError, match="`Misspelled` implements a hook that does not exist"):
        Plugins([Misspelled()])


def test_an_argument_that_does_not_exist_is_an_error() -> None:
    class Misspelled:
        @hookimpl
        def hirules_verdict(self, requests: Request) -> None:
            return None

    with pytest.raises(PluginError, match=r"cannot be registered: .*`?requests"):
        Plugins([Misspelled()])


def test_a_hook_without_its_mark_is_an_error() -> None:
    class Unmarked:
        def hirules_verdict(self, request: Request) -> Verdict:
            return Verdict(effect="deny")

    class HalfMarked(Unmarked):
        @hookimpl
        def hirules_decided(self, record: Mapping[str, object]) -> None:
            return None

    for plugin in (Unmarked(), HalfMarked()):
        with pytest.raises(PluginError, match="does not mark `hirules_verdict`"):
            Plugins([plugin])
    with pytest.raises(PluginError, match="implements no hook"):
        Plugins([object()])


def test_a_wrapper_would_speak_for_others() -> None:
    class Wrapper:
        @hookimpl(wrapper=True)
        def hirules_verdict(self, request: Request) -> Iterator[None]:
            yield

    with pytest.raises(PluginError, match="wraps `hirules_verdict`"):
        Plugins([Wrapper()])


def test_the_same_plugin_twice_is_an_error() -> None:
    with pytest.raises(PluginError, match="cannot be registered"):
        Plugins([Denies(), Denies()])


def test_attributes_are_collected_and_checked() -> None:
    attribute = Attribute("context.closed", Type.BOOLEAN, frozenset({"c-move"}), "whether it is closed")

    class Adds:
        @hookimpl
        def hirules_attributes(self) -> list[Attribute]:
            return [attribute]

    class AddsText:
        @hookimpl
        def hirules_attributes(self) -> list[str]:
            return ["context.closed"]

    class Fails:
        @hookimpl
        def hirules_attributes(self) -> list[Attribute]:
            raise OSError("no calendar")

    assert Plugins([Adds()]).attributes() == (attribute,)
    with pytest.raises(PluginError, match="a sequence of Attribute"):
        Plugins([AddsText()]).attributes()
    with pytest.raises(PluginError, match="raised in `hirules_attributes`: OSError: no calendar"):
        Plugins([Fails()]).attributes()
    denies = Plugins([Denies()])
    assert denies.actions() == ()
    assert denies.operators() == ()
    assert denies.edits() == ()


def test_facts_come_with_their_source() -> None:
    class Knows:
        @hookimpl
        def hirules_facts(self, request: Request, needed: frozenset[str]) -> Facts:
            return Facts(context={"closed": True})

    class Odd:
        @hookimpl
        def hirules_facts(self, request: Request, needed: frozenset[str]) -> object:
            return {"closed": True}

    (knows, ask), (odd, ask_odd) = Plugins([Knows(), Odd()]).fact_sources()
    assert (knows, odd) == ("plugin:Knows", "plugin:Odd")
    assert ask(MOVE, frozenset()) == Facts(context={"closed": True})
    with pytest.raises(TypeError):
        ask_odd(MOVE, frozenset())


def test_a_notification_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[object] = []

    class Listens:
        @hookimpl
        def hirules_decided(self, record: Mapping[str, object]) -> None:
            heard.append(record["id"])
            with pytest.raises(TypeError):
                record["id"] = "other"  # type: ignore[index]

    class Breaks:
        @hookimpl
        def hirules_decided(self, record: Mapping[str, object]) -> None:
            raise RuntimeError("PATIENT-1")

    plugins = Plugins([Breaks(), Listens()])
    assert plugins.listens
    with caplog.at_level(logging.ERROR):
        plugins.decided({"id": "r1"})
    assert heard == ["r1"]
    assert "plugin `Breaks` raised in `hirules_decided` on request r1" in caplog.text
    assert "PATIENT-1" not in caplog.text


# Installed plugins: a distribution as pip leaves it, with an entry point.


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def _install(site: Path, distribution: str, module: str, source: str, name: str = "sample") -> None:
    (site / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[hirules]\n{name} = {module}\n", encoding="utf-8")


SAMPLE = """
    from hirules import Verdict, hookimpl

    @hookimpl
    def hirules_verdict(request):
        return Verdict(effect="audit", note="seen")
"""


def test_a_named_plugin_is_loaded(site: Path) -> None:
    _install(site, "hirules-sample", "hirules_sample_a", SAMPLE)
    plugins = Plugins(["sample"])
    assert [(plugin.name, plugin.distribution, plugin.version) for plugin in plugins.plugins] == [("sample", "hirules-sample", "1.2")]
    assert plugins.version_of("sample") == plugins.version_of("hirules-sample") == "1.2"
    assert plugins.version_of("other") is None
    assert plugins.verdicts(MOVE) == (Verdict(effect="audit", note="seen", source="plugin:sample"),)


def test_an_installed_plugin_that_is_not_named_is_not_imported(site: Path) -> None:
    _install(site, "hirules-sample", "hirules_sample_b", "raise RuntimeError('imported')")
    assert Plugins([]).plugins == ()
    assert "sample" in {plugin.name for plugin in installed()}
    assert "hirules_sample_b" not in sys.modules


def test_one_that_is_not_there_or_cannot_be_imported_is_an_error(site: Path) -> None:
    with pytest.raises(PluginError, match="plugin `nothing` is not installed"):
        Plugins(["nothing"])
    _install(site, "hirules-sample", "hirules_sample_c", "import a_module_that_is_not_there")
    with pytest.raises(PluginError, match="plugin `sample` cannot be imported: ModuleNotFoundError"):
        Plugins(["sample"])


def test_a_name_that_two_distributions_have_is_an_error(site: Path) -> None:
    _install(site, "hirules-sample", "hirules_sample_d", SAMPLE)
    _install(site, "hirules-other", "hirules_sample_e", SAMPLE)
    with pytest.raises(PluginError, match="installed twice: hirules-other, hirules-sample"):
        Plugins(["sample"])
