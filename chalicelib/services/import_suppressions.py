"""What an import of suppressions does with its rows."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from chalicelib.domain.bulk_import import Import
from chalicelib.domain.suppression import Suppression
from chalicelib.ports import Clock, SuppressionRepository
from chalicelib.services.follow_client import FollowClient
from chalicelib.services.import_shares import store_in_shares


@dataclass(frozen=True, slots=True)
class ImportSuppressions:
    """Suppresses phones; open messages of the clients who have them are cancelled.

    It may be done again with the same phones: those that are suppressed stay as they are and are not counted, and
    what is open is cancelled again.
    """

    suppressions: SuppressionRepository
    follow_client: FollowClient
    clock: Clock
    executor: Executor

    def __call__(self, under: Import, phones: Sequence[str]) -> None:
        """Suppress phones, and count under the import those that were not suppressed before.

        Raises:
            TransientError: not all of them are.
        """
        store_in_shares(self.executor, partial(self._suppress, under), list(dict.fromkeys(phones)))

    def _suppress(self, under: Import, shard: int, phones: Sequence[str]) -> Sequence[str]:
        now = self.clock()
        clients = self.suppressions.add_many([Suppression(phone, now) for phone in phones], under, shard)
        for client in clients.values():
            if client and client.suppressed:
                self.follow_client.as_far_as_it_goes(client.id, client)
        return [phone for phone in phones if phone not in clients]
