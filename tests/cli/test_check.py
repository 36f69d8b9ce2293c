from __future__ import annotations

import json
from pathlib import Path

import pytest

from hirules.cli import main
from tests.cli.conftest import POLICY


def test_a_clean_set(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(policies)]) == 0
    assert capsys.readouterr().out == "no findings\n"


def test_warnings_only(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text("hirules: 1\npolicy: q\nrules:\n  - {id: all, on: c-get, allow: {}}\n", encoding="utf-8")
    assert main(["check", str(policies)]) == 0
    assert f"{policies}/q.yaml:4:5: warning[always]" in capsys.readouterr().out


def test_errors_of_several_sets_in_order(policies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "another"
    other.mkdir()
    (other / "a.yaml").write_text("hirules: 1\npolicy: a\nrules:\n  - {id: r, on: c-fnd, allow: {}}\n", encoding="utf-8")
    (policies / "p.yaml").write_text("hirules: 1\n", encoding="utf-8")
    assert main(["check", str(policies), str(other), "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert found[0]["file"] == str(other / "a.yaml")
    assert {each["file"] for each in found} == {str(other / "a.yaml"), str(policies / "p.yaml")}
    assert found == sorted(found, key=lambda each: (each["file"], each["line"], each["column"]))


def test_one_file_of_a_set(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text("hirules: 1\n", encoding="utf-8")
    assert main(["check", str(policies / "p.yaml")]) == 0
    assert main(["check", str(policies / "q.yaml")]) == 1
    assert "q.yaml" in capsys.readouterr().out


def test_one_file_below_the_folder_of_its_set(policies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "set.yaml").write_text("hirules-set: 1\n", encoding="utf-8")
    (policies / "wards.txt").write_text("A\n", encoding="utf-8")
    shared = "hirules: 1\npolicy: s\nlists: {wards: {file: wards.txt, share: true}}\nrules: [{id: r, on: c-get, deny: {}}]\n"
    (policies / "s.yaml").write_text(shared, encoding="utf-8")
    (policies / "sub").mkdir()
    rule = "hirules: 1\npolicy: b\nrules: [{id: b, on: c-get, when: {subject.ae_title: {in: $wards}}, allow: {}}]\n"
    (policies / "sub" / "b.yaml").write_text(rule, encoding="utf-8")
    assert main(["check", str(policies / "sub" / "b.yaml")]) == 0
    monkeypatch.chdir(policies / "sub")
    assert main(["check", "b.yaml"]) == 0
    (policies / "sub" / "b.yaml").write_text(rule.replace("c-get", "c-gte"), encoding="utf-8")
    capsys.readouterr()
    assert main(["check", "b.yaml"]) == 1
    assert capsys.readouterr().out.startswith("b.yaml:3:21: error[unknown-action]")


def test_a_plugin_that_is_not_installed_for_one_file(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(policies / "p.yaml"), "--plugin", "nothing"]) == 1
    assert "plugin `nothing` is not installed" in capsys.readouterr().out


def test_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "/nowhere"]) == 1
    assert "`/nowhere` is no folder" in capsys.readouterr().out


def test_a_plugin_that_is_not_installed(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(policies), "--plugin", "nothing"]) == 1
    assert "plugin `nothing` is not installed" in capsys.readouterr().out


def test_the_working_folder_is_the_default(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(policies)
    assert main(["check"]) == 0


SHADOWED = """hirules: 1
policy: q
rules:
  - {id: wide, on: c-get, when: {subject.ae_title: [A, B]}, allow: {}}
  - {id: narrow, on: c-get, when: {subject.ae_title: A}, allow: {}}
"""


def test_lints_stand_among_the_others_with_their_example(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text(SHADOWED, encoding="utf-8")
    assert main(["check", str(policies), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert (found["code"], found["line"], found["column"], found["severity"]) == ("shadowed", 5, 5, "warning")
    assert found["example"] == {"action": "c-get", "subject": {"ae_title": "A"}, "request": {}}
    assert main(["check", str(policies)]) == 0
    assert '  example: {"action": "c-get", "subject": {"ae_title": "A"}, "request": {}}' in capsys.readouterr().out
    assert main(["check", str(policies), "--format", "sarif"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    assert (result["ruleId"], result["properties"]) == ("shadowed", {"example": found["example"]})
    assert main(["check", str(policies), "--format", "github"]) == 0
    assert "title=shadowed::`q/narrow` is shadowed by `q/wide`" in capsys.readouterr().out


def test_the_example_of_a_finding_is_decided_as_it_says(policies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text(SHADOWED, encoding="utf-8")
    main(["check", str(policies), "--format", "json"])
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    request = tmp_path / "request.json"
    request.write_text(json.dumps(found["example"]), encoding="utf-8")
    assert main(["decide", "--policies", str(policies), str(request)]) == 0
    assert {"q/narrow", "q/wide"} <= set(json.loads(capsys.readouterr().out)["by"])


def test_a_silenced_finding_is_not_shown(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text(
        SHADOWED.replace("on: c-get, when: {subject.ae_title: A}", "on: c-get, when: {subject.ae_title: A}, lint: {shadowed: why}")
    )
    assert main(["check", str(policies)]) == 0
    assert capsys.readouterr().out == "no findings\n"


def test_the_time_at_which_is_judged(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = "{id: r, on: c-get, when: {subject.ae_title: Z}, deny: {}}"
    exception = "{id: e, of: r, when: {subject.user: a}, reason: t, expires: '2030-01-01T00:00:00Z'}"
    (policies / "q.yaml").write_text(f"hirules: 1\npolicy: q\nrules: [{rule}]\nexceptions: [{exception}]\n", encoding="utf-8")
    for now, said in (("2029-01-01T00:00:00Z", "no findings"), ("2029-12-24T00:00:00+01:00", "[expires-soon]"), ("2030-01-01T00:00:00Z", "[expired]")):
        assert main(["check", str(policies), "--now", now]) == 0
        assert said in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["check", str(policies), "--now", "tomorrow"])
    assert stopped.value.code == 2
    assert "no date and time with offset" in capsys.readouterr().err


def test_a_set_with_errors_is_not_linted(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text(SHADOWED + "  - {id: wrong, on: c-gte, allow: {}}\n", encoding="utf-8")
    assert main(["check", str(policies)]) == 1
    shown = capsys.readouterr().out
    assert "error[unknown-action]" in shown
    assert "shadowed" not in shown


def test_a_folder_of_several_sets_is_each_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("a", POLICY), ("b", POLICY.replace("rules", "rulse"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "set.yaml").write_text("hirules-set: 1\n", encoding="utf-8")
        (tmp_path / name / "p.yaml").write_text(text, encoding="utf-8")
    assert main(["check", "--format", "json", str(tmp_path)]) == 1
    assert {found["file"] for found in json.loads(capsys.readouterr().out)["findings"]} == {str(tmp_path / "b" / "p.yaml")}
