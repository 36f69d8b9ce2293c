"""Putting it together: folder and configuration in, a gate or a gateway that is ready to start out.

    folder ─▶ files (bytes) ────────────────────────────────────┐
    configuration ─▶ plugins ─▶ vocabulary, operators, edits ─▶ load_set ─▶ PolicySet ─▶ Gate
                                                                               └▶ enforceable? ─▶ Gateway

    folder, language, sets, gates   files, what they may say, the set of them, its gate
    serving, access, enforceable    a gateway that is ready to start, who may come in, what it cannot enforce
    suites, below, captured         tests of policies, sets below a folder, files as requests
    health, metrics, traces         for operators
    schemas, reference              what is published: JSON Schemas, the reference for authors

    folder changed ─▶ a child process reads and checks ─▶ PolicySet in pieces ─▶ Gate.swap     (reload, apart, handover, changes, pace)

Every mistake is a finding, and all of them are in one ``PolicyError``.
"""

from hirules.assemble.gates import build, check_set, load
from hirules.assemble.schemas import SCHEMAS, schema

__all__ = ["SCHEMAS", "build", "check_set", "load", "schema"]
