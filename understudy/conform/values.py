"""Reading JSON of which nothing is known: what is not there, or is something else, is None."""

from typing import cast

Object = dict[str, object]


def at(value: object, *path: str | int) -> object:
    """What stands at this path, None where there is nothing."""
    for step in path:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def obj(value: object) -> Object:
    """An object, an empty one for anything else."""
    return cast("Object", value) if isinstance(value, dict) else {}


def rows(value: object) -> list[object]:
    """A list, an empty one for anything else."""
    return cast("list[object]", value) if isinstance(value, list) else []


def text(value: object, *path: str | int) -> str | None:
    """The string that stands there."""
    found = at(value, *path)
    return found if isinstance(found, str) else None


def number(value: object, *path: str | int) -> int | None:
    """The whole number that stands there; a truth value is none."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None
