"""List prices of AWS in us-east-1, USD, first tier, without the free tier; looked up on 2026-11-23.

AWS publishes no dated list. Each price names the page that binds; the latest accounts of them that were found were of
June 2026.
"""

from dataclasses import dataclass

MILLION = 1_000_000
GB = 1024**3


@dataclass(frozen=True, slots=True)
class Price:
    """So many USD for so many units; `source`: the page that says so."""

    usd: float
    units: float
    source: str

    def of(self, quantity: float) -> float:
        """Return what a quantity costs, USD."""
        return self.usd * quantity / self.units


# On demand, standard tables; halved in November 2024.
WRITE_UNITS = Price(0.625, MILLION, "https://aws.amazon.com/dynamodb/pricing/on-demand/")
READ_UNITS = Price(0.125, MILLION, "https://aws.amazon.com/dynamodb/pricing/on-demand/")
# x86, which is what a template without `Architectures` gets; arm64: 0.0000133334.
LAMBDA_GB_SECONDS = Price(0.0000166667, 1, "https://aws.amazon.com/lambda/pricing/")
LAMBDA_REQUESTS = Price(0.20, MILLION, "https://aws.amazon.com/lambda/pricing/")
# A standard queue, and what messages with a group cost above that (fair queues): counted for all of its requests.
# A request is up to 64 KB; ten of our tickets are a tenth of that.
SQS_REQUESTS = Price(0.40 + 0.10, MILLION, "https://aws.amazon.com/sqs/pricing/")
LOGGED_BYTES = Price(0.50, GB, "https://aws.amazon.com/cloudwatch/pricing/")
API_REQUESTS = Price(3.50, MILLION, "https://aws.amazon.com/api-gateway/pricing/")
SCHEDULES = Price(1.00, MILLION, "https://aws.amazon.com/eventbridge/pricing/")
SECRET_CALLS = Price(0.05, 10_000, "https://aws.amazon.com/secrets-manager/pricing/")
LOGS_KEPT_GB = Price(0.03, 1, "https://aws.amazon.com/cloudwatch/pricing/")
# A month each, standard resolution.
ALARMS = Price(0.10, 1, "https://aws.amazon.com/cloudwatch/pricing/")
METRICS = Price(0.30, 1, "https://aws.amazon.com/cloudwatch/pricing/")
SECRETS = Price(0.40, 1, "https://aws.amazon.com/secrets-manager/pricing/")
# A GB a month.
STORED_GB = Price(0.25, 1, "https://aws.amazon.com/dynamodb/pricing/on-demand/")
RECOVERABLE_GB = Price(0.20, 1, "https://aws.amazon.com/dynamodb/pricing/on-demand/")
