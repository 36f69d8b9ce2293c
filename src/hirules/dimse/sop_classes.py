"""SOP classes that the relay must know: what a meta SOP class stands for, and whose options are cleared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_PRINTER: Final = "1.2.840.10008.5.1.1.16"
_FILM: Final = ("1.2.840.10008.5.1.1.1", "1.2.840.10008.5.1.1.2", _PRINTER)
"""Basic Film Session, Basic Film Box, Printer."""
_UPS_PUSH: Final = "1.2.840.10008.5.1.4.34.6.1"
_MPPS: Final = "1.2.840.10008.3.1.2.3.3"

MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    # PS3.4 §H.3.2.2: Basic Grayscale and Basic Color Print Management Meta
    "1.2.840.10008.5.1.1.9": frozenset({*_FILM, "1.2.840.10008.5.1.1.4"}),
    "1.2.840.10008.5.1.1.18": frozenset({*_FILM, "1.2.840.10008.5.1.1.4.1"}),
    # retired: Referenced Grayscale and Color Print, Pull Stored Print
    "1.2.840.10008.5.1.1.9.1": frozenset({*_FILM, "1.2.840.10008.5.1.1.4.2"}),
    "1.2.840.10008.5.1.1.18.1": frozenset({*_FILM, "1.2.840.10008.5.1.1.4.2"}),
    "1.2.840.10008.5.1.1.32": frozenset({"1.2.840.10008.5.1.1.31", _PRINTER}),
    # retired: General Purpose Worklist, Detached Patient, Detached Results
    "1.2.840.10008.5.1.4.32": frozenset({"1.2.840.10008.5.1.4.32.1", "1.2.840.10008.5.1.4.32.2", "1.2.840.10008.5.1.4.32.3"}),
    "1.2.840.10008.3.1.2.1.4": frozenset({"1.2.840.10008.3.1.2.1.1", "1.2.840.10008.3.1.2.2.1"}),
    "1.2.840.10008.3.1.2.5.4": frozenset({"1.2.840.10008.3.1.2.5.1", "1.2.840.10008.3.1.2.6.1"}),
    # PS3.4 §CC.3.1: on every UPS context a procedure step is of the class UPS Push
    "1.2.840.10008.5.1.4.34.6.2": frozenset({_UPS_PUSH}),
    "1.2.840.10008.5.1.4.34.6.3": frozenset({_UPS_PUSH}),
    "1.2.840.10008.5.1.4.34.6.4": frozenset({_UPS_PUSH}),
    "1.2.840.10008.5.1.4.34.6.5": frozenset({_UPS_PUSH}),
    # PS3.4 §F.8, §F.9: Retrieve and Notification are about instances of the MPPS class
    "1.2.840.10008.3.1.2.3.4": frozenset({_MPPS}),
    "1.2.840.10008.3.1.2.3.5": frozenset({_MPPS}),
}
"""Abstract syntax to the SOP classes that its messages may name beside itself."""

QUERIES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.2.1.1",  # Patient Root
        "1.2.840.10008.5.1.4.1.2.2.1",  # Study Root
        "1.2.840.10008.5.1.4.1.2.3.1",  # Patient/Study Only, retired
        "1.2.840.10008.5.1.4.1.1.201.2",  # Inventory
        "1.2.840.10008.5.1.4.1.1.201.6",  # Repository
        "1.2.840.10008.5.1.4.1.1.200.4",  # Protocol Approval
        "1.2.840.10008.5.1.4.20.1",  # Defined Procedure Protocol
        "1.2.840.10008.5.1.4.31",  # Modality Worklist
        "1.2.840.10008.5.1.4.32.1",  # General Purpose Worklist, retired
        "1.2.840.10008.5.1.4.34.6.2",  # UPS Watch
        "1.2.840.10008.5.1.4.34.6.3",  # UPS Pull
        "1.2.840.10008.5.1.4.34.6.5",  # UPS Query
        "1.2.840.10008.5.1.4.38.2",  # Hanging Protocol
        "1.2.840.10008.5.1.4.39.2",  # Color Palette
        "1.2.840.10008.5.1.4.43.2",  # Generic Implant Template
        "1.2.840.10008.5.1.4.44.2",  # Implant Assembly Template
        "1.2.840.10008.5.1.4.45.2",  # Implant Template Group
    }
)
"""Their extended negotiation: relational queries, combined date-time, fuzzy names, … (PS3.4 §C.5.1.1.1)."""

RETRIEVES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.2.1.2",  # Patient Root, C-MOVE and C-GET
        "1.2.840.10008.5.1.4.1.2.1.3",
        "1.2.840.10008.5.1.4.1.2.2.2",  # Study Root
        "1.2.840.10008.5.1.4.1.2.2.3",
        "1.2.840.10008.5.1.4.1.2.3.2",  # Patient/Study Only, retired
        "1.2.840.10008.5.1.4.1.2.3.3",
    }
)
"""Theirs: relational retrieve, … (PS3.4 §C.5.2.1.1, §C.5.3.1.1)."""


def belongs(sop_class: object, abstract_syntax: str) -> bool:
    """Whether a message on a context of ``abstract_syntax`` may name ``sop_class``."""
    return sop_class == abstract_syntax or sop_class in MEMBERS.get(abstract_syntax, ())
