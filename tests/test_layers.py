"""The shape of the project: imports go downwards, the core does no I/O, and every module has its test."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "hirules"
PURE = sorted(path for layer in ("model", "policy") for path in (SOURCE / layer).rglob("*.py"))
TESTED_WITH = {
    "assemble/sets.py": "assemble/test_gates.py",
    "cli/sentences.py": "cli/test_explain.py",
    "dimse/access.py": "dimse/test_tls.py",
    "dimse/disclosing.py": "dimse/test_leaving.py",
    "dimse/guarded.py": "dimse/test_handlers.py",
    "dimse/inspection.py": "dimse/test_leaving.py",
    "dimse/judging.py": "dimse/test_leaving.py",
    "dimse/outbox.py": "dimse/test_exchange.py",
    "dimse/tokens.py": "dimse/test_identity.py",
    "dimse/users.py": "dimse/test_identity.py",
    "model/actions.py": "model/test_vocabulary.py",
    "model/attributes.py": "model/test_vocabulary.py",
    "model/decision.py": "policy/test_evaluate.py",
    "model/identity.py": "dimse/test_identity.py",
    "model/reading.py": "policy/test_read.py",
    "policy/ast.py": "policy/test_compile_rules.py",
    "policy/derive.py": "policy/test_read.py",
    "policy/entities.py": "policy/test_evaluate.py",
    "policy/find.py": "policy/test_read.py",
    "policy/layout/comments.py": "policy/layout/test_formatted.py",
    "policy/layout/order.py": "policy/layout/test_formatted.py",
    "policy/layout/tree.py": "policy/layout/test_formatted.py",
    "policy/layout/write.py": "policy/layout/test_formatted.py",
    "policy/lint/characters.py": "policy/lint/test_golden.py",
    "policy/lint/examples.py": "policy/lint/test_golden.py",
    "policy/lint/identifier.py": "policy/lint/test_golden.py",
    "policy/lint/matching.py": "policy/lint/test_golden.py",
    "policy/lint/meeting.py": "policy/lint/test_laws.py",
    "policy/lint/names.py": "policy/lint/test_golden.py",
    "policy/lint/narrowing.py": "policy/lint/test_golden.py",
    "policy/lint/nearby.py": "policy/lint/test_laws.py",
    "policy/lint/overlap.py": "policy/lint/test_golden.py",
    "policy/lint/pool.py": "policy/lint/test_witness.py",
    "policy/lint/proofs.py": "policy/lint/test_laws.py",
    "policy/lint/rewrites.py": "policy/lint/test_golden.py",
    "policy/lint/served.py": "policy/lint/test_golden.py",
    "policy/lint/shapes.py": "policy/lint/test_values.py",
    "policy/lint/subject.py": "policy/lint/test_golden.py",
    "policy/lint/times.py": "policy/lint/test_golden.py",
    "policy/lint/traps.py": "policy/lint/test_golden.py",
    "policy/members.py": "policy/test_conditions.py",
    "policy/moments.py": "policy/test_conditions.py",
    "policy/patterns.py": "policy/test_conditions.py",
    "policy/places.py": "policy/test_rewriting.py",
    "policy/proposals.py": "policy/test_rewriting.py",
    "policy/reasons.py": "policy/test_evaluate.py",
    "policy/shadow.py": "policy/test_evaluate.py",
    "policy/spelling.py": "policy/test_compile_literals.py",
    "policy/suite.py": "policy/test_suite_read.py",
    "policy/suite_reasons.py": "policy/test_suite_run.py",
    "policy/trace.py": "policy/test_evaluate.py",
    "policy/truth.py": "policy/test_conditions.py",
    "policy/verdict.py": "policy/test_evaluate.py",
    "policy/verdict_edits.py": "policy/test_rewriting.py",
}
"""Declarations, and stages that are too small to be tested by themselves: the test of the stage that they are a part of."""
IMPURE_CALLS = frozenset({"open", "input", "print", "eval", "exec", "__import__"})
IMPURE_METHODS = frozenset({"now", "utcnow", "today", "read_text", "read_bytes", "write_text", "write_bytes", "open", "getenv"})


def test_the_import_contracts_hold() -> None:
    done = subprocess.run([Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kept, 0 broken" in done.stdout


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_core_reads_no_file_and_no_clock(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    impure = [f"{path.name}:{call.lineno}" for call in calls if _name(call.func) in IMPURE_CALLS or _method(call.func) in IMPURE_METHODS]
    assert not impure


def test_every_module_has_its_test() -> None:
    modules = {path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if not path.stem.startswith("__")}
    mirrors = {module: ROOT / "tests" / TESTED_WITH.get(str(module), str(module.with_name(f"test_{module.stem}.py"))) for module in modules}
    missing = sorted(str(module) for module, mirror in mirrors.items() if not mirror.is_file())
    assert not missing, f"no test mirrors {missing}"
    assert {Path(module) for module in TESTED_WITH} <= modules, "a module of the list is gone"


@pytest.mark.parametrize("package", [path.parent for path in sorted(SOURCE.glob("**/__init__.py")) if path.parent != SOURCE], ids=lambda path: path.name)
def test_the_map_of_a_package_names_its_modules(package: Path) -> None:
    page = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    modules = {path.stem for path in package.glob("*.py") if not path.stem.startswith("__")}
    assert sorted(modules - set(re.findall(r"\w+", page))) == []


def _name(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _method(node: ast.expr) -> str | None:
    return node.attr if isinstance(node, ast.Attribute) else None
