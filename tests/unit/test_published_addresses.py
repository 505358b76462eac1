from published_addresses import Published, scrape_targets

STACK = {
    "api_url": "http://aws:4566/_aws/execute-api/abc/api",
    "docs_url": "http://aws:4566/_aws/execute-api/abc/api/docs/",
    "admin_url": "http://localhost:4566/_aws/execute-api/abc/api/admin/",
    "metrics_url": "http://aws:4566/_aws/execute-api/abc/api/metrics",
    "token": "http://aws:4566/ is no part of a token",
    "provider_url": "http://provider:8080",
    "issuer_url": "http://issuer.localhost:8090",
    "aws_endpoint_url": "http://aws:4566",
    "region": "us-east-1",
    "stack_name": "vestnik-local",
}


def test_addresses_of_containers_are_shown_as_their_machine_publishes_them() -> None:
    assert Published("http://localhost:4566", "http://localhost:8080").seen_from_outside(STACK) == {
        **STACK,
        "api_url": "http://localhost:4566/_aws/execute-api/abc/api",
        "docs_url": "http://localhost:4566/_aws/execute-api/abc/api/docs/",
        "metrics_url": "http://localhost:4566/_aws/execute-api/abc/api/metrics",
        "provider_url": "http://localhost:8080",
        "aws_endpoint_url": "http://localhost:4566",
    }


def test_prometheus_is_told_host_scheme_and_path() -> None:
    assert scrape_targets(STACK["metrics_url"]) == [
        {
            "targets": ["aws:4566"],
            "labels": {"__scheme__": "http", "__metrics_path__": "/_aws/execute-api/abc/api/metrics"},
        }
    ]
