"""The shape of the project: imports go downwards, the core does no I/O, and every module has its test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from importlinter.application.use_cases import create_report, read_user_options
from importlinter.configuration import configure

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "hirules"
PURE = sorted(path for layer in ("model", "policy") for path in (SOURCE / layer).rglob("*.py"))
IMPURE_CALLS = frozenset({"open", "input", "print", "eval", "exec", "__import__"})
IMPURE_METHODS = frozenset({"now", "utcnow", "today", "read_text", "read_bytes", "write_text", "write_bytes", "open", "getenv"})


def test_the_import_contracts_hold() -> None:
    configure()
    report = create_report(read_user_options(config_filename=str(ROOT / "pyproject.toml")))
    broken = [contract.name for contract, check in report.get_contracts_and_checks() if not check.kept]
    assert not broken, "run `make lint` for the imports that break them"
    assert not report.could_not_run
    assert report.module_count > 20


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_core_reads_no_file_and_no_clock(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    impure = [f"{path.name}:{call.lineno}" for call in calls if _name(call.func) in IMPURE_CALLS or _method(call.func) in IMPURE_METHODS]
    assert not impure


def test_every_module_has_its_test() -> None:
    modules = [path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if not path.stem.startswith("__")]
    missing = sorted(str(module) for module in modules if not (ROOT / "tests" / module.parent / f"test_{module.stem.lstrip('_')}.py").is_file())
    assert not missing, f"no test mirrors {missing}"


def _name(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _method(node: ast.expr) -> str | None:
    return node.attr if isinstance(node, ast.Attribute) else None
