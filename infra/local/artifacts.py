"""The bucket that CloudFormation reads code and templates from: private, versioned, named by account and region."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_MISSING = {"404", "NoSuchBucket"}


class Artifacts:
    """Files by their content: what has a key is never another thing."""

    def __init__(self, s3: Any, account: str, bucket: str | None = None) -> None:  # noqa: ANN401 - boto3's clients are made at run time
        self._s3 = s3
        self._account = account
        self.bucket = bucket or f"vestnik-artifacts-{account}-{s3.meta.region_name}"

    def put(self, key: str, content: bytes) -> None:
        """Store the content unless the key is there; make the bucket if need be.

        The owner is asked for each time: anybody could have made a bucket of that name first.
        """
        self._make_bucket()
        if not self._is_there(key):
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=content, ExpectedBucketOwner=self._account)

    def url(self, key: str) -> str:
        """Return the address by which CloudFormation finds a template."""
        return f"{self._s3.meta.endpoint_url}/{self.bucket}/{key}"

    def _is_there(self, key: str) -> bool:
        return self._found(lambda: self._s3.head_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=self._account))

    def _make_bucket(self) -> None:
        if self._found(lambda: self._s3.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=self._account)):
            return
        region = self._s3.meta.region_name
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self._s3.create_bucket(Bucket=self.bucket, **place)
        self._s3.put_public_access_block(Bucket=self.bucket, PublicAccessBlockConfiguration=_BLOCKED)
        self._s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self._s3.put_bucket_encryption(
            Bucket=self.bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        )

    @staticmethod
    def _found(look: Callable[[], object]) -> bool:
        try:
            look()
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return False
            raise
        return True
