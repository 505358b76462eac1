"""Count an audience by time zone, as it is now; a huge one by a sample."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from chalicelib.domain.audience import AudienceFilter, Member, shards_to_read
from chalicelib.ports import AudienceRepository, ClientRepository, Clock

TIME_TO_READ = timedelta(seconds=6)  # of the 29 that API Gateway waits
PAGE = 1000
PARALLEL_READS = 8  # below the ten connections that a boto3 client keeps


@dataclass(frozen=True, slots=True)
class AudienceCount:
    """How many clients a filter means.

    Attributes:
        zones: by time zone, those who would get a message.
        suppressed: those who would not.
        estimated: it was worked out from a sample.
    """

    zones: Counter[str] = field(default_factory=Counter)
    suppressed: int = 0
    estimated: bool = False

    def __add__(self, other: "AudienceCount") -> "AudienceCount":
        return AudienceCount(
            self.zones + other.zones, self.suppressed + other.suppressed, self.estimated or other.estimated
        )

    def scaled(self, factor: Fraction) -> "AudienceCount":
        """Work out the whole from a sample of it."""
        zones = Counter({zone: round(number * factor) for zone, number in self.zones.items()})
        return AudienceCount(zones, round(self.suppressed * factor), estimated=True)


@dataclass(frozen=True, slots=True)
class CountAudience:
    """Reads the audience shard by shard for six seconds at most; the shards read till then stand for the others.

    The first shard always counts: what is not read of it by then is counted without being read, which takes a second
    for ten million clients, and is taken to be like what was read.
    """

    audience: AudienceRepository
    clients: ClientRepository
    clock: Clock

    def __call__(self, meant: AudienceFilter) -> AudienceCount:
        """Count everyone that a filter means."""
        stop_at = self.clock() + TIME_TO_READ
        first, *others = shards_to_read(meant)
        counts = [self._first(meant, first, stop_at)]
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            counts += (count for count in pool.map(lambda parts: self._whole(meant, parts, stop_at), others) if count)
        total = sum(counts, AudienceCount())
        missing = 1 + len(others) - len(counts)
        return total.scaled(Fraction(1 + len(others), len(counts))) if missing else total

    def _first(self, meant: AudienceFilter, parts: Sequence[str], stop_at: datetime) -> AudienceCount:
        count, read = AudienceCount(), 0
        for index, part in enumerate(parts):
            after = None
            while True:
                page = self.audience.members(part, after, PAGE)
                count, read, after = count + self._tally(meant, page.items), read + len(page.items), page.next
                if after is None:
                    break
                if self.clock() >= stop_at:
                    unread = self.audience.count(part, after)
                    unread += sum(self.audience.count(later, None) for later in parts[index + 1 :])
                    return count.scaled(Fraction(read + unread, read))
        return count

    def _whole(self, meant: AudienceFilter, parts: Sequence[str], stop_at: datetime) -> AudienceCount | None:
        """Count a shard; None if there is no time for all of it."""
        count = AudienceCount()
        for part in parts:
            after = None
            while True:
                if self.clock() >= stop_at:
                    return None
                page = self.audience.members(part, after, PAGE)
                count, after = count + self._tally(meant, page.items), page.next
                if after is None:
                    break
        return count

    def _tally(self, meant: AudienceFilter, members: Sequence[Member]) -> AudienceCount:
        matching = [member for member in members if meant.matches(member)]
        to_get = [member for member in matching if not member.suppressed]
        zones = Counter(member.timezone for member in to_get if member.timezone is not None)
        # Members that were stored before their zone was.
        if old := [member.client_id for member in to_get if member.timezone is None]:
            zones.update(client.timezone for client in self.clients.get_many(old).values())
        return AudienceCount(zones, len(matching) - len(to_get))
