from pydantic import Field

from chalicelib.api.schemas import WireModel


class ProblemResponse(WireModel):
    """Why a request failed, as RFC 9457 has it."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(description="the status in words", examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="for people", examples=["there is no such client"])
    instance: str = Field(examples=["urn:vestnik:request:4f8a1f0e-0000-4000-8000-000000000001"])
    request_id: str = Field(
        description="the same as in X-Request-Id; the log has it", examples=["4f8a1f0e-0000-4000-8000-000000000001"]
    )


class InvalidFieldResponse(WireModel):
    """A field that is not valid."""

    field: str = Field(description="its path, with dots; `body` where it is the whole", examples=["window.from"])
    message: str = Field(description="for people", examples=["Field required"])


class InvalidResponse(ProblemResponse):
    """Which fields of a request are not valid."""

    errors: list[InvalidFieldResponse] = Field(description="at most 100 of them")
