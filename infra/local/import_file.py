"""`make import`: clients or suppressed phones from a CSV file, over the API, as anybody would import them."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from main_job import INTERRUPTED, STACK_FILE, Api, JobError

SHOWN = 20
POLL_SECONDS = 0.5
UPLOAD_SECONDS = 600
STILL_SECONDS = 900  # longer than it takes until somebody takes over from one who died
KINDS = ("clients", "suppressions")  # and so the paths of the API
COUNTS = ("created", "changed", "unchanged", "refused")


def main() -> int:
    """Import a file; 0 when every row of it was taken."""
    parser = argparse.ArgumentParser(description=__doc__)
    columns = "phone, timezone, perhaps operator_code and tag; of suppressions: phone"
    parser.add_argument("file", type=Path, help=f"CSV in UTF-8: {columns}")
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0], help="what the rows are")
    parser.add_argument("--stack", type=Path, default=STACK_FILE, help="the file that `make up` wrote")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    if not arguments.file.is_file():
        print(
            f"make import: there is no file {arguments.file}; name one: make import FILE=clients.csv", file=sys.stderr
        )
        return 1
    if not arguments.stack.exists():
        print(f"make import: there is no {arguments.stack}; start the stack with: make up", file=sys.stderr)
        return 1
    try:
        done = run(
            Api.of(json.loads(arguments.stack.read_text())), f"/{arguments.kind}/imports", arguments.file, console
        )
    except (JobError, OSError) as error:  # those of requests are OSErrors, too
        print(f"make import: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make import: interrupted; an import whose file was uploaded goes on by itself", file=sys.stderr)
        return INTERRUPTED
    return 1 if done["failure"] or done["progress"]["refused"] else 0


def run(api: Api, path: str, file: Path, console: Console) -> Any:  # noqa: ANN401 - JSON
    """Upload the file, watch its import, and show what came of it; returns the import."""
    created = api.call("POST", path)
    size = file.stat().st_size
    if size > created["upload"]["max_bytes"]:
        raise JobError(f"{file} has {size} bytes; at most {created['upload']['max_bytes']} can be uploaded")
    columns = (TextColumn("{task.description:<18}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        _upload(created["upload"], file, size, progress)
        done = _watch(api, f"{path}/{created['id']}", size, progress)
    counts = ", ".join(f"{done['progress'][name]} {name}" for name in COUNTS)
    console.print(f"import {done['id']}: {done['status']}, {done['progress']['rows']} rows: {counts}", soft_wrap=True)
    if done["failure"]:
        console.print(f"it failed: {done['failure']}", soft_wrap=True, markup=False)
    _show_refused(done, f"{path}/{created['id']}", console)
    return done


def _upload(form: Any, file: Path, size: int, progress: Progress) -> None:  # noqa: ANN401 - JSON
    task = progress.add_task("uploading", total=size)
    with requests.Session() as session, file.open("rb") as content:
        session.trust_env = False  # no proxy stands between two programs on loopback
        answer = session.post(form["url"], data=form["fields"], files={"file": content}, timeout=(3, UPLOAD_SECONDS))
    if not answer.ok:
        raise JobError(f"the upload was answered {answer.status_code}: {answer.text[:500]}")
    progress.update(task, completed=size)


def _watch(api: Api, path: str, size: int, progress: Progress) -> Any:  # noqa: ANN401 - JSON
    task = progress.add_task("importing", total=size)
    moved_at, seen = time.monotonic(), -1
    while time.monotonic() < moved_at + STILL_SECONDS:
        shown = api.call("GET", f"{path}?limit={SHOWN}")
        progress.update(task, completed=shown["progress"]["bytes"])
        if shown["finished_at"]:
            return shown
        if shown["progress"]["bytes"] != seen:
            moved_at, seen = time.monotonic(), shown["progress"]["bytes"]
        time.sleep(POLL_SECONDS)
    raise JobError(f"the import does not go on; look at it later: GET {path}")


def _show_refused(done: Any, path: str, console: Console) -> None:  # noqa: ANN401 - JSON
    if not (rows := done["refused_rows"]["items"]):
        return
    table = Table("line", "field", "reason", box=None, title="refused", title_justify="left")
    for row in rows:
        table.add_row(str(row["line"]), row["field"], row["reason"])
    console.print(table)
    if done["refused_rows"]["next"]:
        console.print(f"the first {len(rows)} of {done['progress']['refused']}; all: GET {path}")


if __name__ == "__main__":
    sys.exit(main())
