"""The systemd unit, the container file, and the operators' table of settings."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from hirules.dimse.users import read_users
from hirules.settings import parse_settings, schema
from tests.test_documentation import ROOT, blocks

UNIT = ROOT / "packaging" / "systemd" / "hirules.service"
CONTAINER = (ROOT / "packaging" / "Containerfile").read_text(encoding="utf-8")
CONTEXT = (ROOT / "packaging" / "Containerfile.dockerignore").read_text(encoding="utf-8").split()
PAGE = ROOT / "docs" / "operating.md"
OPERATING = PAGE.read_text(encoding="utf-8")
BEGIN, END = "<!-- settings -->\n", "<!-- end of settings -->\n"


def unit() -> ConfigParser:
    class Keys(ConfigParser):
        def optionxform(self, optionstr: str) -> str:
            return optionstr

    found = Keys(strict=False, interpolation=None, comment_prefixes=("#",))
    found.read(UNIT, encoding="utf-8")
    return found


def test_the_unit_says_what_the_gateway_does() -> None:
    service = unit()["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert service["ExecStart"].split()[1:3] == ["serve", "--config"]
    assert "-HUP" in service["ExecReload"]
    assert service["Restart"] == "on-failure"
    hardened = ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictNamespaces", "LockPersonality", "DynamicUser")
    assert {service[name] for name in hardened} == {"yes"}
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8").replace("/opt/hirules/bin/hirules", "/bin/true")  # it must exist
    (tmp_path / UNIT.name).write_text(text, encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / UNIT.name], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert UNIT.name not in done.stderr, done.stderr


def test_the_container_file_is_sound() -> None:
    """It is not built here (tests/test_container.py does): only its form, and that it copies what is there and does not run as root."""
    joined = re.sub(r"\\\n", "", CONTAINER)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    known = {"FROM", "COPY", "RUN", "USER", "ENV", "EXPOSE", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {line.split()[0] for line in lines} <= known
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    for line in lines:
        if line.startswith("COPY") and "--from" not in line:
            assert all((ROOT / name).exists() for name in line.split()[1:-1]), line
            assert all(f"!{name}" in CONTEXT for name in line.split()[1:-1]), line
    assert all(":" in line.split()[1] for line in lines if line.startswith("FROM"))


def settings(found: dict[str, Any], definitions: dict[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """Every key of the configuration by its path, with its schema; a section is its keys."""
    keys: dict[str, dict[str, Any]] = {}
    for name, each in found["properties"].items():
        path, named = f"{prefix}{name}", each.get("additionalProperties")
        inner = [(f"{path}.", each), *((f"{path}.", any_) for any_ in each.get("anyOf", [])), (f"{path}.<name>.", named if isinstance(named, dict) else {})]
        below = [settings(definitions[of["$ref"].rpartition("/")[2]], definitions, at) for at, of in inner if "$ref" in of]
        keys |= below[0] if below else {path: each}
    return keys


def table() -> str:
    """The table of all settings, as it stands in the page."""
    published = schema()
    lines = ["| setting | default | |", "|---|---|---|"]
    for path, each in settings(published, published["$defs"]).items():
        default = each.get("default")
        shown = "" if default is None else "none" if default in ([], {}) else f"`{json.dumps(default).strip(chr(34))}`"
        lines.append(f"| `{path}` | {shown} | {each.get('description', '')} |")
    return "\n".join(lines) + "\n"


def test_the_table_has_every_setting_its_default_and_what_it_does() -> None:
    assert BEGIN + table() + END in OPERATING, "run `.venv/bin/python -m tests.test_deployment`"


def test_the_configurations_of_the_page_are_ones() -> None:
    found = blocks(OPERATING, "yaml")
    assert len(found) >= 4
    for text in found:
        parse_settings("docs/operating.md", text.encode())


def test_the_hash_of_a_passcode_is_made_as_the_page_says() -> None:
    command = next(block for block in blocks(OPERATING, "sh") if "argon2" in block).strip()
    program = re.search(r'python -c "(.*)"', command)
    assert program is not None
    code = program[1].replace("getpass.getpass()", "'secret'")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    (user,) = read_users(f"ada:{done.stdout.strip()}:research").values()
    assert user.roles == ("research",)


def test_the_metrics_of_the_page_are_those_of_the_code() -> None:
    source = (ROOT / "src/hirules/assemble/metrics.py").read_text(encoding="utf-8")
    named = set(re.findall(r'"(hirules_[a-z_]+)"', source))
    shown = set(re.findall(r"^\| `(hirules_[a-z_]+?)(?:_total)?(?:\{[^}]*\})?`", OPERATING, re.MULTILINE))
    assert shown == named


if __name__ == "__main__":
    before, _, rest = OPERATING.partition(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")
