import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import pytest

from embedded import EmbeddedStack, StackOptions
from probe import free_port
from tests.log_leaks import leaks_of
from tests.running_stack import RunningStack

StartStack = Callable[..., RunningStack]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have each test that uses a stack run twice: on Lambdas and on the host, but those of Lambda alone."""
    if "on_host" in metafunc.fixturenames:
        grounds = [False] if metafunc.definition.get_closest_marker("of_lambda") else [False, True]
        ids = {False: "lambdas", True: "host"}
        metafunc.parametrize("on_host", grounds, ids=ids.get, indirect=True, scope="session")


@contextmanager
def starter(folders: pytest.TempPathFactory, *, on_host: bool = False) -> Iterator[StartStack]:
    """Hand out what starts stacks; at the end all are stopped, and their logs searched for what none may have."""
    started: list[RunningStack] = []
    leaks: list[str] = []

    def start(*, host: bool = on_host, **options: object) -> RunningStack:
        folder = folders.mktemp("stack")
        embedded = EmbeddedStack(StackOptions(folder=folder, port=free_port(), host=host, **options))  # type: ignore[arg-type]
        running = RunningStack(embedded, embedded.up(), at_the_end=lambda stack: leaks.extend(leaks_of(stack)))
        started.append(running)
        if options.get("emulator") == {"AUTH": "true"}:
            _allow_in_other_words(running)
        return running

    yield start
    for running in started:
        running.close()
    assert not leaks, "\n".join(leaks)


@pytest.fixture(scope="session")
def on_host(request: pytest.FixtureRequest) -> bool:
    """Tell whether the functions' work is done by the host (infra/host) and not by Lambdas."""
    return bool(getattr(request, "param", False))


@pytest.fixture(scope="module")
def start_stack(tmp_path_factory: pytest.TempPathFactory, *, on_host: bool) -> Iterator[StartStack]:
    """Start a stack of one's own: `start_stack(settings={"MAX_ATTEMPTS": "3"}, parameters={...})`.

    The keywords are fields of StackOptions. The stack ends with the module, or by its `close()`: one that idles takes
    time from others.
    """
    with starter(tmp_path_factory, on_host=on_host) as start:
        yield start


@pytest.fixture(scope="session")
def shared_stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bool], RunningStack]]:
    """Start the shared stack of Lambdas, or that of the host, when it is first asked for."""
    with starter(tmp_path_factory) as start:
        yield cache(lambda host: start(host=host, emulator={"AUTH": "true"}))


@pytest.fixture(scope="session")
def stack(shared_stacks: Callable[[bool], RunningStack], *, on_host: bool) -> RunningStack:
    """The stack that tests share, each function held to what its own role allows."""
    return shared_stacks(on_host)


def _allow_in_other_words(stack: RunningStack) -> None:
    """Allow what the roles allow in the words by which the emulator asks for it.

    It looks for every schedule in the group `default`. It asks for sqs:SendMessageBatch and
    sqs:ChangeMessageVisibilityBatch, and for dynamodb:BatchExecuteStatement on no table in particular, where AWS asks
    for sqs:SendMessage, sqs:ChangeMessageVisibility and dynamodb:PartiQLUpdate: of PartiQL it is seen who may use it,
    not on what. It names a log group without the `:*` that AWS has at its end. Nor does it know of
    which identity ses:SendRawEmail is.
    """
    iam = stack.client("iam")
    for role in (role["RoleName"] for role in iam.list_roles()["Roles"]):
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            for statement in list(document["Statement"]):
                if "sqs:SendMessage" in statement["Action"]:
                    statement["Action"] = ["sqs:SendMessage", "sqs:SendMessageBatch"]
                if "sqs:ChangeMessageVisibility" in statement["Action"]:
                    statement["Action"].append("sqs:ChangeMessageVisibilityBatch")
                if "logs:FilterLogEvents" in statement["Action"]:
                    statement["Resource"] = [name.removesuffix(":*") for name in statement["Resource"]]
                if "ses:SendRawEmail" in statement["Action"]:
                    statement["Resource"] = "*"
                if "dynamodb:PartiQLUpdate" in statement["Action"]:
                    batch = {"Effect": "Allow", "Action": "dynamodb:BatchExecuteStatement", "Resource": "*"}
                    document["Statement"].append(batch)
            said = json.dumps(document).replace(f":schedule/{stack.info.stack_name}/", ":schedule/default/")
            iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=said)
