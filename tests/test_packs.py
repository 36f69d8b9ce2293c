"""The rule packs: each is a set without a finding, tested throughout, and its page says what is in it. The pages' policies load and their commands run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

import hirules
from hirules.assemble.enforceable import not_enforceable
from hirules.cli import main
from hirules.healthimaging.standin import StandIn
from hirules.policy import load_set
from hirules.policy.ast import Deny, PolicySet, Quote
from hirules.policy.lint import lint
from tests.healthimaging.conftest import make_client
from tests.peers.clients import Client, matches
from tests.peers.objects import OTHER_PATIENT, PATIENT, study_of
from tests.peers.process import HOST, Server, listening, start
from tests.test_documentation import HIRULES, ROOT, blocks

RULES = ROOT / "rules"
PACKS = sorted(path.parent.name for path in RULES.glob("*/set.yaml"))
PAGE = ROOT / "docs" / "packs.md"
PAGES = [RULES / "README.md", PAGE, *(RULES / pack / "README.md" for pack in PACKS)]
NOW = "2026-11-21T00:00:00Z"
"""The packs' exceptions expire, and are then to be renewed: that is no fault of the pack."""
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
SECTIONS = ["What it enforces", "What to adapt", "What it does not do", "With other packs"]

pack = pytest.mark.parametrize("pack", PACKS)
page = pytest.mark.parametrize("page", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])


def files_of(folder: Path, below: str = "") -> dict[str, bytes]:
    """The files of a set, as it is loaded."""
    return {below + path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def loaded(files: dict[str, bytes]) -> PolicySet:
    """The set of these files. Fails where there is any finding, lint included."""
    found = load_set(files)
    assert found.set is not None, "\n".join(map(str, found.findings))
    assert [str(one) for one in lint(found.set, files, datetime.fromisoformat(NOW), found=found.findings)] == []
    return found.set


def shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Runs a block of a page as it stands there, up to the first command that fails."""
    path = f"{HIRULES.parent}:/usr/bin:/bin"
    return subprocess.run(["sh", "-ec", command], cwd=folder, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=120)


def test_every_folder_is_a_pack() -> None:
    assert {path.name for path in RULES.iterdir() if path.is_dir()} == set(PACKS)
    assert len(PACKS) == 8


@pack
def test_check_finds_nothing(pack: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(RULES / pack), "--format", "json", "--now", NOW]) == 0
    assert json.loads(capsys.readouterr().out) == {"findings": [], "errors": 0, "warnings": 0}


@pack
def test_its_tests_pass_and_cover_it(pack: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(RULES / pack), "--coverage", "--fail-under", "100", "--format", "json"]) == 0, capsys.readouterr().out


@pack
def test_it_is_laid_out(pack: str) -> None:
    assert main(["fmt", "--check", str(RULES / pack)]) == 0


@pack
def test_every_rule_is_told_to_a_reader(pack: str) -> None:
    """Each rule has a title and references, its own or its policy's; each refusal a reason that the client sees whole, without a value of a patient."""
    for policy in loaded(files_of(RULES / pack)).policies:
        for rule in policy.rules:
            assert rule.title, rule.id
            assert rule.references or policy.references, rule.id
            assert not rule.lint, f"{rule.id} is silenced"
            if isinstance(rule.effect, Deny):
                assert rule.effect.reason, rule.id
                assert sum(len(part) if isinstance(part, str) else 16 for part in rule.effect.reason) <= 64, rule.id
                assert not any(part.attribute.patient_data for part in rule.effect.reason if isinstance(part, Quote)), rule.id


@pack
def test_its_page_names_every_rule(pack: str) -> None:
    text = (RULES / pack / "README.md").read_text(encoding="utf-8")
    policies = loaded(files_of(RULES / pack))
    named = set(re.findall(r"^\| `([\w./-]+/[\w.-]+)` \|", text, re.MULTILINE))
    exceptions = {exception.id for policy in policies.policies for exception in policy.exceptions}
    assert named == {rule.id for rule in policies.rules} | exceptions
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    for path in (RULES / pack / "data").glob("*.csv"):
        assert f"`data/{path.name}`" in text


@pack
def test_its_tests_know_what_is_unknown(pack: str) -> None:
    text = (RULES / pack / f"{pack}_test.yaml").read_text(encoding="utf-8")
    assert re.search(r"^ +errors:|errors: \[", text, re.MULTILINE)


@pack
def test_its_tests_notice_a_rule_that_is_off_and_an_exception_that_never_ends(pack: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(RULES / pack, tmp_path / pack))
    for path in sorted(folder.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        if path.name == "set.yaml" or path.name.endswith("_test.yaml"):
            continue
        rules, _, exceptions = text.partition("\nexceptions:\n")
        broken = [text.replace(line, f"{line}\n    mode: off", 1) for line in re.findall(r"^  - id: \S+$", rules, re.MULTILINE)]
        broken += [text.replace(line, "expires: 2099-01-01T00:00:00Z", 1) for line in re.findall(r"expires: \S+", exceptions)]
        assert len(broken) >= 2 or path.name.endswith("-access.yaml")
        for changed in broken:
            assert changed != text
            path.write_text(changed, encoding="utf-8")
            assert main(["test", str(folder)]) == 1, changed
        path.write_text(text, encoding="utf-8")
    assert main(["test", str(folder)]) == 0


@pack
def test_the_gateway_enforces_every_rule(pack: str) -> None:
    assert not_enforceable(loaded(files_of(RULES / pack))) == ()


def test_the_healthimaging_pack_holds_against_a_service() -> None:
    """boto3, the guard with its look-ups, and the stand-in: what the fixtures of the pack's tests say is what a service tells."""
    gate = hirules.load(RULES / "healthimaging-integrity")
    with StandIn() as service:
        (image_set,) = service.load([str(get_testdata_file("CT_small.dcm"))], primary=False)
        clients = {}
        for user, roles in {"ada": ["curator"], "grace": ["curator", "identity-steward"], "ruth": ["records-manager"]}.items():
            clients[user] = make_client(service.url)
            hirules.healthimaging.guard(clients[user], gate, {"user": user, "roles": roles})
        named = {"datastoreId": "0" * 32, "imageSetId": image_set}

        def update(user: str, version: str, document: dict[str, object] | None, **more: bool) -> str:
            blob = json.dumps({"SchemaVersion": 1.1, **(document or {})}).encode()
            updates = {"DICOMUpdates": {"updatableAttributes": blob}} if document else {"revertToVersionId": "1"}
            answered = clients[user].update_image_set_metadata(**named, latestVersionId=version, updateImageSetMetadataUpdates=updates, **more)
            return str(answered["latestVersionId"])

        def refused(user: str, version: str, document: dict[str, object] | None, rule: str, **more: bool) -> None:
            with pytest.raises(clients[user].exceptions.AccessDeniedException) as raised:
                update(user, version, document, **more)
            assert raised.value.decision.by == tuple(f"healthimaging-integrity/{name}" for name in rule.split())

        rename: dict[str, object] = {"Patient": {"DICOM": {"PatientName": "Doe^Jane"}}}
        described: dict[str, object] = {"Study": {"DICOM": {"StudyDescription": "CT chest"}}}
        refused("ada", "1", rename, "identity-by-stewards")
        refused("ada", "1", described, "no-study-wide-updates", includeStudyImageSets=True)
        assert update("ada", "1", described) == "2"
        refused("ada", "2", None, "reverts-by-stewards")
        assert update("grace", "2", None) == "3"
        assert update("grace", "3", rename, force=True) == "4"
        assert update("grace", "4", {"Patient": {"DICOM": {"PatientIdentityRemoved": "YES"}}}) == "5"
        refused("grace", "5", None, "deidentified-stays-so")
        refused("grace", "5", {"Patient": {"DICOM": {"PatientIdentityRemoved": "NO"}}}, "marks-stay")
        assert clients["ada"].get_image_set_metadata(**named)["imageSetMetadataBlob"].read()
        with pytest.raises(clients["ada"].exceptions.AccessDeniedException):
            clients["ada"].get_image_set_metadata(**named, versionId="1")
        with pytest.raises(clients["ruth"].exceptions.AccessDeniedException) as raised:
            clients["ruth"].delete_image_set(**named)  # a study of 2004, but without a date of birth
        assert raised.value.decision.by == ("healthimaging-integrity/minors",)
    gate.close()


@pytest.fixture
def together(orthanc: Server, tmp_path: Path) -> Iterator[Server]:
    """The gateway with all packs in one set, adapted to one station, in front of an archive. One patient is a VIP."""
    policies = tmp_path / "policies"
    for name in PACKS:
        shutil.copytree(RULES / name, policies / name)
        (policies / name / "set.yaml").unlink()
    for path, row in {
        "associations/data/peers.csv": f"CLIENT,{HOST},tests,tests",
        "minimum-necessary/data/treatment.csv": "CLIENT,tests",
        "off-hours-and-volume/data/round-the-clock.csv": "CLIENT,tests",
        "vip-break-glass/data/vip-records.csv": f"{OTHER_PATIENT},2026-01-01,tests",
    }.items():
        with (policies / path).open("a", encoding="utf-8") as lines:
            lines.write(f"{row}\n")
    for path in ("associations/associations.yaml", "minimum-necessary/minimum-necessary.yaml"):
        text = (policies / path).read_text(encoding="utf-8")
        (policies / path).write_text(text.replace("[10.20.0.0/16", f"[{HOST}/32, 10.20.0.0/16"), encoding="utf-8")

    def command(port: int) -> list[str | Path]:
        audit = tmp_path / "audit.jsonl"
        return [HIRULES, "serve", "--policies", policies, "--dimse", f"GATE@{HOST}:{port}", "--upstream", orthanc.name, "--audit", audit]

    server = start("GATE", tmp_path, command, listening)
    try:
        yield server
    finally:
        code = server.stop()
    assert code == 0, server.text()[-3000:]


def test_all_packs_together_in_front_of_an_archive(together: Server, tmp_path: Path) -> None:
    client = Client("CLIENT", together.aet, together.port, tmp_path / "client")
    own, vip = study_of(PATIENT), study_of(OTHER_PATIENT)
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientID")
    assert client.find(*keys).status == 0x0124  # query-hygiene
    found = client.find(*keys[:2], f"PatientID={PATIENT}")
    assert found.status == 0
    assert matches(found)
    hidden = client.find(*keys[:2], f"PatientID={OTHER_PATIENT}")
    assert (hidden.status, matches(hidden)) == (0, [])  # vip-break-glass
    got = client.get("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={own[0].study}")
    assert got.status == 0
    assert set(got.files) == {instance.uid for instance in own}
    refused = client.get("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={vip[0].study}")
    assert refused.status == 0x0124
    assert not set(refused.files) & {instance.uid for instance in vip}
    assert client.move("NOWHERE", "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={own[0].study}").status == 0xA801  # minimum-necessary
    stranger = Client("STRANGER", together.aet, together.port, tmp_path / "stranger")
    assert stranger.echo().code != 0  # associations


def test_all_packs_are_one_set_beside_each_other_and_in_folders() -> None:
    beside: dict[str, bytes] = {}
    inside: dict[str, bytes] = {}
    for name in PACKS:
        files = {path: content for path, content in files_of(RULES / name).items() if path not in ("set.yaml", "README.md")}
        assert not files.keys() & beside.keys()
        beside |= files
        inside |= {f"{name}/{path}": content for path, content in files.items()}
    setting = {"set.yaml": (RULES / PACKS[0] / "set.yaml").read_bytes()}
    rules = {rule.id for rule in loaded(setting | beside).rules}
    assert rules == {rule.id for rule in loaded(setting | inside).rules}
    assert rules == {rule.id for name in PACKS for rule in loaded(files_of(RULES / name)).rules}


@pack
def test_the_policies_of_its_page_load_beside_it(pack: str) -> None:
    policies = blocks((RULES / pack / "README.md").read_text(encoding="utf-8"), "yaml")
    assert policies
    for policy in policies:
        loaded({"set.yaml": b"hirules-set: 1\n", "site.yaml": policy.encode()})
        assert load_set(files_of(RULES / pack) | {"site.yaml": policy.encode()}).set is not None


@pack
def test_the_commands_of_its_page_run(pack: str, tmp_path: Path) -> None:
    (tmp_path / "rules").symlink_to(RULES)
    (tmp_path / "audit.jsonl").write_text('{"entry":"decision","time":"t","subject":{},"exceptions":[{"exception":"e"}]}\n', encoding="utf-8")
    commands = blocks((RULES / pack / "README.md").read_text(encoding="utf-8"), "sh")
    assert commands[0] == f"hirules check rules/{pack}\nhirules test rules/{pack} --coverage --fail-under 100\n"
    for block in commands[1:]:  # the first is what the tests above run
        if "clinic.pem" in block:
            assert shell(tmp_path, "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=clinic -keyout key.pem -out clinic.pem").returncode == 0
        done = shell(tmp_path, block)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(r'[0-9a-f]{64}\n|\{"time":"t",.*\}\n', done.stdout)


def test_the_page_on_packs_can_be_followed(tmp_path: Path) -> None:
    shutil.copytree(RULES, tmp_path / "rules")
    text = PAGE.read_text(encoding="utf-8")
    first, last = blocks(text, "sh")
    done = shell(tmp_path, first)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, content in re.findall(r"`(policies/\S+)`:\n\n```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert len(list((tmp_path / "policies").glob("site*.yaml"))) == len(blocks(text, "yaml")) == 2
    done = shell(tmp_path, last)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert loaded(files_of(tmp_path / "policies"))


def test_the_commands_of_the_index_run(tmp_path: Path) -> None:
    (tmp_path / "rules").symlink_to(RULES)
    (commands,) = blocks((RULES / "README.md").read_text(encoding="utf-8"), "sh")
    done = shell(tmp_path, commands)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("coverage 100 %") == len(PACKS)


@page
def test_the_links_of_the_pages_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not link.startswith("http") and not (page.parent / link).exists()]
    assert not missing


def test_the_indexes_name_every_pack() -> None:
    for index, prefix in ((RULES / "README.md", ""), (PAGE, "../rules/")):
        assert {f"{prefix}{name}/README.md" for name in PACKS} <= set(LINK.findall(index.read_text(encoding="utf-8")))
