from pydantic import Field

from chalicelib.api.schemas import WireModel


class ProblemResponse(WireModel):
    """Why a request failed, as RFC 9457 has it."""

    type: str = Field(description="always about:blank: the status says it")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="for people")
    instance: str = Field(description="names the request")
    request_id: str = Field(description="the same as in X-Request-Id; the log has it")


class InvalidFieldResponse(WireModel):
    """A field that is not valid."""

    field: str = Field(description="its path, with dots; `body` where it is the whole")
    message: str = Field(description="for people")


class InvalidResponse(ProblemResponse):
    """Which fields of a request are not valid."""

    errors: list[InvalidFieldResponse] = Field(description="at most 100 of them")
