"""Every place at which the code calls AWS, found by reading it, and the place of a call that is under way.

A site is a public function of an adapter with an operation that it asks AWS for, by itself or through private helpers.
`DynamoDB` (adapters/dynamodb.py) calls on behalf of others: whoever uses one of its methods is the site.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.session
from botocore import xform_name

if TYPE_CHECKING:
    from types import FrameType

PACKAGE = Path(__file__).parents[2] / "chalicelib"
_PREFIX = f"{PACKAGE}/"
ADAPTERS = "adapters/"
GATEWAY = "adapters/dynamodb.py"
# They ask on behalf of others, too: the caller of a site is whoever used them.
_FOR_OTHERS = frozenset({"services/arming.py", "services/existing.py"})
_GATEWAY_CLASS = "DynamoDB"
_GATEWAY_ATTRIBUTE = "_dynamodb"
_PYNAMODB = {
    "batch_get": "BatchGetItem",
    "batch_write": "BatchWriteItem",
    "count": "Query",
    "delete": "DeleteItem",
    "get": "GetItem",
    "query": "Query",
    "refresh": "GetItem",
    "save": "PutItem",
    "scan": "Scan",
    "update": "UpdateItem",
}
_PYNAMODB_TRANSACTIONS = {"TransactGet": "TransactGetItems", "TransactWrite": "TransactWriteItems"}
_IDEMPOTENCY = {"idempotent_function": {"PutItem", "UpdateItem", "DeleteItem"}}  # of Powertools, over DynamoDB
# What the readers of Powertools Parameters ask for, and where.
_PARAMETERS = {"SecretsProvider": ("secretsmanager", "GetSecretValue"), "SSMProvider": ("ssm", "GetParameter")}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, order=True)
class Site:
    """Where AWS is called.

    Attributes:
        file: relative to the package.
        function: qualified by its class.
        operation: as AWS names it.
    """

    file: str
    function: str
    operation: str

    def __str__(self) -> str:
        """Name it in few words."""
        return f"{self.function} {self.operation}"


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """A site as one caller, a function of a service or of the API, comes to it."""

    site: Site
    caller: str

    def __str__(self) -> str:
        """Name it in few words."""
        return f"{self.site} < {self.caller}"


def current_use(operation: str) -> Use | None:
    """Tell by the stack at which site this thread is, and who led it there; None outside the package."""
    frames = list(_our_frames())
    for index, (file, function) in enumerate(frames):
        if file != GATEWAY and _is_public(function):
            callers = (
                by for from_, by in frames[index:] if not from_.startswith(ADAPTERS) and from_ not in _FOR_OTHERS
            )
            return Use(Site(file, function, operation), next(callers, "a thread"))
    return None


def _our_frames() -> Iterator[tuple[str, str]]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_PREFIX):
            # Comprehensions, lambdas and nested functions count as the function in which they stand.
            yield code.co_filename.removeprefix(_PREFIX), code.co_qualname.partition(".<locals>")[0]
        frame = frame.f_back


def find_sites(package: Path = PACKAGE) -> set[Site]:
    """Read the source of the adapters and list all sites; elsewhere `query` and the like are other things."""
    trees = {path.relative_to(package).as_posix(): ast.parse(path.read_text()) for path in package.rglob("*.py")}
    operations = _operations(trees.values())
    models = _models(trees.values())
    modules = {file: _Module(file, tree, operations, models) for file, tree in trees.items()}
    gateway = modules[GATEWAY].asked_by_methods(_GATEWAY_CLASS) if GATEWAY in modules else {}
    return {
        site
        for file, module in modules.items()
        if file.startswith(ADAPTERS) and file != GATEWAY
        for site in module.sites(gateway)
    }


@dataclass
class _Function:
    """What one function does: `asks` for operations, `uses` private helpers and methods of the gateway."""

    asks: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    uses_of_gateway: set[str] = field(default_factory=set)


class _Module:
    """The functions of one module, by qualified name."""

    def __init__(self, file: str, tree: ast.Module, operations: Mapping[str, str], models: set[str]) -> None:
        self._file = file
        self._operations = operations
        self._models = models
        self._parameters = {_PARAMETERS[name][1] for name in _names_in(tree) if name in _PARAMETERS}
        self._functions = {name: self._read(name, node) for name, node in _functions(tree)}

    def asked_by_methods(self, class_: str) -> dict[str, set[str]]:
        """Say what each method of a class asks for."""
        return {
            name.removeprefix(f"{class_}."): self._asked(name, {}, set())
            for name in self._functions
            if name.startswith(f"{class_}.")
        }

    def sites(self, gateway: Mapping[str, set[str]]) -> Iterator[Site]:
        """List the sites; a helper that nobody uses is one by itself, at which no call ever arrives."""
        used = {name for function in self._functions.values() for name in function.uses}
        for name in self._functions:
            if _is_public(name) or name not in used:
                for operation in self._asked(name, gateway, set()):
                    yield Site(self._file, name, operation)

    def _asked(self, name: str, gateway: Mapping[str, set[str]], seen: set[str]) -> set[str]:
        if name in seen or name not in self._functions:
            return set()
        seen.add(name)
        function = self._functions[name]
        asked = set(function.asks)
        for used in function.uses:
            asked |= self._asked(used, gateway, seen)
        for used in function.uses_of_gateway:
            asked |= gateway.get(used, set())
        return asked

    def _read(self, name: str, node: FunctionNode) -> _Function:
        found = _Function()
        models = self._models | set(_items_in(node, self._models))
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute):
                self._read_attribute(found, name, part, models)
            elif isinstance(part, ast.Name):
                found.uses |= {part.id} - {name}
                found.asks |= _IDEMPOTENCY.get(part.id, set())
                if part.id in _PYNAMODB_TRANSACTIONS:
                    found.asks.add(_PYNAMODB_TRANSACTIONS[part.id])
            elif isinstance(part, ast.Call) and _method(part) == "get_paginator":
                (of,) = part.args
                found.asks.add(self._operations[ast.literal_eval(of)])
        found.uses = {used for used in found.uses if not _is_public(used)}
        return found

    def _read_attribute(self, found: _Function, name: str, part: ast.Attribute, models: set[str]) -> None:
        owner = part.value
        last = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
        if last in {"self", "cls"}:
            found.uses.add(f"{name.rpartition('.')[0]}.{part.attr}")
        elif last == _GATEWAY_ATTRIBUTE:
            found.uses_of_gateway.add(part.attr)
        elif part.attr in _PYNAMODB and models & _names_in(owner):
            found.asks.add(_PYNAMODB[part.attr])
        elif part.attr == "get" and last.endswith("provider"):
            found.asks |= self._parameters
        elif part.attr in self._operations:
            found.asks.add(self._operations[part.attr])


def _operations(trees: Collection[ast.Module]) -> dict[str, str]:
    """List the methods of all boto3 clients that the package makes, with the operations that they stand for."""
    services = {
        service
        for tree in trees
        for name in _names_in(tree)
        if name in _PARAMETERS
        for service in [_PARAMETERS[name][0]]
    }
    for tree in trees:
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and _method(call) in {"client", "resource"} and call.args:
                services.add(ast.literal_eval(call.args[0]))
    session = botocore.session.get_session()
    return {
        xform_name(operation): operation
        for service in services
        for operation in session.get_service_model(service).operation_names
    }


def _models(trees: Collection[ast.Module]) -> set[str]:
    """Name PynamoDB's models and the functions that return one."""
    bases: dict[str, set[str]] = defaultdict(set)
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases[node.name] |= {base.id for base in node.bases if isinstance(base, ast.Name)}
    models = {name for name, of in bases.items() if "Model" in of}
    makers = {
        name.rpartition(".")[2]
        for tree in trees
        for name, function in _functions(tree)
        if function.returns is not None and models & _names_in(function.returns)
    }
    return models | makers


def _items_in(node: FunctionNode, models: set[str]) -> Iterator[str]:
    """Name a function's parameters and variables that hold an item of a model."""
    for argument in [*node.args.args, *node.args.kwonlyargs]:
        if argument.annotation is not None and models & _names_in(argument.annotation):
            yield argument.arg
    for part in ast.walk(node):
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Call):
            made = part.value.func
            if isinstance(made, ast.Name) and made.id in models:
                yield from (target.id for target in part.targets if isinstance(target, ast.Name))


def _functions(tree: ast.Module) -> Iterator[tuple[str, FunctionNode]]:
    for node in tree.body:
        if isinstance(node, FunctionNode):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{inner.name}", inner) for inner in node.body if isinstance(inner, FunctionNode))


def _method(call: ast.Call) -> str | None:
    return call.func.attr if isinstance(call.func, ast.Attribute) else None


def _names_in(node: ast.AST) -> set[str]:
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return names | {alias.name for part in ast.walk(node) if isinstance(part, ast.ImportFrom) for alias in part.names}


def _is_public(function: str) -> bool:
    name = function.rpartition(".")[2]
    return not name.startswith("_") or name.endswith("__")
