"""The policy language: from the text of a folder to a decision. No I/O: files come in as bytes.

files ─▶ document ─▶ compile ─▶ PolicySet (ast) ─▶ evaluate ─▶ Decision
         nodes that    │ lists, paths, literals,
         know where    │ conditions, effects, edits
         they stand    ▼
         findings: file, line, column, code, what was expected, what is near

operators, edits   the tables that the compiler, the schemas, the evaluators and the docs share
schema             JSON Schemas written from the vocabulary and the tables
"""

from hirules.policy.findings import Finding, PolicyError
from hirules.policy.load import Loaded, load_set

__all__ = ["Finding", "Loaded", "PolicyError", "load_set"]
