"""Our server in one process, in granian's own loop, under cProfile: `python -m bench.profiled OUTPUT`."""

import asyncio
import cProfile
import signal
import sys

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

from backend.app import create_app
from backend.settings import load_settings


async def _serve() -> None:
    settings = load_settings()
    app = create_app(settings)
    server = Server(app, address=settings.host, port=settings.port, interface=Interfaces.ASGI)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.serve()


if __name__ == "__main__":
    with cProfile.Profile() as profiler:
        uvloop.run(_serve())
    profiler.dump_stats(sys.argv[1])
