"""Leaderboards."""

import strawberry

from backend.context import Info
from backend.db.boards import Board, Entry
from backend.schema.fields import field
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

    @field("The rank on the same board at the last local midnight; null where it wasn't on it.")
    async def previous_rank(self, info: Info) -> int | None:
        return await info.context.load.previous_rank(self.board).load(self.entry.idea_id)


@strawberry.type(description="A place in a list of places.")
class LeaderboardEdge(Edge):
    node: LeaderboardEntry = strawberry.field(description=NODE)


@strawberry.type(description="A page of a board.")
class LeaderboardConnection(Connection):
    edges: list[LeaderboardEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[LeaderboardEntry]:
        return [edge.node for edge in self.edges]
