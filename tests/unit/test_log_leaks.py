import json

import pytest

from tests.log_leaks import Confidential, find_leaks

SECRET, TEXT, PHONE = "s3cret-of-the-provider", 'Весна: "-20 %"', "79161234567"
SEALED = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAAAAAAAAAAAAAA.c2VhbGVk.dGFn"
SIGNED = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmVk"
KNOWN = Confidential(frozenset({SECRET}), frozenset({TEXT, "0"}), frozenset({PHONE}))


@pytest.mark.parametrize(
    ("line", "what", "hidden"),
    [
        (f"Authorization: Bearer {SECRET}", "a secret", SECRET),
        (json.dumps({"error": f"no room for {SIGNED} here"}), "a token", "eyJzdWIi"),
        (f"Cookie: vestnik={SEALED}; a=b", "a token", "c2VhbGVk"),
        (json.dumps({"body": TEXT}), "a text", "20 %"),
        (json.dumps({"body": TEXT}, ensure_ascii=False), "a text", "20 %"),
        (f"sending {TEXT}", "a text", "20 %"),
        (json.dumps({"phone": PHONE}), "a phone", PHONE),
        (f"id{PHONE}x", "a phone", PHONE),
        (json.dumps({"phone": 79990000001}), "a phone", "79990000001"),
        (json.dumps({"message_id": int(PHONE)}), "a phone", PHONE),
        (json.dumps({"message_id": 7, "account": 79990000001}), "a phone", "79990000001"),
        ("GET /clients?phone=79990000001 200", "a phone", "79990000001"),
    ],
)
def test_what_is_confidential_is_found_and_not_shown(line: str, what: str, hidden: str) -> None:
    (leak,) = find_leaks({"quiet": ["nothing"], "vestnik-sender": ["before", line]}, KNOWN)

    assert leak.startswith(f"{what} in vestnik-sender: ")
    assert hidden in line
    assert hidden not in leak


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"phone": "*******4567", "text_length": 14, "duration_ms": 0}),
        json.dumps({"message_id": 4579161234567370, "at": 1_779_161_234_567}),
        json.dumps({"message_id": 79161000000, "message_ids": [7, 79161000001, 79161000002]}),
        json.dumps({"message_id": 79161000000}, separators=(",", ":")),
        "POST /v1/send/79161000000 and GET /messages/79161000000/explain",
        json.dumps({"waited": 0.79161234568, "id": "1-67891233-79161234568"}),
        json.dumps({"path": "/mailings/01M83JE3427E3MCK0QZRJNQ9ET", "etag": "eyJ"}),
    ],
)
def test_ids_moments_and_what_is_masked_are_no_leaks(line: str) -> None:
    assert list(find_leaks({"vestnik-sender": [line]}, KNOWN)) == []


def test_all_that_a_line_gives_away_is_named_and_masked() -> None:
    (leak,) = find_leaks({"vestnik-api": [f"{PHONE} {SECRET} {TEXT}"]}, KNOWN)

    assert leak == "a phone and a secret and a text in vestnik-api: ***** ***** *****"
