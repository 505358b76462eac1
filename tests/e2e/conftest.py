import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from embedded import EmbeddedStack, StackOptions
from probe import free_port
from tests.log_leaks import leaks_of
from tests.running_stack import RunningStack

StartStack = Callable[..., RunningStack]


@contextmanager
def starter(folders: pytest.TempPathFactory) -> Iterator[StartStack]:
    """Hand out what starts stacks; at the end all are stopped, and their logs searched for what none may have."""
    started: list[RunningStack] = []
    leaks: list[str] = []

    def start(**options: object) -> RunningStack:
        folder = folders.mktemp("stack")
        embedded = EmbeddedStack(StackOptions(folder=folder, port=free_port(), **options))  # type: ignore[arg-type]
        running = RunningStack(embedded, embedded.up(), at_the_end=lambda stack: leaks.extend(leaks_of(stack)))
        started.append(running)
        if options.get("emulator") == {"AUTH": "true"}:
            _allow_in_other_words(running)
        return running

    yield start
    for running in started:
        running.close()
    assert not leaks, "\n".join(leaks)


@pytest.fixture(scope="module")
def start_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartStack]:
    """Start a stack of one's own: `start_stack(settings={"MAX_ATTEMPTS": "3"}, parameters={...})`.

    The keywords are fields of StackOptions. The stack ends with the module, or by its `close()`: one that idles takes
    time from others.
    """
    with starter(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The stack that tests share, each function held to what its own role allows."""
    with starter(tmp_path_factory) as start:
        yield start(emulator={"AUTH": "true"})


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
