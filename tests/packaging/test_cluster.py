"""What pods are told, who calls them, whom they may call."""

from pathlib import Path
from typing import Any

from chalicelib.config import ReportTuning, Settings, parse
from manifests import MANIFESTS, Document
from tests.kubernetes import HOST, Manifests, labels, selects
from tests.merged_template import Part, of_type, written_out

ROOT = Path(__file__).parents[2]
STACK = "vestnik-local"
EMULATOR = {"AWS::StackName": STACK, "AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "0" * 12}
OF_THE_HOST = {"SHIP_LOGS", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"}  # which are no settings of the functions


def test_what_pods_read_is_there(manifests: Manifests) -> None:
    there = {"configMapRef": manifests.of_kind("ConfigMap"), "secretRef": manifests.of_kind("Secret")}
    for name, container in manifests.containers():
        for source in container.get("envFrom", []):
            ((kind, reference),) = source.items()
            assert reference["name"] in there[kind] or reference.get("optional"), name
    for name, pod in manifests.pods().items():
        for volume in pod["spec"]["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["name"] in there["configMapRef"], name


def test_each_deployment_of_the_host_has_a_name_of_its_own_to_aws(manifests: Manifests) -> None:
    accounts = manifests.of_kind("ServiceAccount")

    assert {name: manifests.pods()[name]["spec"]["serviceAccountName"] for name in HOST} == {
        name: name for name in accounts
    }
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())


def test_services_and_the_ingress_lead_to_pods(manifests: Manifests) -> None:
    for name, service in manifests.of_kind("Service").items():
        (pod,) = (
            pod
            for pod in manifests.pods().values()
            if selects({"matchLabels": service["spec"]["selector"]}, labels(pod))
        )
        offered = {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= offered, name
    (ingress,) = manifests.of_kind("Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = manifests.of_kind("Service")[backend["name"]]
    assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
    assert [each["hosts"] for each in ingress["spec"]["tls"]] == [[rule["host"]]]


def test_gunicorn_listens_where_the_service_calls(manifests: Manifests) -> None:
    (container,) = manifests.pods()["api"]["spec"]["containers"]
    (port,) = container["ports"]

    assert container["args"][1:] == ["--bind", f"0.0.0.0:{port['containerPort']}"]


def test_nothing_goes_in_or_out_but_what_is_named(manifests: Manifests) -> None:
    policies = {name: each["spec"] for name, each in manifests.of_kind("NetworkPolicy").items()}
    closed = policies.pop("nothing-else")
    pods = {name: labels(pod) for name, pod in manifests.pods().items()}

    assert set(closed) == {"podSelector", "policyTypes"}
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert all(selects(closed["podSelector"], each) for each in pods.values())
    for name, policy in policies.items():
        selected = [pod for pod, each in pods.items() if selects(policy["podSelector"], each)]
        assert selected, name
        for rule in (*policy.get("ingress", []), *policy.get("egress", [])):
            assert rule["ports"], name
            for peer in (*rule.get("from", []), *rule.get("to", [])):
                if "podSelector" in peer:
                    assert any(selects(peer["podSelector"], each) for each in pods.values()), name
        for rule in policy.get("ingress", []):
            assert {each["port"] for each in rule["ports"]} == {
                port for pod in selected for port in ports(manifests, pod)
            }


def ports(manifests: Manifests, pod: str) -> set[int]:
    """Return what the containers of a workload listen on."""
    containers = manifests.pods()[pod]["spec"]["containers"]
    return {port["containerPort"] for container in containers for port in container.get("ports", [])}


def test_only_namespaces_with_the_label_call_the_api(local: Manifests) -> None:
    entering = [
        rule["from"]
        for policy in local.of_kind("NetworkPolicy").values()
        if selects(policy["spec"]["podSelector"], labels(local.pods()["api"]))
        for rule in policy["spec"].get("ingress", [])
    ]

    assert entering == [[{"namespaceSelector": {"matchLabels": {"may-call-vestnik": "true"}}}]]


def test_pods_are_told_on_the_emulator_what_the_functions_are_told(local: Manifests, template: Part) -> None:
    told = {name: value for name, value in local.settings().items() if name not in OF_THE_HOST}
    endpoint = local.settings()["AWS_ENDPOINT_URL"]
    names: dict[str, Any] = {
        name: str(each.get("Default", "")) for name, each in template["Parameters"].items()
    } | EMULATOR
    for name, queue in of_type(template, "AWS::SQS::Queue").items():
        queue_name = written_out(queue["QueueName"], names)
        names[name] = f"{endpoint}/{'0' * 12}/{queue_name}"
        names[f"{name}.Arn"] = f"arn:aws:sqs:us-east-1:{'0' * 12}:{queue_name}"
    names["ImportsBucket"] = written_out(of_type(template, "AWS::S3::Bucket")["ImportsBucket"]["BucketName"], names)
    names["SchedulerRole.Arn"] = told["SCHEDULER_ROLE_ARN"]  # which nobody asks for
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    of_the_stack = {name: value for name, value in written_out(variables, names).items() if value}
    deployed = {each["name"]: each["value"] for each in job_container(local)["env"]}
    given = {name: value for name, value in deployed.items() if not name.startswith("AWS_")}

    assert told == of_the_stack | given | {"MAILINGS_STARTED_BY": "clock"}
    assert deployed["AWS_ENDPOINT_URL"] == endpoint


def job_container(local: Manifests) -> Document:
    (container,) = local.of_kind("Job")["deploy"]["spec"]["template"]["spec"]["containers"]
    return dict(container)


def test_pods_have_settings_that_parse(manifests: Manifests) -> None:
    settings = manifests.settings()
    known = {name.upper() for name in Settings.model_fields | ReportTuning.model_fields}

    assert parse(Settings, settings).table_prefix.startswith("vestnik-")
    assert (settings["MAILINGS_STARTED_BY"], settings["SHIP_LOGS"]) == ("clock", "true")
    assert settings.keys() - known <= OF_THE_HOST


def test_the_example_of_settings_on_aws_is_git_s_and_what_is_made_from_it_is_not() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()

    assert "infra/k8s/overlays/aws/vestnik.env" in ignored
    assert (MANIFESTS / "overlays/aws/vestnik.env.example").exists()


def test_no_secret_stands_in_the_manifests_but_the_key_that_the_emulator_takes_from_everybody(
    manifests: Manifests,
) -> None:
    secrets = [set(each["data"].values()) for each in manifests.of_kind("Secret").values()]

    assert secrets in ([], [{"dGVzdA=="}])  # test
