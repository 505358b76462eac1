"""Answers to requests that came with an idempotency key: Powertools Idempotency over the control table.

What is kept can be read by nobody but who knows the key: of the key there is a hash only, and the answer, which may
show a phone, is sealed with another hash of it. So the promise that a deleted client leaves no phone behind holds here.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)
from joserfc import jwe
from joserfc.jwk import OctKey

from chalicelib.adapters.dynamodb import DynamoDB
from chalicelib.adapters.model_errors import stale, translated_model
from chalicelib.adapters.tables import ControlItem
from chalicelib.errors import InProgressError, ReusedKeyError, StaleError, TransientError
from chalicelib.ports import Clock

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = logging.getLogger(__name__)

KEPT = timedelta(hours=24)
PREFIX = "idempotency"
_SEAL = {"alg": "dir", "enc": "A256GCM"}
Answer = dict[str, Any]


class _NotToBeKept(Exception):  # noqa: N818 - no error: it is how Powertools is told to forget an attempt
    pass


@dataclass(frozen=True, slots=True)
class Given:
    """An answer of JSON's types; `replayed`: it is that of an earlier request."""

    answer: Answer
    replayed: bool


class KeptAnswers:
    """Answers by idempotency key."""

    def __init__(self, dynamodb: DynamoDB, clock: Clock) -> None:
        self._clock = clock
        self._store = DynamoDBPersistenceLayer(
            table_name=ControlItem.Meta.table_name,
            key_attr="name",
            expiry_attr="expires_at",
            in_progress_expiry_attr="in_progress_until",
            data_attr="answer",
            validation_key_attr="asked",
            boto3_client=dynamodb.client,
        )

    def once(
        self,
        scope: Sequence[str],
        asked: bytes,
        context: "LambdaContext",
        work: Callable[[], Answer],
        is_kept: Callable[[Answer], bool],
    ) -> Given:
        """Answer a request, unless it was answered within 24 hours: then as it was.

        Args:
            scope: whose key of what it is, and the key.
            asked: what tells this request from another one with that key.
            context: of the function, whose end frees the key if it should be killed.
            work: answers; must not raise.
            is_kept: whether an answer is worth keeping; if not, the key is free again.

        Raises:
            InProgressError: the same request is being answered.
            ReusedKeyError: the key was used for another request.
            TransientError: the table does not answer; nothing was done.
        """
        secret = _derived(scope)
        done: list[Answer] = []

        def attempt(*, request: dict[str, Any]) -> str:  # noqa: ARG001 - Powertools takes it by this name
            done.append(work())
            if not is_kept(done[0]):
                raise _NotToBeKept
            return jwe.encrypt_compact(_SEAL, json.dumps(done[0]).encode(), secret)

        config = IdempotencyConfig(
            event_key_jmespath="scope",
            payload_validation_jmespath="asked",
            raise_on_no_idempotency_key=True,
            expires_after_seconds=int(KEPT.total_seconds()),
            hash_function="sha256",
            lambda_context=context,
        )
        run = idempotent_function(
            attempt,
            data_keyword_argument="request",
            persistence_store=self._store,
            config=config,
            key_prefix=PREFIX,
        )
        fingerprint = hmac.new(secret.raw_value, asked, hashlib.sha256).hexdigest()
        try:
            sealed = run(request={"scope": list(scope), "asked": fingerprint})
        except _NotToBeKept:
            pass
        except IdempotencyValidationError as error:
            raise ReusedKeyError("this key was used for another request") from error
        except (IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError) as error:
            raise InProgressError("a request with this key is being answered") from error
        except IdempotencyPersistenceLayerError as error:
            if not done:
                raise TransientError(f"idempotency keys cannot be kept: {error}") from error
            # What was done is done, and its answer must be heard: who is told to try again might have it done twice.
            logger.warning("answer not kept", extra={"error": str(error)})
        if done:
            return Given(done[0], replayed=False)
        return Given(json.loads(jwe.decrypt_compact(sealed, secret).plaintext or b""), replayed=True)

    def id_for(self, scope: Sequence[str], asked: bytes, new_id: str) -> str:
        """Settle the id of what a request creates, before it does: each attempt of a day gets that of the first.

        So an attempt of which nobody knows how it ended (a function killed, an answer lost) creates nothing twice: the
        next one finds what is there.

        Raises:
            TransientError: the table does not answer.
        """
        name = hmac.new(_derived(scope).raw_value, b"id\n" + asked, hashlib.sha256).hexdigest()
        item = ControlItem(f"{PREFIX}#{name}")
        now = self._clock()
        created_id, expires_at = ControlItem.created_id, ControlItem.expires_at
        try:
            with stale("the id is of another day"):
                item.update(
                    actions=[created_id.set(created_id | new_id), expires_at.set(expires_at | (now + KEPT))],
                    condition=expires_at.does_not_exist() | (expires_at > now),
                )
        except StaleError:
            with translated_model():
                item.update(actions=[created_id.set(new_id), expires_at.set(now + KEPT)])
        return str(item.created_id)


def _derived(scope: Sequence[str]) -> OctKey:
    """Make the key that seals an answer, which the hash in its item's name does not tell."""
    return OctKey.import_key(hashlib.sha256(b"vestnik answer\n" + json.dumps(list(scope)).encode()).digest())
