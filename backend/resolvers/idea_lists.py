"""Ideas as they are found: lists, what resembles a text, and who would answer for one."""

import hashlib
from typing import Annotated
from uuid import UUID

import orjson
import strawberry

from backend.context import Context, Info
from backend.db import ideas
from backend.db.pages import PageRequest
from backend.db.pool import acquire
from backend.errors import BadUserInput
from backend.resolvers.inputs import filter_id
from backend.rules.ideas import TITLE_LIMIT
from backend.rules.search import SEARCH_LIMIT, search_words
from backend.schema.enums import IdeaOrder
from backend.schema.idea_inputs import IdeaFilter
from backend.schema.ideas import IdeaConnection, SimilarIdea, idea, idea_connection
from backend.schema.municipalities import Official, official
from backend.schema.pages import After, Before, First, Last, page_request

LARGEST_SIMILAR = 20
NOWHERE = UUID(int=0)


async def ideas_list(
    info: Info,
    filter: Annotated[IdeaFilter | None, strawberry.argument(description="Which ideas.")] = None,
    order_by: Annotated[IdeaOrder, strawberry.argument(description="In which order.")] = IdeaOrder.NEWEST,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> IdeaConnection | None:
    """Listed ideas of the municipality."""
    which = await _filter(info.context, filter or IdeaFilter())
    binding = f"ideas:{order_by}:{_digest(which)}"
    request = page_request(info, binding, first=first, after=after, last=last, before=before)
    return await _page(info, which, order_by, request=request, binding=binding)


async def _page(
    info: Info, which: ideas.IdeaFilter, order: IdeaOrder, *, request: PageRequest, binding: str
) -> IdeaConnection:
    context = info.context
    async with acquire(context.pool) as conn:
        (page,) = await ideas.idea_pages(
            conn, **context.scope, today=context.today(), order=order, filter=which, request=request
        )
    return idea_connection(page, binding)


async def _filter(context: Context, asked: IdeaFilter) -> ideas.IdeaFilter:
    if asked.search is not None and len(asked.search) > SEARCH_LIMIT:
        raise BadUserInput(f"filter.search: {SEARCH_LIMIT} characters at most", path=["filter", "search"])
    post_id = None
    if asked.responsible_id is not None:
        found = await context.official(
            filter_id("Official", asked.responsible_id, "filter", "responsibleId") or NOWHERE
        )
        post_id = found.post_id if found and context.catalogue.holder(found.post_id).id == found.id else NOWHERE
    return ideas.IdeaFilter(
        district_id=filter_id("District", asked.district_id, "filter", "districtId"),
        theme_id=filter_id("Theme", asked.theme_id, "filter", "themeId"),
        group_id=filter_id("Group", asked.group_id, "filter", "groupId"),
        department_id=filter_id("Department", asked.department_id, "filter", "departmentId"),
        post_id=post_id,
        status=None if asked.status is None else tuple(asked.status),
        words=None if asked.search is None else search_words(asked.search),
        overdue=asked.overdue,
    )


def _digest(which: ideas.IdeaFilter) -> str:
    return hashlib.blake2b(orjson.dumps(which), digest_size=9).hexdigest()


async def similar_ideas(
    info: Info,
    text: Annotated[str, strawberry.argument(description="What the resident has typed so far.")],
    district_id: Annotated[strawberry.ID | None, strawberry.argument(description="Only in this district.")] = None,
    first: Annotated[int | None, strawberry.argument(description="How many: 1 to 20, 5 where left out.")] = None,
) -> list[SimilarIdea] | None:
    """Ideas that resemble a text."""
    limit = 5 if first is None else first
    if not 1 <= limit <= LARGEST_SIMILAR:
        raise BadUserInput(f"first: must be from 1 to {LARGEST_SIMILAR}", path=["first"])
    async with acquire(info.context.pool) as conn:
        found = await ideas.similar_ideas(
            conn,
            **info.context.scope,
            text=text[:TITLE_LIMIT],
            district_id=filter_id("District", district_id, "districtId"),
            limit=limit,
        )
    return [SimilarIdea(similarity=similarity, idea=idea(row)) for similarity, row in found]


async def contact(
    info: Info,
    theme_id: Annotated[strawberry.ID, strawberry.argument(description="What it is about.")],
    district_id: Annotated[strawberry.ID | None, strawberry.argument(description="Where it is about.")] = None,
) -> Official | None:
    """Who answers for a theme in a district; null where there is no such theme."""
    catalogue = info.context.catalogue
    theme = catalogue.themes.get(filter_id("Theme", theme_id, "themeId") or NOWHERE)
    district = filter_id("District", district_id, "districtId")
    if theme is None or (district is not None and district not in catalogue.districts):
        return None
    post = catalogue.responsible_post(theme.department_id, theme_id=theme.id, district_id=district)
    return official(info, catalogue.holder(post))
