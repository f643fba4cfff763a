"""The HTTP server: granian, whose worker processes make the application for themselves."""

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from backend.settings import Settings

KILL_SECONDS = 15  # for requests in flight when stopped; longer than any request may take
BACKLOG = 1024


def serve_http(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; requests in flight are finished first."""
    Granian(
        "backend.app:create_app",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        loop=Loops.uvloop,
        runtime_threads=1,
        backlog=BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        log_level=LogLevels(settings.log_level),
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_SECONDS,
    ).serve()
