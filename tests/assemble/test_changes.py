from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hirules.assemble.changes import state


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policies"
    (made / "data").mkdir(parents=True)
    (made / "p.yaml").write_text("one", encoding="utf-8")
    (made / "data" / "list.csv").write_text("a\n", encoding="utf-8")
    return made


def _edit_without_a_trace(folder: Path) -> None:
    """As many bytes, and the old time of modification."""
    file = folder / "p.yaml"
    before = file.stat()
    file.write_text("two", encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _rename_over(folder: Path) -> None:
    (folder / ".p.yaml.swp").write_text("one", encoding="utf-8")
    (folder / ".p.yaml.swp").replace(folder / "p.yaml")


def _replace_folder(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("other"))
    folder.rename(folder.with_name("old"))
    folder.with_name("other").rename(folder)


@pytest.mark.parametrize(
    "change",
    [
        _edit_without_a_trace,
        _rename_over,
        _replace_folder,
        lambda folder: (folder / "data" / "list.csv").write_text("a\nb\n", encoding="utf-8"),
        lambda folder: (folder / "data" / "list.csv").unlink(),
        lambda folder: (folder / "data").rename(folder / "lists"),
        lambda folder: (folder / "q.yaml").write_text("", encoding="utf-8"),
        lambda folder: (folder / "p.yaml").chmod(0o600),
        lambda folder: (folder / "lost.yaml").symlink_to("nowhere"),
        shutil.rmtree,
    ],
    ids=["same-size-and-time", "rename-over", "replaced-folder", "list", "removed", "renamed-folder", "new", "mode", "dangling", "removed-folder"],
)
def test_every_change_is_seen(folder: Path, change: Callable[[Path], object]) -> None:
    before = state(folder)
    assert state(folder) == before
    change(folder)
    assert state(folder) != before


def test_hidden_files_and_reading_are_no_change(folder: Path) -> None:
    before = state(folder)
    (folder / ".p.yaml.swp").write_text("x", encoding="utf-8")
    (folder / "p.yaml").read_bytes()
    assert state(folder) == before


def test_a_mounted_config_map_is_seen(tmp_path: Path) -> None:
    """Kubernetes: ``p.yaml`` -> ``..data/p.yaml``, and ``..data`` is replaced by rename."""
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "p.yaml").write_text("same", encoding="utf-8")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "p.yaml").symlink_to("..data/p.yaml")
    before = state(tmp_path)
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert state(tmp_path) != before


def test_a_folder_behind_a_link_is_seen(tmp_path: Path, folder: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(folder)
    before = state(link)
    assert before == state(folder)
    shutil.copytree(folder, tmp_path / "next")
    link.unlink()
    link.symlink_to(tmp_path / "next")
    assert state(link) != before


def test_links_in_a_circle_end(folder: Path) -> None:
    (folder / "again").symlink_to(folder)
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    assert state(folder) == state(folder)
