import pytest

from hirules.model.path import Deep, Item, Name, PathError, Private, PrivateTag, Tag, parse_elements, parse_path

CANONICAL = {
    "subject.ae_title": "subject.ae_title",
    'subject.claims."urn:x.y"': 'subject.claims."urn:x.y"',
    'subject.claims."a""b"': 'subject.claims."a""b"',
    "instance.(0010,0020)": "instance.PatientID",
    "instance.( 0010 , 0020 )": "instance.PatientID",
    "instance.(0011,0001)": "instance.(0011,0001)",
    'instance.(0009,"GEMS_IDEN_01",01)': 'instance.(0009,"GEMS_IDEN_01",01)',
    "instance.(60XX,3000)": "instance.(60xx,3000)",
    "instance.ReferencedSeriesSequence[*].(0020,000e)": "instance.ReferencedSeriesSequence[*].SeriesInstanceUID",
    "request.Identifier.(0010,0010)": "request.Identifier.PatientName",
    "original.request.MoveDestination": "original.request.MoveDestination",
    "instance": "instance",
}


@pytest.mark.parametrize(("text", "canonical"), CANONICAL.items())
def test_equal_paths_have_one_spelling(text: str, canonical: str) -> None:
    path = parse_path(text)
    assert path.text == canonical
    assert parse_path(canonical) == path


def test_steps_are_typed() -> None:
    assert parse_path('instance.(0009,"A B",1F)').elements == (PrivateTag(9, "A B", 0x1F),)
    assert parse_path("instance.**.PatientName").elements == (Deep(), Name("PatientName"))
    assert parse_path("instance.private").elements == (Private(),)
    assert parse_path("instance.(60xx,3000)").elements == (Tag("60xx", "3000"),)
    assert parse_elements("RequestAttributesSequence[0].ScheduledProcedureStepID")[1] == Item(0)


def test_a_data_set_begins_where_its_elements_do() -> None:
    assert parse_path("request.Identifier.PatientID").names == ("Identifier",)
    assert parse_path("request.updates.Patient.PatientName").names == ("updates", "Patient")
    assert parse_path("resource.PatientID").names == ()
    assert parse_path("resource.overrides.forced").elements == ()


@pytest.mark.parametrize(
    ("text", "offset"),
    [("", 0), ("nothing.x", 0), ("subject.", 8), ("subject.a b", 9), ("request..x", 8), ("original.subject.x", 9), ("instance.(0010)", 9)],
)
def test_what_is_no_path_is_refused_with_its_place(text: str, offset: int) -> None:
    with pytest.raises(PathError) as caught:
        parse_path(text)
    assert caught.value.offset == offset
    assert caught.value.expected


def test_an_element_of_a_repeating_group_keeps_its_tag() -> None:
    assert parse_path("instance.(6000,3000)").text == "instance.(6000,3000)"
    assert parse_path("instance.(6002,3000)").text == "instance.(6002,3000)"
