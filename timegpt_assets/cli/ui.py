"""The UI and the daemon together, as ``dagster dev`` starts them, the webserver behind the check of same_origin.py.

Belongs here: starting and ending the services. Run as a module it is one of them: ``webserver`` or ``daemon``.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import yaml
from dagster._core.workspace.load_target import WorkspaceFileTarget

if TYPE_CHECKING:
    from timegpt_assets.runtime import Runtime

POLLED_MS = 2000
"""How often an open page asks for news."""
LOOKED_EVERY_SEC, ENDED_WITHIN_SEC = 0.5, 30.0
CODE_LOOKED_EVERY_SEC, REFUSED, AT_ONCE_SEC, STARTED_WITHIN_SEC = 5.0, 2, 4.0, 180
"""How often the code server is looked at, and how often in a row, and how soon, it refuses before it counts as gone."""

Process = subprocess.Popen[bytes]


def opened_on(runtime: "Runtime", said: Sequence[str], *, host: str, port: int) -> int:
    """Serve the UI and the daemon under these settings and --set values, and return the exit code."""
    # here: what this module runs as, webserver or daemon, needs none of it
    from timegpt_assets.cli.context import BATCH_SIZE, EVENT_BATCH, dagster_home, opened
    from timegpt_assets.cli.same_origin import LOOPBACK
    from timegpt_assets.cli.terminal import Terminal
    from timegpt_assets.config.shipped import WORKSPACE
    from timegpt_assets.runtime import inherited_settings, said_before

    with opened(runtime, report=lambda range_run, done: None):
        pass  # a home that cannot be used is said here, and what a killed run left is free before the daemon starts
    os.environ |= {
        "DAGSTER_HOME": str(dagster_home(runtime)),
        BATCH_SIZE: EVENT_BATCH,
        "TIMEGPT_ASSETS_PROFILE": runtime.settings.profile,
        "TIMEGPT_ASSETS_SET": inherited_settings([*said_before(runtime.environment), *said]),
        "DAGSTER_IS_DEV_CLI": "1",
    }
    if host not in LOOPBACK:
        Terminal(stderr=True).print(f"note: whoever reaches {host}:{port} can launch and spend; there is no login.")
    return serve(WORKSPACE, host=host, port=port)


def serve(workspace: Path, *, host: str, port: int) -> int:
    """Run code server, webserver and daemon on the environment's DAGSTER_HOME until one ends, or Ctrl-C.

    Returns the exit code: 0 after Ctrl-C or SIGTERM, 1 when a service ended by itself.
    """
    # as Ctrl-C, so that the finally below ends what was started
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    module = [sys.executable, "-m", "timegpt_assets.cli.ui"]
    with _code_server(workspace) as loaded:
        running = {
            "webserver": subprocess.Popen([*module, "webserver", str(loaded), host, str(port)]),  # noqa: S603 - ours
            "daemon": subprocess.Popen([*module, "daemon", str(loaded)]),  # noqa: S603 - ours
        }
        try:
            return _watched(running)
        except KeyboardInterrupt:
            return 0
        finally:
            _end(running.values())


@contextmanager
def _code_server(workspace: Path) -> Iterator[Path]:
    """Yield a workspace file that names one code server, which webserver and daemon share."""
    from dagster._cli.proxy_server_manager import ProxyServerManager

    with (
        dg.DagsterInstance.get() as instance,
        ProxyServerManager(instance, WorkspaceFileTarget([str(workspace)]), "warning") as servers,
        tempfile.TemporaryDirectory() as folder,
    ):
        file, specs = Path(folder) / "workspace.yaml", servers.get_code_server_specs()
        file.write_text(yaml.safe_dump({"load_from": [dict(spec) for spec in specs]}))
        threading.Thread(target=_keep_loaded, args=(specs,), daemon=True).start()
        yield file


def _keep_loaded(specs: Sequence[Mapping[str, Mapping[str, Any]]]) -> None:
    """Have a code server that was killed started again: Dagster does so for its proxy and not for what is behind."""
    from dagster._core.errors import DagsterUserCodeUnreachableError
    from dagster._grpc.client import DagsterGrpcClient

    places: list[dict[str, Any]] = [
        {name: said for name, said in spec["grpc_server"].items() if name in ("host", "port", "socket")}
        for spec in specs
    ]
    refused = [0] * len(places)
    while True:
        time.sleep(CODE_LOOKED_EVERY_SEC)
        for number, place in enumerate(places):
            client, began = DagsterGrpcClient(**place), time.monotonic()
            try:
                client.list_repositories()
                refused[number] = 0
            except DagsterUserCodeUnreachableError:
                # one that is slow is not dead: only what is refused at once, and again and again
                refused[number] += time.monotonic() - began < AT_ONCE_SEC
            if refused[number] >= REFUSED:
                sys.stderr.write("the code server is gone, and is started again.\n")
                refused[number] = 0
                with suppress(DagsterUserCodeUnreachableError):  # it says so of the one that is gone
                    client.reload_code(timeout=STARTED_WITHIN_SEC)


def _watched(running: Mapping[str, Process]) -> int:
    while True:
        for name, process in running.items():
            if process.poll() is not None:
                sys.stderr.write(f"the {name} ended with code {process.returncode}, so the rest is ended, too.\n")
                return 1
        time.sleep(LOOKED_EVERY_SEC)


def _end(processes: Iterable[Process]) -> None:
    for process in processes:
        # all first, then waited for: they end side by side
        process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(ENDED_WITHIN_SEC)
        except subprocess.TimeoutExpired:
            process.kill()


def _webserver(workspace: str, host: str, port: str) -> None:
    """Serve the UI of a workspace file, behind the check."""
    import uvicorn
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster_webserver.app import create_app_from_workspace_process_context

    from timegpt_assets.cli.same_origin import SameOrigin

    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, WorkspaceFileTarget([workspace]), version=dg.__version__) as context,
    ):
        app = create_app_from_workspace_process_context(context, live_data_poll_rate=POLLED_MS)
        sys.stderr.write(f"the UI is at http://{host}:{port}\n")
        uvicorn.run(SameOrigin(app, (host.lower(),)), host=host, port=int(port), log_level="warning")


def _daemon(workspace: str) -> None:
    """Run the daemon: schedules, sensors, the queue, and run monitoring."""
    from dagster._daemon.cli import cli

    cli(["run", "-w", workspace])


def _end_with_parent() -> None:
    """Interrupt this process when the one that started it is gone, killed included: two daemons must never meet."""
    parent = os.getppid()

    def watch() -> None:
        # a parent that is killed runs no finally; its children are handed to another process, and that shows
        while os.getppid() == parent:
            time.sleep(LOOKED_EVERY_SEC)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    _end_with_parent()
    if sys.argv[1] == "webserver":
        _webserver(*sys.argv[2:])
    else:
        _daemon(*sys.argv[2:])
