"""The HTTP server: granian, whose worker processes make the application for themselves."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
from collections.abc import AsyncIterator
from typing import Final

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer
from starlette.applications import Starlette

from backend.app import create_app
from backend.settings import Settings, load_settings

KILL_SECONDS: Final = 15  # for requests in flight when stopped; longer than any request may take
BACKLOG: Final = 1024
CONNECTIONS: Final = 16_384  # a worker; granian would take the backlog's size by the workers, and streams hold theirs
HEADER_MS: Final = 10_000
HEADER_BYTES: Final = 128 * 1024  # the longest query string and everything else
# Made between two looks of the garbage collector. At Python's 700 it looked at the same waiting requests again and
# again, a tenth of a vote's time; what they leave is nearly all freed without it.
YOUNG_OBJECTS: Final = 20_000
DRAIN: Final = signal.SIGUSR1  # granian keeps SIGTERM for itself


class Server(MPServer):
    """Asks its workers to end streams and sockets before it stops them: it would wait for their clients otherwise."""

    def shutdown(self, exit_code: int = 0) -> None:
        for worker in self.wrks:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.inner.pid, DRAIN)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call] # granian is only partly typed


def serve_http(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; requests in flight are finished first."""
    Server(
        "backend.serve:create_worker",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        loop=Loops.uvloop,
        runtime_threads=1,
        backlog=BACKLOG,
        backpressure=CONNECTIONS,
        http=HTTPModes.http1,  # of HTTP/2, which proxies don't speak to us, granian bounds neither headers nor idleness
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS, max_buffer_size=HEADER_BYTES),
        log_level=LogLevels(settings.log_level),
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_SECONDS,
    ).serve()


def create_worker() -> Starlette:
    """The application in a worker process, which drains on request and doesn't outlive its parent."""
    _run_in_turns()
    raise_file_limit()
    app = create_app(load_settings("database_url", "redis_url", "secret_key", "signing_key_file"))
    inside = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().add_signal_handler(DRAIN, application.state.pipeline.drain)
        watch = asyncio.create_task(_end_with(os.getppid()))
        async with inside(application):
            # What is there by now stays: the collector needn't look at it again and again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG_OBJECTS, 10, 10)
            yield
        watch.cancel()

    app.router.lifespan_context = lifespan
    return app


def _run_in_turns() -> None:
    """Keeps granian's network thread and Python's from interrupting each other where they share a core.

    By default each wakes the other with every request and answer, and Linux switches at once: a fifth of the processor
    time of a page. Threads of SCHED_BATCH let whoever runs go on until it waits. Needs no privilege.
    """
    if hasattr(os, "SCHED_BATCH"):  # Linux
        with contextlib.suppress(OSError):  # some sandboxes forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def raise_file_limit() -> None:
    """As many open files as this process may have: service managers start with 1,024, and each connection takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS has a lower limit besides
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _end_with(parent: int) -> None:
    """Ends this process within a second of its parent's death, however that came."""
    while os.getppid() == parent:  # noqa: ASYNC110 # nothing tells of it
        await asyncio.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
