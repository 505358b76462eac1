"""The pods of a cluster: what they may do, what looks after them, which functions they run."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.kubernetes import COMPONENT, HOST, NAME, Manifests, labels, selects
from tests.merged_template import Part, functions, queue_sources

# The nightly check has 900 s. What a rollout cuts short begins anew; waiting for it would hold mailings back.
CUT_SHORT = {"drift-check"}


def test_pods_run_as_nobody_and_may_do_nothing(manifests: Manifests) -> None:
    for name, pod in manifests.pods().items():
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] == context["runAsGroup"] == 65532, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        assert pod["spec"]["enableServiceLinks"] is False, name
    for name, container in manifests.containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


def test_nothing_that_is_written_lies_outside_a_volume_with_a_limit(manifests: Manifests) -> None:
    for name, pod in manifests.pods().items():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        mounted = {
            mount["name"] for _, container in manifests.containers() if _ == name for mount in container["volumeMounts"]
        }
        assert mounted == set(volumes), name
        assert all("sizeLimit" in each["emptyDir"] for each in volumes.values() if "emptyDir" in each), name


def test_each_container_says_what_it_needs_and_what_it_may_have_at_most(manifests: Manifests) -> None:
    for name, container in manifests.containers():
        resources = container["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"}, name
        # No limit of the processor: a sender that is held back in the middle of a request delays its whole lease.
        assert resources["limits"].keys() == {"memory"}, name


def test_each_image_has_a_tag_that_says_which(manifests: Manifests) -> None:
    for name, container in manifests.containers():
        image, _, tag = container["image"].rpartition(":")
        assert image, name
        assert tag not in {"", "latest"}, name


def test_each_container_that_goes_on_is_looked_after(manifests: Manifests) -> None:
    going_on = manifests.of_kind("Deployment")
    for name, container in manifests.containers():
        if name in going_on:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys(), name


@pytest.mark.parametrize(("age_seconds", "alive"), [(0, True), (20, True), (45, False), (None, False)])
def test_liveness_is_the_age_of_a_file(local: Manifests, tmp_path: Path, age_seconds: int | None, alive: bool) -> None:  # noqa: FBT001 - what is expected
    file = tmp_path / "alive"
    if age_seconds is not None:
        file.touch()
        touched_at = time.time() - age_seconds
        os.utime(file, (touched_at, touched_at))
    commands = {
        " ".join(container[probe]["exec"]["command"][2:])
        for _, container in local.containers()
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        if "exec" in container.get(probe, {})
    }
    (command,) = commands
    files = {
        container["args"][container["args"].index("--alive-file") + 1]
        for name, container in local.containers()
        if name in HOST and name != "api"
    }

    (told,) = files
    assert told in command
    looked = subprocess.run(["/bin/sh", "-c", command.replace(told, str(file))], capture_output=True, check=False)
    assert (looked.returncode == 0) is alive


def test_every_workload_is_known_by_its_name(manifests: Manifests) -> None:
    for name, pod in manifests.pods().items():
        assert labels(pod) == {NAME: "vestnik", COMPONENT: name}


def test_each_function_has_its_place(manifests: Manifests, template: Part) -> None:
    """A new function is run by the API, by a worker on its queues, or by the clock on its schedules."""
    started = {name: container["args"] for name, container in manifests.containers() if name in HOST}
    workers = {args[1] for args in started.values() if args[0] == "worker"}
    by_queue = {function_name(template, function) for function, _, _ in queue_sources(template)}
    by_schedule = {
        function_name(template, name)
        for name, function in functions(template).items()
        if any(event["Type"] == "Schedule" for event in function.get("Events", {}).values())
    }

    assert sorted(started) == sorted(HOST)
    assert started["api"][0] == "api"
    assert started["clock"][0] == "clock"
    assert started["clock"][1].startswith("--"), "all that has a schedule, and the planner"
    assert workers == by_queue
    assert {function_name(template, name) for name in functions(template)} == {
        "api",
        "planner",
        *by_queue,
        *by_schedule,
    }


def test_what_a_pod_has_begun_may_end_before_the_pod_does(manifests: Manifests, template: Part) -> None:
    for name, runs in functions_of_pods(template).items():
        pod = manifests.pods()[name]["spec"]
        (container,) = pod["containers"]
        before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
        longest = max(functions(template)[each]["Timeout"] for each in runs)
        assert pod["terminationGracePeriodSeconds"] > longest + int(before[1]), name


def functions_of_pods(template: Part) -> dict[str, list[str]]:
    named = {function_name(template, name): name for name in functions(template)}
    workers = {
        f"worker-{name}": [named[name]]
        for name in (function_name(template, function) for function, _, _ in queue_sources(template))
    }
    elsewhere = {"api", *CUT_SHORT, *(name.removeprefix("worker-") for name in workers)}
    return {"api": [named["api"]], **workers, "clock": [each for name, each in named.items() if name not in elsewhere]}


def function_name(template: Part, function: str) -> str:
    name: str = functions(template)[function]["FunctionName"]["Fn::Sub"]
    return name.removeprefix("${AWS::StackName}-")


def test_what_there_is_more_than_one_of_is_never_taken_away_whole(manifests: Manifests) -> None:
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]: each["spec"]
        for each in manifests.of_kind("HorizontalPodAutoscaler").values()
    }
    budgets = manifests.of_kind("PodDisruptionBudget")
    base = {name: each["spec"] for name, each in manifests.of_kind("Deployment").items() if name in HOST}

    assert scaled.keys() <= base.keys()
    for name, spec in base.items():
        assert ("replicas" in spec) is (name not in scaled), "either a number or an autoscaler says how many"
        assert (name in budgets) is (name in scaled or name == "worker-plan-segment"), name
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1, "fewer would hold up the drain of a node"
        taken = [each for each, pod in manifests.pods().items() if selects(budget["spec"]["selector"], labels(pod))]
        assert taken == [name]


def test_there_is_one_clock_at_a_time(manifests: Manifests) -> None:
    clock = manifests.of_kind("Deployment")["clock"]["spec"]

    assert (clock["replicas"], clock["strategy"]) == (1, {"type": "Recreate"})


def test_senders_are_no_more_than_lambda_would_have(manifests: Manifests, template: Part) -> None:
    autoscaler = manifests.of_kind("HorizontalPodAutoscaler")["worker-sender"]["spec"]
    (args,) = (container["args"] for name, container in manifests.containers() if name == "worker-sender")
    of_one = int(args[args.index("--processes") + 1])

    assert autoscaler["maxReplicas"] * of_one == template["Parameters"]["SenderConcurrency"]["Default"]
