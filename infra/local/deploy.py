"""Deploy a stage: package, show what would change, ask, carry it out, say where it answers.

The stage's parameters are those of infra/stages/STAGE.json, above them the settings and secrets of the environment
(PROVIDER_URL, PROVIDER_TOKEN, …), above them --parameter. What none of them names stays as it is.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

import requests
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT))  # run by its path, this program finds its own folder only

from access_token import fetch_token  # noqa: E402 - these need the line above
from bundle import make_bundle  # noqa: E402
from chalicelib.config import LOOPBACK_HOSTS  # noqa: E402
from chalicelib.errors import ConfigurationError  # noqa: E402
from change_table import change_lines, losses, parameter_lines  # noqa: E402
from deployment import Deployment, Proposal  # noqa: E402
from embedded import StackInfo  # noqa: E402
from files import write_private  # noqa: E402
from local_error import LocalError  # noqa: E402
from programs import read_issuer  # noqa: E402
from shell_session import ShellSession, said_by  # noqa: E402
from stack_events import print_event  # noqa: E402
from stages import EMULATED, Stage, check, effective, parameters_of, read_stage  # noqa: E402

USAGE = """make deploy STAGE=dev|prod|local  [YES=1 | PLAN=1] [ADOPT=1] [PARAMETERS="Name=Value …"]
       deploy.py STAGE [--yes | --plan] [--adopt] [--parameter Name=Value …] [--info FILE]"""
BOUNDARY = "vestnik-boundary"
READY_SECONDS = 120
INTERRUPTED = 130
OK = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploy; 0 when the stage is as wanted, 1 with a line that says why not or when it was not wanted."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        return _run(options)
    except (LocalError, ConfigurationError) as error:
        print(f"make deploy: {error}", file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(f"make deploy: {said_by(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("make deploy: interrupted; nothing was changed", file=sys.stderr)
        return INTERRUPTED
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "make deploy", USAGE, __doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("stage", help="a file of infra/stages; the stack is vestnik-STAGE, or $STACK_NAME")
    parser.add_argument("--yes", action="store_true", help="do not ask; what would lose data is refused then")
    parser.add_argument("--plan", action="store_true", help="show what would change, and change nothing")
    parser.add_argument(
        "--adopt", action="store_true", help="take over the tables and the bucket that an earlier stack of it left"
    )
    parser.add_argument(
        "--parameter",
        dest="parameters",
        action="append",
        default=[],
        metavar="Name=Value",
        help="a parameter of infra/template.yaml; it stays so until another is given",
    )
    parser.add_argument("--info", type=Path, metavar="FILE", help="write the addresses there, as .local/stack.json")
    return parser


def _run(options: argparse.Namespace) -> int:
    stage = read_stage(options.stage, os.environ, options.parameters)
    session = ShellSession()
    if stage.name == EMULATED and not session.emulated:
        raise LocalError(f"stage {EMULATED} is for emulators: say where by AWS_ENDPOINT_URL")
    who = session.client("sts").get_caller_identity()
    place = session.endpoint or session.region
    print(f"{stage.stack_name} in account {who['Account']}, {place}, as {who['Arn']}")

    deployment = Deployment(
        session, stage.stack_name, emulated=session.emulated, bucket=os.environ.get("ARTIFACTS_BUCKET")
    )
    bundle = make_bundle()
    declared = json.loads(bundle.template.read_text())["Parameters"]
    earlier = deployment.parameters()
    stage = _with_own_address(_with_boundary(stage, session, who, earlier), session, earlier)
    stage = _without_what_emulators_lack(stage, session, earlier)
    values = effective(declared, stage.given, earlier)
    check(stage, declared, values)
    kept = [name for name in declared if name in earlier and name not in stage.given]
    if proposal := deployment.propose(bundle, stage.given, kept=kept, adopt=options.adopt):
        _show(proposal, list(parameter_lines(declared, stage.given, earlier)))
        if options.plan:
            deployment.discard(proposal)
            return 0
        if not _agreed(deployment, proposal, yes=options.yes):
            return 1
        _execute(deployment, proposal, stage)
    else:
        print("no changes: the stack is as it should be")
    info = _info(stage, session, deployment.outputs(), values, _token(values["IssuerUrl"], options.info))
    if options.info:
        write_private(options.info, json.dumps(asdict(info), indent=2) + "\n")
    try:
        _wait_for(info, session)
    except KeyboardInterrupt:
        raise LocalError(f"interrupted; the stack is deployed, and {info.api_url} was not seen to answer yet") from None
    _say_where(info)
    _say_what_is_missing(stage, values, is_new=proposal is not None and proposal.creates)
    return 0


def _with_boundary(stage: Stage, session: ShellSession, who: Mapping[str, str], earlier: Mapping[str, str]) -> Stage:
    """Have the roles bounded where the account has the policy of infra/deploy-role.yaml."""
    if "RoleBoundary" in stage.given or earlier.get("RoleBoundary"):
        return stage
    iam = session.client("iam")
    try:
        partition = who["Arn"].split(":")[1]
        iam.get_policy(PolicyArn=f"arn:{partition}:iam::{who['Account']}:policy/{BOUNDARY}")
    except iam.exceptions.NoSuchEntityException:
        return stage
    return replace(stage, given={**stage.given, "RoleBoundary": BOUNDARY})


def _without_what_emulators_lack(stage: Stage, session: ShellSession, earlier: Mapping[str, str]) -> Stage:
    """Have any stage work on an emulator, as the stage for emulators does, unless somebody has said otherwise."""
    if not session.emulated:
        return stage
    fitting = {name: value for name, value in parameters_of(EMULATED).items() if name not in earlier}
    return replace(stage, given={**fitting, **stage.given})


def _with_own_address(stage: Stage, session: ShellSession, earlier: Mapping[str, str]) -> Stage:
    """Tell the pages where they are, on an emulator of this machine: no request tells, its gateway cuts that off."""
    if not session.on_loopback(LOOPBACK_HOSTS) or "AdminUrl" in stage.given or earlier.get("AdminUrl"):
        return stage
    address = f"{session.endpoint}/_aws/execute-api/{{api_id}}/api/admin/"
    return replace(stage, given={**stage.given, "AdminUrl": address})


def _show(proposal: Proposal, parameters: Sequence[str]) -> None:
    for line in change_lines(proposal.changes):
        print(line)
    if parameters:
        print("\nparameters")
    for line in parameters:
        print(f"  {line}")
    for line in losses(proposal.changes):
        print(f"\n!!! {line}")
    print()


def _agreed(deployment: Deployment, proposal: Proposal, *, yes: bool) -> bool:
    """Ask; without a yes forget the change set."""
    agreed = False
    try:
        if yes and losses(proposal.changes):
            raise LocalError("YES=1 is not enough to lose what tables and buckets hold; deploy by hand and be asked")
        if not yes and not sys.stdin.isatty():
            raise LocalError("nobody is there to ask: there is no terminal, and no YES=1")
        agreed = yes or input("Deploy? [y/N] ").strip().lower() in {"y", "yes"}
    finally:
        if not agreed:
            deployment.discard(proposal)
    if not agreed:
        print("nothing was changed")
    return agreed


def _execute(deployment: Deployment, proposal: Proposal, stage: Stage) -> None:
    try:
        deployment.execute(proposal, print_event)
    except KeyboardInterrupt:
        raise LocalError(
            f"interrupted; CloudFormation goes on by itself. See: aws cloudformation describe-stack-events "
            f"--stack-name {stage.stack_name}; an update is taken back by: aws cloudformation cancel-update-stack "
            f"--stack-name {stage.stack_name}"
        ) from None


def _token(issuer_url: str, info_file: Path | None) -> str | None:
    """Return what stands in the info file: TOKEN, or a token of the development issuer whose memory lies beside it."""
    given = os.environ.get("TOKEN") or None
    issuer = read_issuer(info_file.parent) if info_file and not given else None
    if info_file and issuer and issuer["address"] == issuer_url:
        return fetch_token(issuer_url, info_file.parent)
    return given


def _info(
    stage: Stage, session: ShellSession, outputs: Mapping[str, str], values: Mapping[str, str], token: str | None
) -> StackInfo:
    api_url = outputs["ApiUrl"]
    if session.endpoint:
        api_url = f"{session.endpoint}/_aws/execute-api/{outputs['RestAPIId']}/api"
    return StackInfo(
        api_url=api_url,
        docs_url=f"{api_url}/docs/",
        admin_url=values["AdminUrl"].replace("{api_id}", outputs["RestAPIId"]) or f"{api_url}/admin/",
        metrics_url=f"{api_url}/metrics",
        token=token,
        provider_url=values["ProviderUrl"],
        issuer_url=values["IssuerUrl"],
        aws_endpoint_url=session.endpoint or f"https://{session.region}.amazonaws.com",
        region=session.region,
        stack_name=stage.stack_name,
    )


def _wait_for(info: StackInfo, session: ShellSession) -> None:
    """Poll until the API answers: new names and functions take a while."""
    deadline = time.monotonic() + READY_SECONDS
    seen = ""
    with requests.Session() as http:
        http.trust_env = not session.emulated
        while time.monotonic() < deadline:
            try:
                answer = http.get(f"{info.api_url}/health", timeout=35)
            except requests.RequestException as error:
                seen = str(error)
            else:
                if answer.status_code == OK:
                    return
                seen = f"{answer.status_code} {answer.text[:200]}"
            time.sleep(1)
    raise LocalError(
        f"the stack is deployed, and {info.api_url}/health does not answer 200 within {READY_SECONDS} s: {seen}; "
        f"see: aws logs tail /aws/lambda/{info.stack_name}-api"
    )


def _say_where(info: StackInfo) -> None:
    print(f"API       {info.api_url}")
    print(f"docs      {info.docs_url}")
    print(f"pages     {info.admin_url}")
    print(f"metrics   {info.metrics_url}, with the secret {info.stack_name}/scrape-secret as a bearer token")


def _say_what_is_missing(stage: Stage, values: Mapping[str, str], *, is_new: bool) -> None:
    if is_new and "ProviderToken" not in stage.given:
        print(
            "next      the provider's token, made up so far: aws secretsmanager put-secret-value "
            f"--secret-id {stage.stack_name}/provider-token --secret-string file://TOKEN_FILE"
        )
    if not values["IssuerUrl"]:
        print(f"next      an issuer of access tokens, without which nobody is let in: ISSUER_URL=… {_again(stage)}")
    if not values["ReportRecipients"]:
        print(f"next      the daily report, if wanted: REPORT_SENDER=… REPORT_RECIPIENTS=… {_again(stage)}")


def _again(stage: Stage) -> str:
    return f"make deploy STAGE={stage.name}"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
