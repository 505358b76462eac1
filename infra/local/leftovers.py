"""What a stack retains when it is deleted: its tables and its bucket of imports."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

IMPORTS = "imports"
_NAMED_BY = {"AWS::DynamoDB::Table": "TableName", "AWS::S3::Bucket": "BucketName"}


class Leftovers:
    """Tables and buckets that bear the stack's name, whether the stack is there or not."""

    def __init__(self, dynamodb: Any, s3: Any, stack_name: str, template: Mapping[str, Any]) -> None:  # noqa: ANN401 - boto3's clients are made at run time
        self._dynamodb = dynamodb
        self._s3 = s3
        self._stack_name = stack_name
        self._tables = {
            table_name(resource, stack_name)
            for resource in template["Resources"].values()
            if resource["Type"] == "AWS::DynamoDB::Table"
        }

    def names(self) -> list[str]:
        """List what is there."""
        return [*self.tables(), *self.buckets()]

    def tables(self) -> list[str]:
        """List the tables that are there."""
        pages = self._dynamodb.get_paginator("list_tables").paginate()
        return sorted(self._tables.intersection(name for page in pages for name in page["TableNames"]))

    def buckets(self) -> list[str]:
        """List the buckets: told by the beginning of their names; the rest of them is account and region."""
        beginning = f"{self._stack_name}-{IMPORTS}-"
        return [each["Name"] for each in self._s3.list_buckets()["Buckets"] if each["Name"].startswith(beginning)]

    def described(self) -> Iterator[tuple[str, str, str]]:
        """Yield kind, name and content of each: DynamoDB counts its items about every six hours."""
        for name in self.tables():
            table = self._dynamodb.describe_table(TableName=name)["Table"]
            protected = ", protected" if table.get("DeletionProtectionEnabled") else ""
            yield "table", name, f"about {table['ItemCount']} items{protected}"
        for name in self.buckets():
            files = self._s3.list_objects_v2(Bucket=name)
            yield "bucket", name, f"{files['KeyCount']}{'+' if files['IsTruncated'] else ''} files"

    def spelt_out(self, template: dict[str, Any]) -> dict[str, Any]:
        """Return the template with their names as plain text: CloudFormation takes over only what is named so."""
        there = self.names()
        resources = {}
        for logical, resource in template["Resources"].items():
            key = _NAMED_BY.get(resource["Type"])
            name = next((each for each in there if key and self._names(resource["Properties"][key], each)), None)
            resources[logical] = (
                resource if name is None else {**resource, "Properties": {**resource["Properties"], key: name}}
            )
        return {**template, "Resources": resources}

    def _names(self, said: Mapping[str, str], name: str) -> bool:
        pattern = re.escape(said["Fn::Sub"].replace("${AWS::StackName}", self._stack_name))
        return bool(re.fullmatch(re.sub(r"\\\$\\{AWS::\w+\\}", r"[a-z0-9-]+", pattern), name))

    def delete(self) -> None:
        """Delete all of it for good. DynamoDB keeps a backup of a table with point-in-time recovery for 35 days."""
        for name in self.tables():
            if self._dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
                self._dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
                self._dynamodb.get_waiter("table_exists").wait(TableName=name)
            self._dynamodb.delete_table(TableName=name)
        for name in self.tables():
            self._dynamodb.get_waiter("table_not_exists").wait(TableName=name)
        for name in self.buckets():
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=name):
                if files := [{"Key": file["Key"]} for file in page.get("Contents", [])]:
                    self._s3.delete_objects(Bucket=name, Delete={"Objects": files, "Quiet": True})
            self._s3.delete_bucket(Bucket=name)


def table_name(resource: Mapping[str, Any], stack_name: str) -> str:
    """Return the name that a table of the template has in a stack of that name."""
    said = resource["Properties"]["TableName"]
    return said if isinstance(said, str) else str(said["Fn::Sub"]).replace("${AWS::StackName}", stack_name)
