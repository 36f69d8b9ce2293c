"""What a request reaches, entity by entity (LANGUAGE: Many values, many entities)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hirules.model.reading import Fields, Unknown
from hirules.model.request import EMPTY, Entities
from hirules.model.scalars import Type, read

_NOT_GIVEN = Unknown("the resource was not given")
_NOT_TOLD = Unknown("the look-up did not tell it")
_NONE = Unknown("the action has no resource")


class Entity(msgspec.Struct, frozen=True):
    """One entity. ``missing`` is what a name that is not in ``fields`` reads: ``None`` is absent.

    ``count`` and ``instance_count`` are those of all entities together; ``None`` is absent.
    """

    fields: Fields = EMPTY
    missing: Unknown | None = _NOT_TOLD
    count: object = _NOT_GIVEN
    instance_count: object = _NOT_GIVEN

    def __repr__(self) -> str:
        return f"Entity({len(self.fields)} fields)"


UNKNOWN_ENTITY = Entity(missing=_NOT_GIVEN)
NO_ENTITY = Entity(missing=None, count=None, instance_count=None)
"""It is known that the request reaches nothing: every attribute is absent."""
WITHOUT_RESOURCE = Entity(missing=_NONE, count=_NONE, instance_count=_NONE)


def entities_of(resource: Entities | Unknown | None, has_resource: bool) -> tuple[Entity, ...]:
    """The entities that are decided one by one; at least one."""
    if not has_resource:
        return (WITHOUT_RESOURCE,)
    if resource is None:
        return (UNKNOWN_ENTITY,)
    if isinstance(resource, Unknown):
        return (Entity(missing=resource, count=resource, instance_count=resource),)
    if not resource:
        return (NO_ENTITY,)
    count, instances = len(resource), _instances(resource)
    return tuple(_entity(fields, count, instances) for fields in resource)


def _entity(fields: object, count: int, instances: object) -> Entity:
    if isinstance(fields, Mapping):
        return Entity(fields, _NOT_TOLD, fields.get("count", count), instances)
    return Entity(EMPTY, fields if isinstance(fields, Unknown) else _NOT_TOLD, count, instances)


def _instances(resource: Sequence[object]) -> object:
    """The instances of all entities; absent where it is so for each, unknown where one does not tell."""
    total = 0
    numbers = [fields.get("instance_count", _NOT_TOLD) if isinstance(fields, Mapping) else _NOT_TOLD for fields in resource]
    if all(number is None for number in numbers):
        return None
    for number in numbers:
        if number is None or isinstance(number, Unknown):
            return number or _NOT_TOLD
        try:
            total += int(str(read(Type.INTEGER, number)))
        except (ValueError, ArithmeticError):
            return Unknown("it cannot be read as integer")
    return total
