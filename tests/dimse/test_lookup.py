"""Look-ups against archives that know more or less, and against those that must not be believed."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from hirules.dimse.archive import Archive as Embedded
from hirules.dimse.lookup import Archives, nodes_of
from hirules.dimse.lookup_scu import PATIENT_ROOT, STUDY_ROOT, Node
from hirules.dimse.options import Upstream
from hirules.facts import LookupFailed
from hirules.model.reading import Unknown
from hirules.model.request import Request
from tests.dimse.archives import GET_PATIENT_ROOT, Archive, archive, get, look_up, matches
from tests.dimse.peers import until
from tests.dimse.wire import association
from tests.peers import objects

Entity = dict[str, object]

PATIENT: Entity = {"QueryRetrieveLevel": "PATIENT", "PatientID": "P1", "PatientName": "Doe^J", "PatientSex": "F"}
STUDY: Entity = {
    "QueryRetrieveLevel": "STUDY", "PatientID": "P1", "StudyInstanceUID": "1", "StudyDate": "20200101", "ModalitiesInStudy": ["CT", "SR"],
    "NumberOfStudyRelatedInstances": 3, "StudyDescription": "",
}  # fmt: skip
OTHER_STUDY: Entity = {**STUDY, "StudyInstanceUID": "2", "StudyDate": "20250101", "ModalitiesInStudy": "MR", "NumberOfStudyRelatedInstances": 40}
SERIES: Entity = {"QueryRetrieveLevel": "SERIES", "PatientID": "P1", "StudyInstanceUID": "1", "SeriesInstanceUID": "1.1", "Modality": "CT"}
OTHER_SERIES: Entity = {**SERIES, "SeriesInstanceUID": "1.2", "Modality": "SR"}
IMAGES: list[Entity] = [
    {"QueryRetrieveLevel": "IMAGE", "PatientID": "P1", "StudyInstanceUID": "1", "SeriesInstanceUID": series, "SOPInstanceUID": uid, "SOPClassUID": sop_class}
    for series, uid, sop_class in [("1.1", "1.1.1", "1.5"), ("1.1", "1.1.2", "1.5"), ("1.2", "1.2.1", "1.6")]
]
EVERYTHING: tuple[Entity, ...] = (PATIENT, STUDY, OTHER_STUDY, SERIES, OTHER_SERIES, *IMAGES)


def without(entity: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in entity.items() if name not in names}


def one_study() -> Request:
    return get(QueryRetrieveLevel="STUDY", StudyInstanceUID="1")


def levels(peer: Archive) -> list[object]:
    return [keys["QueryRetrieveLevel"] for keys in peer.asked]


def test_a_study_is_one_query() -> None:
    with archive(matches(*EVERYTHING)) as peer:
        (study,) = look_up(peer, one_study(), "PatientID", "StudyDate", "ModalitiesInStudy", "Modality", "instance_count", "count")
        assert study == {
            "StudyInstanceUID": "1", "PatientID": "P1", "StudyDate": "20200101", "ModalitiesInStudy": ["CT", "SR"], "Modality": ["CT", "SR"],
            "instance_count": 3,
        }  # fmt: skip
        assert peer.asked == [
            {
                "QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1", "PatientID": "", "StudyDate": "", "ModalitiesInStudy": "",
                "NumberOfStudyRelatedInstances": "",
            }
        ]  # fmt: skip


def test_only_what_is_needed_is_asked() -> None:
    with archive(matches(*EVERYTHING)) as peer:
        assert look_up(peer, one_study(), "count") == [{"StudyInstanceUID": "1"}]
        assert [set(keys) for keys in peer.asked] == [{"QueryRetrieveLevel", "StudyInstanceUID"}]


def test_a_list_of_uids_is_one_query_and_what_is_missing_is_an_entity_of_which_nothing_is_known() -> None:
    with archive(matches(*EVERYTHING)) as peer:
        found = look_up(peer, get(QueryRetrieveLevel="STUDY", StudyInstanceUID=["2", "9", "1"]), "StudyDate", "instance_count")
        assert sorted(map(str, (entity.get("StudyDate") for entity in found))) == ["20200101", "20250101", "None"]
        assert found[-1] == {}
        assert len(peer.asked) == 1


def test_a_long_list_is_asked_in_parts() -> None:
    uids = [f"3.{number}" for number in range(450)]
    with archive(matches(*({**STUDY, "StudyInstanceUID": uid} for uid in uids))) as peer:
        found = look_up(peer, get(QueryRetrieveLevel="STUDY", StudyInstanceUID=uids), "PatientID")
        assert [entity["StudyInstanceUID"] for entity in found] == uids
        assert [len(keys["StudyInstanceUID"]) for keys in peer.asked] == [200, 200, 50]  # type: ignore[arg-type]


def test_a_series_has_the_attributes_of_its_study() -> None:
    """What the archive does not add at the level of the series is asked of the study, once."""
    keys: dict[str, Any] = {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1", "SeriesInstanceUID": ["1.1", "1.2"]}
    with archive(matches(*EVERYTHING)) as peer:
        found = look_up(peer, get(**keys), "PatientID", "StudyDate", "Modality", "ModalitiesInStudy")
        assert [(entity["Modality"], entity["StudyDate"], entity["ModalitiesInStudy"], entity["PatientID"]) for entity in found] == [
            ("CT", "20200101", ["CT", "SR"], "P1"),
            ("SR", "20200101", ["CT", "SR"], "P1"),
        ]
        assert levels(peer) == ["SERIES", "STUDY"]


def test_an_instance_of_patient_root() -> None:
    keys = {"QueryRetrieveLevel": "IMAGE", "PatientID": "P1", "StudyInstanceUID": "1", "SeriesInstanceUID": "1.1", "SOPInstanceUID": "1.1.2"}
    with archive(matches(*EVERYTHING)) as peer:
        (found,) = look_up(peer, get(GET_PATIENT_ROOT, **keys), "PatientName", "StudyDate", "Modality", "SOPClassUID", "instance_count")
        assert [found[name] for name in ("PatientName", "StudyDate", "Modality", "SOPClassUID", "instance_count")] == ["Doe^J", "20200101", "CT", "1.5", 1]
        assert sorted(map(str, levels(peer))) == ["IMAGE", "PATIENT", "SERIES", "STUDY"]
        assert all(keys["PatientID"] == "P1" for keys in peer.asked)


def test_a_patient_is_its_studies() -> None:
    with archive(matches(*EVERYTHING)) as peer:
        request = get(GET_PATIENT_ROOT, QueryRetrieveLevel="PATIENT", PatientID="P1")
        assert [entity["instance_count"] for entity in look_up(peer, request, "instance_count")] == [3, 40]
        assert look_up(peer, get(GET_PATIENT_ROOT, QueryRetrieveLevel="PATIENT", PatientID="P9"), "instance_count") == []


def test_an_archive_without_patient_root_is_asked_in_study_root() -> None:
    with archive(matches(*EVERYTHING), models=(STUDY_ROOT,)) as peer:
        request = get(GET_PATIENT_ROOT, QueryRetrieveLevel="PATIENT", PatientID="P1")
        assert [entity["StudyDate"] for entity in look_up(peer, request, "StudyDate")] == ["20200101", "20250101"]
        keys = {"QueryRetrieveLevel": "SERIES", "PatientID": "P1", "StudyInstanceUID": "1", "SeriesInstanceUID": "1.1"}
        (series,) = look_up(peer, get(GET_PATIENT_ROOT, **keys), "Modality")
        assert series["Modality"] == "CT"
        assert "PatientID" not in peer.asked[-1]


def test_an_archive_without_study_root_cannot_be_asked_for_studies() -> None:
    with archive(matches(*EVERYTHING), models=(PATIENT_ROOT,)) as peer, pytest.raises(LookupFailed, match="information model"):
        look_up(peer, one_study(), "PatientID")


def test_an_instance_that_is_named_by_its_uid_alone() -> None:
    with archive(matches(*EVERYTHING)) as peer:
        (found,) = look_up(peer, Request("n-get", request={"RequestedSOPInstanceUID": "1.2.1"}), "PatientID", "Modality")
        assert (found["PatientID"], found["Modality"]) == ("P1", "SR")
        assert look_up(peer, Request("n-set", request={"RequestedSOPInstanceUID": "9.9"}), "PatientID") == [{}]


def test_modalities_and_instances_that_the_archive_does_not_collect_are_collected_level_by_level() -> None:
    poor: tuple[Entity, ...] = (without(STUDY, "ModalitiesInStudy", "NumberOfStudyRelatedInstances"), SERIES, OTHER_SERIES, *IMAGES)
    with archive(matches(*poor)) as peer:
        (study,) = look_up(peer, one_study(), "ModalitiesInStudy", "instance_count", "SOPClassUID")
        assert (study["ModalitiesInStudy"], study["instance_count"], study["SOPClassUID"]) == (["CT", "SR"], 3, ["1.5", "1.6"])
        assert levels(peer) == ["STUDY", "SERIES", "IMAGE", "IMAGE"]
        # every query has one value for each level above (PS3.4 §C.4.1.2.1)
        assert all(isinstance(keys["StudyInstanceUID"], str) and keys["StudyInstanceUID"] for keys in peer.asked)


def test_attributes_of_series_are_never_taken_from_an_answer_about_a_study() -> None:
    """dcmqrscp answers a STUDY query with the modality of some series of it."""
    with archive(matches({**without(STUDY, "ModalitiesInStudy"), "Modality": "CT", "SeriesDescription": "one"}, SERIES, OTHER_SERIES)) as peer:
        (study,) = look_up(peer, one_study(), "Modality", "SeriesDescription")
        assert study["Modality"] == ["CT", "SR"]
        assert isinstance(study["SeriesDescription"], list)
        assert all(isinstance(value, Unknown) for value in study["SeriesDescription"])


def test_what_the_archive_does_not_answer_is_unknown() -> None:
    with archive(matches(without(STUDY, "StudyDate"))) as peer:
        (study,) = look_up(peer, one_study(), "StudyDate", "AccessionNumber", "StudyDescription", "Modality")
        assert all(isinstance(study[name], Unknown) for name in ("StudyDate", "AccessionNumber", "StudyDescription"))
        (study,) = look_up(peer, one_study(), "StudyDescription", lookup_kept=("StudyDescription",))
        assert study["StudyDescription"] is None


def test_a_study_without_instances_is_not_believed() -> None:
    with archive(matches({**STUDY, "NumberOfStudyRelatedInstances": 0})) as peer:
        (study,) = look_up(peer, one_study(), "instance_count")
        assert isinstance(study["instance_count"], Unknown)


def test_a_refused_query_with_keys_of_other_levels_is_asked_level_by_level() -> None:
    def strict(keys: Mapping[str, object]) -> Iterator[tuple[int, Mapping[str, object] | None]]:
        if keys["QueryRetrieveLevel"] == "SERIES" and "StudyDate" in keys:
            yield 0xA900, None
        else:
            yield from matches(*EVERYTHING)(keys)

    with archive(strict) as peer:
        (series,) = look_up(peer, get(QueryRetrieveLevel="SERIES", StudyInstanceUID="1", SeriesInstanceUID="1.1"), "StudyDate", "Modality")
        assert (series["StudyDate"], series["Modality"]) == ("20200101", "CT")


@pytest.mark.parametrize("status", [0xA700, 0xB001, 0xFE00])
def test_any_end_but_success_leaves_all_unknown(status: int) -> None:
    with archive(lambda keys: iter([(0xFF00, STUDY), (status, None)])) as peer, pytest.raises(LookupFailed, match=f"0x{status:04X}"):
        look_up(peer, one_study(), "StudyDate")


def test_a_warning_about_optional_keys_is_a_match() -> None:
    with archive(matches(STUDY, status=0xFF01)) as peer:
        assert look_up(peer, one_study(), "PatientID")[0]["PatientID"] == "P1"


def test_an_answer_about_another_study_leaves_all_unknown() -> None:
    with archive(lambda keys: iter([(0xFF00, STUDY), (0xFF00, OTHER_STUDY)])) as peer, pytest.raises(LookupFailed, match="something else"):
        look_up(peer, one_study(), "PatientID")


def test_two_studies_under_one_uid_are_two_entities() -> None:
    with archive(matches(STUDY, {**STUDY, "PatientID": "VIP"})) as peer:
        assert [entity["PatientID"] for entity in look_up(peer, one_study(), "PatientID")] == ["P1", "VIP"]


def test_the_cap_counts_all_matches_of_a_look_up() -> None:
    poor: tuple[Entity, ...] = (without(STUDY, "NumberOfStudyRelatedInstances"), SERIES, OTHER_SERIES, *IMAGES)
    with archive(matches(*poor)) as peer:
        assert look_up(peer, one_study(), "instance_count", lookup_matches=6)[0]["instance_count"] == 3
        with pytest.raises(LookupFailed, match="matches"):
            look_up(peer, one_study(), "instance_count", lookup_matches=5)


def test_who_asks() -> None:
    with archive(matches(STUDY)) as peer:
        titles: list[dict[str, Any]] = [{}, {"calling_ae_title": "GW"}, {"calling_ae_title": "GW", "lookup_ae_title": "SEES_ALL"}]
        for options in titles:
            look_up(peer, one_study(), "PatientID", **options)
        assert peer.titles == ["CLIENT", "GW", "SEES_ALL"]


def test_look_ups_of_the_same_archive_and_title_are_equal() -> None:
    with archive(matches()) as peer:
        options = peer.options(upstreams=(Upstream(name="second", ae_title="PACS2", host="127.0.0.1", port=104),))
        archives = Archives(options)
        assert archives.of(association()) == archives.of(association())
        assert hash(archives.of(association())) == hash(archives.of(association()))
        assert archives.of(association()) != archives.of(msgspec.structs.replace(association(), calling_ae_title="OTHER"))
        assert archives.of(association()) != archives.of(msgspec.structs.replace(association(), upstream="second"))
        assert archives.of(association()) != Archives(options).of(association())
        archives.close()


def test_the_nodes_of_an_upstream() -> None:
    with archive(matches()) as peer:
        assert nodes_of(peer.options()) == (peer.node,)
        assert nodes_of(peer.options(lookup_nodes=("A@h:1", "B@[::1]:2"))) == (Node("A", "h", 1), Node("B", "::1", 2))


def test_the_upstream_of_the_association_is_asked() -> None:
    with archive(matches(STUDY)) as first, archive(matches({**STUDY, "PatientID": "P2"})) as second:
        node = second.node
        other = Upstream(name="second", ae_title=node.ae_title, host=node.host, port=node.port, calling_ae_title="GW2")
        archives = Archives(first.options(upstreams=(other,)))
        look = archives.of(msgspec.structs.replace(association(), upstream="second"))
        assert look(one_study(), frozenset({"PatientID"}))[0]["PatientID"] == "P2"
        assert (first.asked, second.titles) == ([], ["GW2"])
        archives.close()


def test_the_second_node_answers_for_the_first() -> None:
    with archive(matches(STUDY)) as peer:
        second = f"PACS@127.0.0.1:{peer.node.port}"
        assert look_up(peer, one_study(), "PatientID", lookup_nodes=("AWAY@127.0.0.1:1", second))[0]["PatientID"] == "P1"
        with socket.create_server(("127.0.0.1", 0)) as silent:
            nodes = (f"SILENT@127.0.0.1:{silent.getsockname()[1]}", second)
            archives = Archives(peer.options(lookup_nodes=nodes), 4.0)
            look = archives.of(association())
            assert look(one_study(), frozenset({"PatientID"}))[0]["PatientID"] == "P1"
            look(one_study(), frozenset({"PatientID"}))
            archives.close()
            silent.accept()[0].close()
            silent.setblocking(False)
            with pytest.raises(BlockingIOError):  # the silent one was not asked again
                silent.accept()


def test_another_node_is_not_asked_what_one_has_refused() -> None:
    with archive(lambda keys: iter([(0xA700, None)])) as peer, archive(matches(STUDY)) as other:
        nodes = tuple(f"PACS@127.0.0.1:{each.node.port}" for each in (peer, other))
        with pytest.raises(LookupFailed, match="0xA700"):
            look_up(peer, one_study(), "PatientID", lookup_nodes=nodes)
        assert other.asked == []


def test_a_slow_archive_is_left_at_the_deadline_and_nothing_is_left_behind() -> None:
    go_on = threading.Event()

    def slow(keys: Mapping[str, object]) -> Iterator[tuple[int, Mapping[str, object] | None]]:
        go_on.wait(30)
        yield 0xFF00, STUDY

    with archive(slow) as peer:
        before = threading.active_count()
        archives = Archives(peer.options(), 0.5)
        for _ in range(3):
            with pytest.raises(LookupFailed, match="in time"):
                archives.of(association())(one_study(), frozenset({"PatientID"}))
        go_on.set()
        assert until(lambda: peer.open == 0)
        assert until(lambda: threading.active_count() <= before)
        archives.close()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The embedded upstream, with the files of the other archives."""
    folder = tmp_path_factory.mktemp("files")
    for number, instance in enumerate(objects.archive()):
        shutil.copy(instance.path, folder / f"{number}.dcm")
    peer = Embedded(folder)
    host, port = peer.start()
    try:
        yield Archive(Node("ARCHIVE", host, port))
    finally:
        peer.stop()


def test_the_embedded_archive_answers_at_every_level(embedded: Archive) -> None:
    instance = objects.study_of()[0]
    study = {each.uid for each in objects.archive() if each.study == instance.study}
    series = {each.uid for each in objects.archive() if each.series == instance.series}
    names: dict[str, Any] = {"StudyInstanceUID": instance.study, "SeriesInstanceUID": instance.series, "SOPInstanceUID": [instance.uid, "1.2.3"]}
    needed = ("PatientID", "StudyDate", "Modality", "ModalitiesInStudy", "instance_count")
    for level, keys, count in [("STUDY", 1, len(study)), ("SERIES", 2, len(series)), ("IMAGE", 3, 1)]:
        found = look_up(embedded, get(QueryRetrieveLevel=level, **dict(list(names.items())[:keys])), *needed)
        values: list[Any] = [found[0][name] for name in needed]
        assert values == [instance.patient, "20010101", "CT", "CT", count]
        assert found[1:] == [{}] * (level == "IMAGE")
    studies = {each.study for each in objects.archive() if each.patient == instance.patient}
    found = look_up(embedded, get(GET_PATIENT_ROOT, QueryRetrieveLevel="PATIENT", PatientID=instance.patient), "instance_count")
    assert {entity["StudyInstanceUID"] for entity in found} == studies
    assert [entity["PatientID"] for entity in look_up(embedded, Request("n-get", request={"RequestedSOPInstanceUID": instance.uid}), "PatientID")] == [
        instance.patient
    ]
