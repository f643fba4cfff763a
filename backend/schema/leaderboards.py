"""Leaderboards."""

from collections.abc import Sequence
from uuid import UUID

import strawberry

from backend.context import Info
from backend.db.boards import Board, Entry
from backend.fields import batched, field
from backend.schema.ideas import Idea
from backend.schema.pages import EDGES, NODE, NODES, Connection, Edge


@strawberry.input(one_of=True, description="Whose ideas are ranked; exactly one.")
class LeaderboardScope:
    district_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="A district's.")
    theme_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="A theme's.")
    group_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="A group's.")


@strawberry.type(description="A place on a board.")
class LeaderboardEntry:
    board: strawberry.Private[Board]
    entry: strawberry.Private[Entry]
    rank: int = strawberry.field(description="1 for the first; ties go to the older idea, so no rank is given twice.")
    score: int = strawberry.field(description="What the board counts, see `LeaderboardWindow`.")
    idea: Idea = strawberry.field(description="The idea in this place.")

    @batched("The rank on the same board at the last local midnight; null where it wasn't on it.")
    @staticmethod
    async def previous_rank(entries: Sequence["LeaderboardEntry"], info: Info) -> list[int | None]:
        ranks: dict[tuple[Board, UUID], int | None] = {}
        for board in {each.board for each in entries}:
            ids = [each.entry.idea_id for each in entries if each.board == board]
            found = await info.context.read.midnight_ranks(board, ids)
            ranks.update({(board, id): rank for id, rank in found.items()})
        return [ranks.get((each.board, each.entry.idea_id)) for each in entries]


@strawberry.type(description="A place in a list of places.")
class LeaderboardEdge(Edge):
    node: LeaderboardEntry = strawberry.field(description=NODE)


@strawberry.type(description="A page of a board.")
class LeaderboardConnection(Connection):
    edges: list[LeaderboardEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[LeaderboardEntry]:
        return [edge.node for edge in self.edges]
