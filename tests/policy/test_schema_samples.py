"""The examples of attributes are values that they can have, and conditions on them compile."""

from __future__ import annotations

import json

import pytest

from hirules.model.scalars import literal
from hirules.model.vocabulary import VOCABULARY
from hirules.policy import load_set
from hirules.policy.schema_samples import below, matcher_of, value_of

PLAIN = {path: attribute for path, attribute in VOCABULARY.attributes.items() if "<" not in path}


@pytest.mark.parametrize("path", sorted(PLAIN))
def test_a_condition_with_the_example_compiles(path: str) -> None:
    attribute = PLAIN[path]
    condition = json.dumps({path: matcher_of(attribute)})
    text = f"hirules: 1\npolicy: p\nrules:\n  - {{id: r, on: {min(attribute.actions)}, when: {condition}, deny: {{}}}}\n"
    assert [found for found in load_set({"p.yaml": text.encode()}).findings if found.is_error] == []


@pytest.mark.parametrize("path", sorted(path for path, attribute in PLAIN.items() if not attribute.values))
def test_an_example_is_of_its_type(path: str) -> None:
    value = value_of(PLAIN[path])
    literal(PLAIN[path].type, str(value).lower() if isinstance(value, bool) else str(value))


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("subject.ae_title", "ae_title", "WARD_1"),
        ("subject.tls.cn", "tls", {"cn": "ward-1.hospital.example"}),
        ("subject.roles", "roles", ["radiologist"]),
        ("subject.claims.<name>", "claims", {"department": ["radiology"]}),
        ("request.updates.Patient.<Keyword>", "updates", {"PatientID": "P1"}),
        ("request.searchCriteria.filters[*].operator", "searchCriteria", {"filters": [{"operator": "EQUAL"}]}),
    ],
)
def test_what_stands_below_a_first_name(path: str, name: str, expected: object) -> None:
    assert below(VOCABULARY.attributes[path], name) == expected
