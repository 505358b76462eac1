"""The functions' roles as the emulator understands them."""

import json
from typing import Any


def allow_in_other_words(iam: Any, stack_name: str) -> None:  # noqa: ANN401 - boto3's clients are made at run time
    """Allow what the roles allow in the words by which the emulator asks for it.

    It looks for every schedule in the group `default`. It asks for sqs:SendMessageBatch, sqs:DeleteMessageBatch and
    sqs:ChangeMessageVisibilityBatch, and for dynamodb:BatchExecuteStatement on no table in particular, where AWS asks
    for sqs:SendMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility and dynamodb:PartiQLUpdate or PartiQLInsert: of
    PartiQL it is seen who may use it, not on what. It names a log group without the `:*` that AWS has at its end. Nor
    does it know of which identity ses:SendRawEmail is.
    """
    for role in (role["RoleName"] for role in iam.list_roles()["Roles"]):
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            for statement in list(document["Statement"]):
                if "sqs:SendMessage" in statement["Action"]:
                    statement["Action"] = ["sqs:SendMessage", "sqs:SendMessageBatch"]
                if "sqs:ChangeMessageVisibility" in statement["Action"]:
                    statement["Action"].append("sqs:ChangeMessageVisibilityBatch")
                if "sqs:DeleteMessage" in statement["Action"]:
                    statement["Action"].append("sqs:DeleteMessageBatch")
                if statement["Action"][0].startswith("logs:"):
                    groups = statement["Resource"]
                    groups = groups if isinstance(groups, list) else [groups]
                    statement["Resource"] = [*groups, *(name.removesuffix(":*") for name in groups)]
                if "ses:SendRawEmail" in statement["Action"]:
                    statement["Resource"] = "*"
                if {"dynamodb:PartiQLUpdate", "dynamodb:PartiQLInsert"} & set(statement["Action"]):
                    batch = {"Effect": "Allow", "Action": "dynamodb:BatchExecuteStatement", "Resource": "*"}
                    document["Statement"].append(batch)
            said = json.dumps(document).replace(f":schedule/{stack_name}/", ":schedule/default/")
            iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=said)
