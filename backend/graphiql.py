"""The explorer for browsers at GET /graphql: GraphiQL from `vendor/`, without a build and without other hosts."""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

_HERE: Final = Path(__file__).parent
_FILES: Final = next(p for p in (_HERE.parent / "vendor/graphiql", _HERE / "vendor/graphiql") if p.is_dir())
_PAGE: Final = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Heitto API</title>
<link rel="stylesheet" href="/graphiql/graphiql.min.css">
<style>html, body, #graphiql { height: 100%; margin: 0 }</style>
</head>
<body>
<div id="graphiql">Loading the explorer</div>
<script src="/graphiql/react.production.min.js"></script>
<script src="/graphiql/react-dom.production.min.js"></script>
<script src="/graphiql/graphiql.min.js"></script>
<script src="/graphiql/start.js"></script>
</body>
</html>
"""
_START: Final = b"""const fetcher = GraphiQL.createFetcher({
  url: '/graphql',
  subscriptionUrl: location.origin.replace(/^http/, 'ws') + '/graphql',
});
const defaultQuery = `# Heitto. Ctrl-Space completes, the book on the left explains.
{
  municipality { name themes { name } }
  leaderboard(first: 5) { nodes { rank score idea { title author { displayName } } } }
}
`;
ReactDOM.createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, { fetcher, defaultQuery, isHeadersEditorEnabled: true, shouldPersistHeaders: false }),
);
"""
_HEADERS: Final = {
    # GraphiQL sets styles and makes workers for its editor; nothing comes from elsewhere.
    "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self' data:; worker-src 'self' blob:; connect-src 'self' ws: wss:; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def explorer(request: Request) -> Response:
    del request
    return Response(_PAGE, headers={**_HEADERS, "cache-control": "no-cache"}, media_type="text/html")


def _start(request: Request) -> Response:
    del request
    return Response(_START, headers=_HEADERS, media_type="text/javascript")


def explorer_routes() -> list[BaseRoute]:
    return [Route("/graphiql/start.js", _start), Mount("/graphiql", StaticFiles(directory=_FILES))]
