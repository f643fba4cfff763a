"""The limit: one Starlette route that answers the board page's finished bytes, under granian set as ours is."""

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGE = Path(os.environ["BENCH_PAGE"]).read_bytes()


async def page(_request: Request) -> Response:
    return Response(PAGE, media_type="application/json")


app = Starlette(routes=[Route("/graphql", page, methods=["POST"])])
