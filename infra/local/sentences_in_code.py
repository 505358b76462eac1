"""Sentences that people read, found in the syntax of Python code."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

SAYING = frozenset(
    {
        *("ConflictError", "FieldError", "HttpError", "NotFoundError", "UnreadableFileError", "ValueError"),
        *("Refusal", "sentence"),
        "__init__",  # of an error that says always the same
    }
)
"""What is called with a sentence."""

Assigned = Mapping[str, list[ast.expr]]


def sentences_in(module: ast.Module, *, all_returned: bool = False) -> Iterator[str]:
    """Yield the sentences of a module, each value in them as a placeholder `{name}`.

    Args:
        module: its syntax.
        all_returned: whatever its functions return is said.

    Raises:
        ValueError: a sentence is put together in a way that leaves a translator no whole.
    """
    assigned: defaultdict[str, list[ast.expr]] = defaultdict(list)
    said: list[ast.expr] = []
    for node in ast.walk(module):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                assigned[name].append(value)
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)) if called in SAYING:
                said += node.args
            case ast.Return(value=ast.expr() as value) if all_returned:
                said.append(value)
    for expression in said:
        yield from _sentences(expression, assigned)


def _sentences(expression: ast.expr, assigned: Assigned) -> Iterator[str]:
    match expression:
        case ast.Constant(value=str(text)):
            yield from _if_words(_escaped(text))
        case ast.JoinedStr(values=parts):
            yield from _if_words(_template(parts))
            for part in parts:
                if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name | ast.IfExp):
                    yield from _sentences(part.value, assigned)
        case ast.IfExp(body=body, orelse=otherwise):
            yield from _sentences(body, assigned)
            yield from _sentences(otherwise, assigned)
        case ast.Name(id=name):
            for value in assigned.get(name, ()):
                yield from _sentences(value, {})
        case ast.BinOp():
            raise ValueError(f"line {expression.lineno}: a sentence that is added up cannot be translated as a whole")


def _if_words(text: str) -> Iterator[str]:
    words = re.sub(r"\{\w+\}", "", text)  # names of fields and codes are one word
    if " " in words and re.search("[A-Za-z]", words):
        yield text


def _template(parts: list[ast.expr]) -> str:
    names: list[str] = []
    text = ""
    for part in parts:
        if isinstance(part, ast.FormattedValue):
            name = _name(part.value)
            if text.endswith("}"):
                raise ValueError(f"line {part.lineno}: two values side by side cannot be told apart")
            names.append(name)
            number = names.count(name)
            text += f"{{{name}}}" if number == 1 else f"{{{name}_{number}}}"
        elif isinstance(part, ast.Constant):
            text += _escaped(str(part.value))
    return text


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _name(value: ast.expr) -> str:
    """Name a value as a reader of the code would."""
    while not isinstance(value, ast.Name | ast.Attribute):
        match value:
            case ast.Call(func=ast.Name(id=helper)) if helper.startswith("_"):
                return helper.strip("_")
            case (
                ast.Call(func=ast.Name(), args=[inner, *_])
                | ast.Call(func=ast.Attribute(value=ast.Constant()), args=[inner, *_])
                | ast.Call(func=ast.Attribute(value=inner))
                | ast.BoolOp(values=[inner, *_])
            ):
                value = inner
            case _:
                return "value"
    if isinstance(value, ast.Attribute) and value.attr.isupper():
        return _name(value.value)  # a member of an enumeration: what it is of says more
    return (value.attr if isinstance(value, ast.Attribute) else value.id).strip("_").lower()
