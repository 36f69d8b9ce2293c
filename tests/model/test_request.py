from hirules.model.decision import Decision
from hirules.model.request import Request, plain, replaced


def test_the_repr_tells_nothing_about_a_patient() -> None:
    request = Request("c-get", request={"Identifier": {"PatientID": "SECRET"}}, id="r1")
    assert "SECRET" not in repr(request)
    assert "SECRET" not in repr(Decision("deny", request, reason="SECRET"))


def test_a_changed_request_leaves_the_given_one() -> None:
    request = Request("c-get", id="r1")
    assert replaced(request, id="r2").id == "r2"
    assert request.id == "r1"


def test_plain_is_ready_for_json() -> None:
    assert plain({"a": ({"b": 1},)}) == {"a": [{"b": 1}]}
