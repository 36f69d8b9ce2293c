"""What README and the operators' page say is so: the policy works as it stands there, and each command is one that exists."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hirules.settings import endpoint, read_settings
from tests.peers.process import listening, start

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATORS = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
HIRULES = Path(sys.executable).parent / "hirules"


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a page in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A new folder with the README's policy, as a reader would copy it."""
    (tmp_path / "policies").mkdir()
    (policy,) = blocks(README, "yaml")
    (tmp_path / "policies" / "retrieval.yaml").write_text(policy, encoding="utf-8")
    return tmp_path


def hirules(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the command in ``folder``."""
    return subprocess.run([HIRULES, *arguments], cwd=folder, input=given, capture_output=True, text=True, check=False, timeout=60)


def decide(folder: Path, request: dict[str, object]) -> dict[str, object]:
    """The decision of the README's policy."""
    done = hirules(folder, "decide", "--policies", "policies", given=json.dumps(request))
    assert done.returncode in (0, 3), done.stderr
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    assert (answer["decision"] == "allow") == (done.returncode == 0)
    return answer


def test_the_policy_of_the_readme_has_no_finding(folder: Path) -> None:
    done = hirules(folder, "check", "policies", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_of_the_readme_decides(folder: Path) -> None:
    """The pipe as it stands there, run by a shell."""
    command = next(block for block in blocks(README, "sh") if "decide" in block)
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env={"PATH": f"{HIRULES.parent}:/usr/bin:/bin"}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 3, done.stderr
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    assert (answer["decision"], answer["by"], answer["status"]) == ("deny", ["retrieval/known-destinations"], 0xA801)
    assert answer["reason"] == "`NOWHERE` has no release agreement"


@pytest.mark.parametrize(
    ("destination", "decision", "rewritten"),
    [("WARD_2", "allow", {}), ("PACS_OLD", "allow", {"request.MoveDestination": "PACS_DR"}), ("HOME", "deny", {})],
)
def test_the_move_rules_of_the_readme(folder: Path, destination: str, decision: str, rewritten: dict[str, str]) -> None:
    identifier = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3"}
    request = {"MoveDestination": destination, "Identifier": identifier}
    answer = decide(folder, {"action": "c-move", "subject": {"ae_title": "WARD_1"}, "request": request})
    assert (answer["decision"], answer["rewritten"]) == (decision, rewritten)


@pytest.mark.parametrize(("force", "decision"), [(False, "allow"), (True, "deny")])
def test_the_update_rules_of_the_readme(folder: Path, force: bool, decision: str) -> None:
    answer = decide(folder, {"action": "update-image-set-metadata", "subject": {"user": "ada"}, "request": {"imageSetId": "i", "force": force}})
    assert answer["decision"] == decision


def test_the_gateway_starts_with_the_policy_of_the_readme(folder: Path) -> None:
    """The serve command of the README, but for its addresses and the place of its record."""
    command = next(block for block in blocks(README, "sh") if "hirules serve" in block)
    arguments = shlex.split(command)[1:]
    at = {name: arguments.index(name) + 1 for name in ("--dimse", "--upstream", "--audit")}
    arguments[at["--audit"]] = "audit.jsonl"

    def serve(port: int) -> list[str | Path]:
        arguments[at["--dimse"]], arguments[at["--upstream"]] = f"GATE@127.0.0.1:{port}", "ORTHANC@127.0.0.1:1"
        return [HIRULES, *arguments]

    server = start("GATE", folder, serve, listening)
    assert server.stop() == 0, server.text()


def test_the_configuration_of_the_operators_page_is_one(tmp_path: Path) -> None:
    (text,) = blocks(OPERATORS, "yaml")
    (tmp_path / "hirules.yaml").write_text(text, encoding="utf-8")
    settings = read_settings(tmp_path / "hirules.yaml")
    assert settings.dimse is not None
    assert settings.dimse.calling_ae_title == "HIRULES"
    assert settings.policies == str(tmp_path / "policies")


def test_the_deliveries_of_the_operators_page_are_as_it_says(tmp_path: Path) -> None:
    (text,) = blocks(OPERATORS, "yaml configuration")
    (tmp_path / "hirules.yaml").write_text(text, encoding="utf-8")
    dimse = read_settings(tmp_path / "hirules.yaml").dimse
    assert dimse is not None
    deliveries = dimse.options(endpoint(dimse.upstream)).deliveries
    assert {title: (to.ae_title, to.through) for title, to in deliveries.items()} == {"WORKSTATION": ("WS1", True), "OLD_STATION": ("NEW_STATION", False)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]
    assert not missing


def test_every_command_that_a_page_shows_exists() -> None:
    shown = [block for page in PAGES for block in blocks(page.read_text(encoding="utf-8"), "sh")]
    names = {name for block in shown for name in re.findall(r"^(?:  \| )?hirules ([a-z]+)", block, re.MULTILINE)}
    assert {"check", "serve", "decide"} <= names
    for name in names:
        assert hirules(ROOT, name, "--help").returncode == 0, name


def test_every_make_target_that_a_page_shows_exists() -> None:
    targets = {
        target
        for page in PAGES
        for target in re.findall(r"\bmake ([a-z]+)\b", page.read_text(encoding="utf-8"))
        if f"`make {target}`" in README or f"\nmake {target} " in README
    }
    assert {"demo", "test", "lint"} <= targets
    assert targets <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
