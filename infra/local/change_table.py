"""What a change set would do, in words: for who has to say yes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Change = Mapping[str, Any]
"""As describe_change_set has it: Action, LogicalResourceId, ResourceType, Replacement, Details, …"""

HOLDING_DATA = frozenset({"AWS::DynamoDB::Table", "AWS::S3::Bucket"})
HIDDEN = "(hidden)"
_HEADER = ("action", "resource", "type", "replaced", "because of")


def change_lines(changes: Sequence[Change]) -> Iterator[str]:
    """Yield a line for each resource below the names of the columns; what is lost comes first."""
    ordered = sorted(
        changes, key=lambda change: (not _loses(change), change["ResourceType"], change["LogicalResourceId"])
    )
    yield from aligned([_HEADER, *map(_row, ordered)])


def losses(changes: Sequence[Change]) -> list[str]:
    """Say of each table and bucket that would be replaced or removed what becomes of its content."""
    return [_loss(change) for change in changes if _loses(change)]


def parameter_lines(
    declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, str], earlier: Mapping[str, str]
) -> Iterator[str]:
    """Yield a line for each parameter that changes: from what, to what; secret values never.

    Args:
        declared: the template's parameters.
        given: the values that are asked for.
        earlier: the values that the stack has; the rest have their defaults.
    """
    rows = []
    for name in sorted(given):
        before = earlier.get(name, str(declared[name].get("Default", "")))
        if declared[name].get("NoEcho"):
            rows.append((name, HIDDEN if earlier else "", "->", HIDDEN))
        elif given[name] != before:
            rows.append((name, before or '""', "->", given[name] or '""'))
    yield from aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows with their columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(change: Change) -> tuple[str, ...]:
    replaced = {"True": "yes", "Conditional": "perhaps"}.get(change.get("Replacement", ""), "")
    return (
        change["Action"].lower(),
        change["LogicalResourceId"],
        change["ResourceType"].removeprefix("AWS::"),
        replaced,
        ", ".join(_causes(change)),
    )


def _causes(change: Change) -> list[str]:
    """Name the properties that change, and the parameters that they take it from."""
    causes: dict[str, set[str]] = {}
    for detail in change.get("Details", []):
        target = detail["Target"]
        entities = causes.setdefault(target.get("Name") or target.get("Attribute", ""), set())
        entities.update([detail["CausingEntity"]] if detail.get("CausingEntity") else [])
    return [
        f"{what} ({', '.join(sorted(entities))})" if entities else what for what, entities in sorted(causes.items())
    ]


def _loses(change: Change) -> bool:
    replaced = change["Action"] == "Modify" and change.get("Replacement") in {"True", "Conditional"}
    return change["ResourceType"] in HOLDING_DATA and (replaced or change["Action"] == "Remove")


def _loss(change: Change) -> str:
    name = f"{change['LogicalResourceId']} ({change.get('PhysicalResourceId', change['ResourceType'])})"
    if change["Action"] == "Remove":
        return f"{name} LEAVES THE STACK: {_fate(change, 'it is deleted with all it holds')}"
    may = "MAY BE" if change["Replacement"] == "Conditional" else "IS"
    return f"{name} {may} REPLACED by an empty one: {_fate(change, 'the old one is deleted with all it holds')}"


def _fate(change: Change, deleted: str) -> str:
    retained = "Retain" in change.get("PolicyAction", "")
    return "what it holds stays, and nothing reads it any more" if retained else deleted
