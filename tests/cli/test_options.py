from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from hirules.cli.options import add_plugins, add_request, read_input, settings_of


def _parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_plugins(parser)
    return parser.parse_args(arguments)


def test_plugins_of_the_configuration_and_of_flags(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("plugins: [a, b]\n", encoding="utf-8")
    assert settings_of(_parsed()).plugins == ()
    assert settings_of(_parsed("--config", str(config), "--plugin", "b", "--plugin", "c")).plugins == ("a", "b", "c")


def test_standard_input_is_the_default(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_request(parser)
    assert parser.parse_args(["--policies", "p"]).file == "-"
    (tmp_path / "r.json").write_bytes(b"{}")
    assert read_input(str(tmp_path / "r.json")) == b"{}"
    with pytest.raises(OSError):
        read_input(str(tmp_path / "nothing"))
