"""The policy set as the compiler hands it to the evaluators: typed, resolved, frozen.

    text → document (positions) → compile → PolicySet → evaluate → Decision

Everything that can be known before a request comes is settled here: paths are looked up, literals
are canonical scalars of their path's type, lists are read, groups of actions are expanded.

INVARIANT: these are trees, without cycles; so the garbage collector need not look at them (``gc=False``), and a large set costs
its full collections nothing, each of which stops the interpreter.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from hirules.model.decision import Severity, Status
from hirules.model.path import Path, Step
from hirules.model.scalars import Scalar, Type
from hirules.model.vocabulary import Attribute, Vocabulary


class Position(msgspec.Struct, frozen=True, gc=False):
    """Where something stands in its file: line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Silence(msgspec.Struct, frozen=True, gc=False):
    """``lint: {code: reason}``: a finding of ``check`` that is meant so, and why."""

    code: str
    reason: str
    position: Position


class NamedList(msgspec.Struct, frozen=True, gc=False):
    """A list of a policy. ``texts`` are the source texts of its members; ``rows`` of a table, by column."""

    name: str
    texts: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...] = ()
    columns: tuple[str, ...] = ()

    # members may be patients; lists of the same ones look the same within a process, which seeds its hashes
    def __repr__(self) -> str:
        rows = tuple(frozenset(row.items()) for row in self.rows)
        return f"NamedList({self.name!r}, {len(self.texts or rows)} members, {hash((self.texts, rows)):x})"


class Duration(msgspec.Struct, frozen=True, gc=False):
    """``90d``: an amount of minutes, hours, days, weeks or calendar years. May be negative in ``today``."""

    amount: int
    unit: Literal["m", "h", "d", "w", "y"]


# Operands: what an operator compares with.


class Value(msgspec.Struct, frozen=True, gc=False):
    """A canonical scalar of the path's type (a text pattern for glob, regex, starts_with, ends_with, cidr)."""

    value: Scalar


class PathOperand(msgspec.Struct, frozen=True, gc=False):
    """``{path: subject.user}``: the value of another attribute, read by the type of the path it is compared with."""

    path: Path
    attribute: Attribute


class Today(msgspec.Struct, frozen=True, gc=False):
    """``{today: -31d}``: the date of ``context.now`` in the time zone, moved by an offset."""

    offset: Duration


class ListOperand(msgspec.Struct, frozen=True, gc=False):
    """``$name``: every member of a list, already canonical for the path's type."""

    name: str
    values: tuple[Scalar, ...]
    """Also as a frozenset in ``members`` for scalars that hash."""
    members: frozenset[Scalar]

    def __repr__(self) -> str:
        return f"ListOperand({self.name!r}, {len(self.values)} members, {hash(self.members):x})"


Operand = Value | PathOperand | Today | ListOperand


# Arguments of operators, by the kind of argument that the operator's table entry names.


class Flag(msgspec.Struct, frozen=True, gc=False):
    """``exists``, ``wildcard``, ``universal``."""

    value: bool


class Operands(msgspec.Struct, frozen=True, gc=False):
    """One or several operands: ``equals`` has one, ``in`` any number, ``between`` two."""

    operands: tuple[Operand, ...]


class Age(msgspec.Struct, frozen=True, gc=False):
    """``older_than``, ``newer_than``, ``range_wider_than``; ``zone`` overrides the set's time zone."""

    duration: Duration
    zone: str | None = None


class Window(msgspec.Struct, frozen=True, gc=False):
    """``time_between``: from inclusive, until exclusive; may pass midnight."""

    start: Scalar
    end: Scalar
    zone: str | None = None


class Weekdays(msgspec.Struct, frozen=True, gc=False):
    """``weekday``: Monday is 0."""

    days: frozenset[int]
    zone: str | None = None


class Row(msgspec.Struct, frozen=True, gc=False):
    """``row_of``: a row of the table whose columns equal these paths."""

    table: NamedList
    match: tuple[tuple[str, PathOperand], ...]


class Nested(msgspec.Struct, frozen=True, gc=False):
    """The matcher of ``every`` (on the path's own type) or ``count`` (integers)."""

    checks: tuple[Check, ...]


class Items(msgspec.Struct, frozen=True, gc=False):
    """The condition of ``item``: its paths are relative to the sequence item."""

    condition: Condition


Argument = Flag | Operands | Age | Window | Weekdays | Row | Nested | Items


class Check(msgspec.Struct, frozen=True, gc=False):
    """One operator of a matcher with its argument. Plugins' operators have any argument."""

    operator: str
    argument: Argument
    position: Position


# Conditions.


class Test(msgspec.Struct, frozen=True, gc=False):
    """``path: matcher``; all checks must hold. Inside ``item``, ``path.root`` is ``item``."""

    path: Path
    attribute: Attribute
    checks: tuple[Check, ...]
    position: Position


class All(msgspec.Struct, frozen=True, gc=False):
    """``all``, and every mapping of several entries."""

    conditions: tuple[Condition, ...]


class Any(msgspec.Struct, frozen=True, gc=False):
    """``any``."""

    conditions: tuple[Condition, ...]


class Not(msgspec.Struct, frozen=True, gc=False):
    """``not``."""

    condition: Condition


Condition = Test | All | Any | Not


# Effects.


class Allow(msgspec.Struct, frozen=True, gc=False):
    """``allow: {}``."""


class Quote(msgspec.Struct, frozen=True, gc=False):
    """An attribute quoted in a reason."""

    path: Path
    attribute: Attribute


class Deny(msgspec.Struct, frozen=True, gc=False):
    """``reason`` alternates literal text and quoted attributes; ``status`` by action."""

    reason: tuple[str | Quote, ...] = ()
    status: Mapping[str, Status] = {}
    offending: tuple[Path, ...] = ()
    no_match: bool = False


class Edit(msgspec.Struct, frozen=True, gc=False):
    """One edit of one path. ``argument`` by kind:

    set, default   Operand or a tuple of them (a list value); a mapping for a sequence item is not settable
    remove         None
    keep_only      tuple of element steps (tuple[Step, ...]) for a data set, of canonical scalars for a list
    add, drop      tuple of Operand
    map            Mapping[Scalar, Scalar]
    replace        tuple[str, str]: RE2 pattern, template with ``\\1``
    """

    edit: str
    path: Path
    attribute: Attribute
    argument: object
    position: Position


class Rewrite(msgspec.Struct, frozen=True, gc=False):
    """``on_unknown: skip`` only where every edit is harmless."""

    edits: tuple[Edit, ...]
    skip_unknown: bool = False


class Audit(msgspec.Struct, frozen=True, gc=False):
    """``include`` are paths whose values the record shall carry; ``sample`` is a share from 0 to 1."""

    severity: Severity = "low"
    note: str = ""
    include: tuple[Quote, ...] = ()
    sample: float = 1.0


Effect = Allow | Deny | Rewrite | Audit


class Validity(msgspec.Struct, frozen=True, gc=False):
    """``from`` inclusive, ``until`` exclusive; both with offset."""

    start: datetime | None = None
    end: datetime | None = None


class ExceptionRule(msgspec.Struct, frozen=True, gc=False):
    """An exception; ``id`` is ``policy/exception``, ``of`` are full rule ids."""

    id: str
    of: tuple[str, ...]
    when: Condition | None
    reason: str
    approved_by: str
    expires: datetime
    position: Position
    lint: tuple[Silence, ...] = ()


class Rule(msgspec.Struct, frozen=True, gc=False):
    """A rule; ``id`` is ``policy/rule``. ``on`` holds actions only, groups are expanded."""

    id: str
    on: frozenset[str]
    effect: Effect
    when: Condition | None
    unless: Condition | None
    mode: Literal["enforce", "shadow", "off"]
    severity: Severity
    valid: Validity
    position: Position
    exceptions: tuple[ExceptionRule, ...] = ()
    title: str = ""
    description: str = ""
    references: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    lint: tuple[Silence, ...] = ()

    @property
    def kind(self) -> Literal["allow", "deny", "rewrite", "audit"]:
        """The name of the effect."""
        return type(self.effect).__name__.lower()  # type: ignore[return-value]


class Policy(msgspec.Struct, frozen=True, gc=False):
    """One file of the set."""

    id: str
    title: str
    file: str
    rules: tuple[Rule, ...]
    exceptions: tuple[ExceptionRule, ...]
    lists: Mapping[str, NamedList]
    owner: str = ""
    references: tuple[str, ...] = ()
    description: str = ""
    lint: tuple[Silence, ...] = ()


class PolicySet(msgspec.Struct, frozen=True, gc=False):
    """A whole set. ``digest`` is ``sha256:…`` over the names and contents of all its files."""

    policies: tuple[Policy, ...]
    digest: str
    vocabulary: Vocabulary
    combining: Literal["deny-unless-permit", "permit-unless-deny"] = "deny-unless-permit"
    time_zone: str = "UTC"
    requires: tuple[str, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of every policy, in the order of their ids."""
        return tuple(sorted((rule for policy in self.policies for rule in policy.rules), key=lambda rule: rule.id))


ElementSteps = tuple[Step, ...]

__all__ = [
    "Age",
    "All",
    "Allow",
    "Any",
    "Argument",
    "Audit",
    "Check",
    "Condition",
    "Deny",
    "Duration",
    "Edit",
    "Effect",
    "ElementSteps",
    "ExceptionRule",
    "Flag",
    "Items",
    "ListOperand",
    "NamedList",
    "Nested",
    "Not",
    "Operand",
    "Operands",
    "PathOperand",
    "Policy",
    "PolicySet",
    "Position",
    "Quote",
    "Rewrite",
    "Row",
    "Rule",
    "Silence",
    "Test",
    "Today",
    "Type",
    "Validity",
    "Value",
    "Weekdays",
    "Window",
]  # fmt: skip
