"""`GET /personal-data/{secret}`: the document that somebody asked for, given to its owner once."""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from backend.auth.secrets import hash_secret
from backend.db import data_exports
from backend.db.pool import acquire
from backend.errors import Unauthenticated
from backend.gate import Gate
from backend.transport.answers import ErrorFormat
from backend.transport.incoming import JSON, Headers, admit

PATH: Final = "/personal-data/{secret}"
POINTS: Final = 5  # of the caller's rate, as a mutation
PRIVATE: Final = {"cache-control": "private, no-store", "x-content-type-options": "nosniff"}
DOCUMENT: Final = {**PRIVATE, "content-disposition": 'attachment; filename="heitto.json"'}


def personal_data(gate: Gate, errors: ErrorFormat) -> Callable[[Request], Awaitable[Response]]:
    """The path's answer. Whatever isn't there for this caller is 404, whether it ever was or is somebody else's."""

    async def download(request: Request) -> Response:
        if request.method != "GET":  # Starlette would answer HEAD by the whole document, and that is given once
            return Response(status_code=405, headers={**PRIVATE, "allow": "GET"})
        request_id = str(uuid4())
        try:
            return await _document(gate, request, request_id)
        except Exception as error:
            answer = errors.refused(error, request_id=request_id, operation="personal-data").answer()
            waits = {"retry-after": str(answer.retry_after)} if answer.retry_after else {}
            return Response(answer.body, answer.status, {**PRIVATE, **waits}, JSON)

    return download


async def _document(gate: Gate, request: Request, request_id: str) -> Response:
    """Raises RequestError."""
    caller = await admit(gate, Headers(request.scope))
    await gate.charge(caller, POINTS)
    context = gate.context(caller, request_id)
    if context.viewer.resident_id is None:
        raise Unauthenticated
    async with acquire(context.pool) as conn:
        id = await data_exports.take_export(conn, **context.own, secret_hash=hash_secret(request.path_params["secret"]))
    if id is None:
        return Response(b'{"errors":[{"message":"There is nothing here."}]}', 404, PRIVATE, JSON)
    parts = data_exports.parts(context.pool, municipality_id=context.municipality_id, id=id)
    return StreamingResponse(parts, 200, DOCUMENT, JSON)
