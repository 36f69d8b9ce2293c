"""Putting it together: folder and configuration in, a gate or a gateway that is ready to start out.

    folder ─▶ files (bytes) ────────────────────────────────────┐
    configuration ─▶ plugins ─▶ vocabulary, operators, edits ─▶ load_set ─▶ PolicySet ─▶ Gate
                                                                               └▶ enforceable? ─▶ Gateway

    folder changed ─▶ a child process reads and checks ─▶ PolicySet in pieces ─▶ Gate.swap     (reload, apart, handover, changes, pace)

Every mistake is a finding, and all of them are in one ``PolicyError``.
"""

from hirules.assemble.gates import build, check_set, load
from hirules.assemble.schemas import SCHEMAS, schema

__all__ = ["SCHEMAS", "build", "check_set", "load", "schema"]
