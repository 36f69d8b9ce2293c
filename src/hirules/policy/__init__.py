"""The policy language: from the text of a folder to a decision. No I/O: files come in as bytes.

files ─▶ document ─▶ compile ─▶ PolicySet (ast) ─▶ evaluate ─▶ Decision
         nodes that    │ lists, paths, literals,
         know where    │ conditions, effects, edits
         they stand    ▼
         findings: file, line, column, code, what was expected, what is near

Tables         operators, edits: what the compiler, the schemas, the evaluators and the docs share
Schemas        schema, schema_tests (schema_samples: examples in them); schema_check: the last check of a document
Files          load: a folder's; document: nodes with their places; lists; findings
Compiler       compile, compile_set, compile_rules, compile_conditions, compile_effects, compile_edits; compile_paths, compile_literals,
               compile_arguments; compile_source: one file meanwhile; spelling
Reading        read: a path of a request; find, derive, entities
Conditions     conditions; truth, members, moments, patterns
Reference      evaluate ─▶ matching, rewriting (proposals, places, prune), reasons, notes, shadow; verdict, verdict_edits: of plugins
               trace: for `explain`, with near; needs, clock: what must be known first
Index          index ─▶ tables, columns, buckets (asked, sources), narrowing, leaves (entries, fused), outcomes
Tests          suite: as data; suite_read, suite_parts, suite_expect ─▶ suite_run ─▶ suite_compare, suite_reasons; coverage
layout, lint   packages of their own
"""

from hirules.policy.findings import Finding, PolicyError
from hirules.policy.load import Loaded, load_set

__all__ = ["Finding", "Loaded", "PolicyError", "load_set"]
