"""Traces for X-Ray. Imported where tracing is on and nowhere else: the SDK would cost each cold start."""

from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools import Tracer
from aws_xray_sdk.core import xray_recorder
from aws_xray_sdk.core.lambda_launcher import LambdaContext
from aws_xray_sdk.core.models.subsegment import Subsegment

from chalicelib.correlation import ids_at_hand
from chalicelib.observability import SERVICE


class Tracing:
    """A subsegment for each call of AWS and of the provider, annotated with the ids of the work at hand.

    Annotations are what traces are found by; ids are all that there is of them: no phones, no texts.
    """

    def __init__(self) -> None:
        """Begin to trace: from here on botocore tells of each of its calls."""
        Tracer(service=SERVICE, patch_modules=["botocore"])
        xray_recorder.configure(context=_AnnotatingContext())

    @contextmanager
    def subsegment(self, name: str) -> Iterator[None]:
        """Tell of a call to somebody else than AWS."""
        with xray_recorder.in_subsegment(name, namespace="remote"):
            yield


class _AnnotatingContext(LambdaContext):  # type: ignore[misc]  # the SDK has no types
    def put_subsegment(self, subsegment: Subsegment) -> None:
        for name, id_ in ids_at_hand().items():
            subsegment.put_annotation(name, id_)
        super().put_subsegment(subsegment)
