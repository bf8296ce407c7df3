"""The texts an engine may write for a value under a schema: engines fix the order of properties, and close objects.

    texts(schema, value, closes=True, required_first=True)

Empty where the engine's own two liberties make the value impossible: a property that an object which it closes does not
name. Whatever is in the list must be possible, one of them at least.
"""

import itertools
import json
import re

import jsonschema_rs

MANY = 12


def texts(schema, value, *, closes, required_first):
    """The value as JSON, once for each way through the `anyOf`s of a cut schema."""
    return [written(way) for way in _Ways(schema, closes, required_first).ways(schema, value)]


class Compact:
    """A value that an engine writes without spaces: enumerated ones."""

    def __init__(self, value):
        self.value = value


def written(value, comma=", ", colon=": "):
    """As engines write JSON: 1e-7, not 1e-07; what is not ASCII as it is."""
    match value:
        case Compact():
            return written(value.value, ",", ":")
        case dict():
            named = (
                f"{json.dumps(k, ensure_ascii=False)}{colon}{written(v, comma, colon)}"
                for k, v in value.items()
            )
            return f"{{{comma.join(named)}}}"
        case list():
            return f"[{comma.join(written(each, comma, colon) for each in value)}]"
        case float():
            return re.sub(r"e([+-]?)0+", r"e\1", json.dumps(value))
        case _:
            return json.dumps(value, ensure_ascii=False)


class _Ways:
    def __init__(self, root, closes, required_first):
        self.definitions = {"$defs": root.get("$defs", {})}
        self.closes = closes
        self.required_first = required_first

    def admits(self, schema, value):
        whole = {**self.definitions, **schema} if isinstance(schema, dict) else schema
        return jsonschema_rs.validator_for(whole, offline=True, validate_formats=False).is_valid(value)

    def ways(self, schema, value):
        if schema is True or schema == {}:
            return [value]
        if "$ref" in schema:
            return self.ways(self.definitions["$defs"][schema["$ref"].split("/")[-1]], value)
        if "anyOf" in schema:
            rest = {key: each for key, each in schema.items() if key != "anyOf"}
            branches = [branch for branch in schema["anyOf"] if self.admits(branch, value)]
            found = [self.ways(_beside(rest, branch), value) for branch in branches]
            return list(itertools.chain(*found))[:MANY]
        if "enum" in schema or "const" in schema:
            return [value, Compact(value)] if isinstance(value, dict | list) and value else [value]
        if isinstance(value, dict):
            return self.objects(schema, value)
        if isinstance(value, list):
            return self.lists(schema, value)
        return [int(value) if isinstance(value, float) and value.is_integer() else value]

    def objects(self, schema, value):
        named, others = schema.get("properties"), schema.get("additionalProperties")
        if named is not None and others is None and self.closes and value.keys() - named.keys():
            return []
        order = [*(named or {})]
        if self.required_first:
            order.sort(key=lambda name: name not in schema.get("required", ()))
        order += [name for name in schema.get("required", ()) if name not in order]
        order += [name for name in value if name not in order]
        rest = others if isinstance(others, dict) else {}
        parts = [
            (name, self.ways((named or {}).get(name, rest), value[name])) for name in order if name in value
        ]
        combined = itertools.product(*(ways for _, ways in parts))
        return [
            dict(zip((name for name, _ in parts), way, strict=True))
            for way in itertools.islice(combined, MANY)
        ]

    def lists(self, schema, value):
        prefix, items = schema.get("prefixItems", []), schema.get("items", {})
        parts = [self.ways(prefix[i] if i < len(prefix) else items, each) for i, each in enumerate(value)]
        return [list(way) for way in itertools.islice(itertools.product(*parts), MANY)]


def _beside(rest, branch):
    """Neighbours and a branch, roughly as one: good enough to find the order of properties."""
    both = {**rest, **branch}
    if "properties" in rest and "properties" in branch:
        both["properties"] = {**rest["properties"], **branch["properties"]}
    both["required"] = [*rest.get("required", []), *branch.get("required", [])]
    return both
