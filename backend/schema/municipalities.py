"""The municipality and its offices. All of it is in the catalogue, so nothing here reads."""

from collections.abc import Callable
from typing import Annotated, TypeAlias, TypeVar

import strawberry

from backend.context import Info
from backend.db.municipalities import Catalogue, DepartmentRow, DistrictRow, OfficialRow, ThemeRow
from backend.fields import field
from backend.schema.enums import IdentityStrength
from backend.schema.logins import LoginProvider, login_provider
from backend.schema.nodes import Node, node_id
from backend.schema.scalars import Locale

Office: TypeAlias = DistrictRow | DepartmentRow | ThemeRow | OfficialRow
T = TypeVar("T")


@strawberry.type(description="A part of the municipality that people have a name for.")
class District(Node):
    name: str = strawberry.field(description="In the caller's language where the municipality has translated it.")


@strawberry.type(description="A part of the municipality's organisation. Departments own cases.")
class Department(Node):
    row: strawberry.Private[DepartmentRow]
    name: str = strawberry.field(description="In the caller's language where the municipality has translated it.")

    @field("Who holds its posts now. At most 200.")
    def officials(self, info: Info) -> list[Annotated["Official", strawberry.lazy("backend.schema.municipalities")]]:
        return [official(info, row) for row in info.context.catalogue.officials_of(self.row.id)]


@strawberry.type(description="A field of life that ideas are about.")
class Theme(Node):
    row: strawberry.Private[ThemeRow]
    name: str = strawberry.field(description="In the caller's language where the municipality has translated it.")

    @field("The department that answers for it.")
    def department(self, info: Info) -> Department:
        return department(info, info.context.catalogue.departments[self.row.department_id])


@strawberry.type(description="A named, public person who holds a post in a department.")
class Official(Node):
    row: strawberry.Private[OfficialRow]
    name: str = strawberry.field(description="First and last name.")
    email: str | None = strawberry.field(description="Address at work.")
    phone: str | None = strawberry.field(description="Number at work, with the country's code.")
    title: str = strawberry.field(description="The title of the post, in the caller's language where it is translated.")

    @field("The department of the post.")
    def department(self, info: Info) -> Department:
        return department(info, info.context.catalogue.department_of(self.row))


@strawberry.type(description="A municipality: the room in which everything else is.")
class Municipality(Node):
    row: strawberry.Private[Catalogue]
    slug: str = strawberry.field(description="Its name in addresses, and in the header `Heitto-Municipality`.")
    name: str = strawberry.field(description="In the caller's language where it has one.")
    population: int = strawberry.field(description="Residents, as last published.")
    time_zone: str = strawberry.field(description="IANA name; deadlines and boards follow its days.")
    locales: list[Locale] = strawberry.field(description="The languages it serves in, its first one first.")
    vote_strength: IdentityStrength = strawberry.field(
        description="From which strength a vote counts in `voteCount`. Weaker votes are kept, shown in "
        "`votesByStrength`, and count once the voter's strength is raised."
    )
    reaction_days: int = strawberry.field(description="Calendar days until the first reaction to an idea is due.")
    answer_days: int = strawberry.field(description="Calendar days until the answer to an idea is due.")

    @field("Answers for what nobody else answers for.")
    def coordinator(self, info: Info) -> Official:
        return official(info, self.row.coordinator)

    @field("With whom one can log in, in the municipality's order. At most 20.")
    def login_providers(self, info: Info) -> list[LoginProvider]:
        clients = info.context.services.login_clients.get(self.row.slug, {})
        return [login_provider(info, client.provider) for client in clients.values()]

    @field("In the municipality's order. At most 200.")
    def districts(self, info: Info) -> list[District]:
        return [district(info, row) for row in self.row.districts.values()]

    @field("In the municipality's order. At most 200.")
    def themes(self, info: Info) -> list[Theme]:
        return [theme(info, row) for row in self.row.themes.values()]

    @field("In the municipality's order. At most 200.")
    def departments(self, info: Info) -> list[Department]:
        return [department(info, row) for row in self.row.departments.values()]


def district(info: Info, row: DistrictRow) -> District:
    return _made(info, row, lambda: District(id=node_id("District", row.id), name=info.context.name(row.names)))


def department(info: Info, row: DepartmentRow) -> Department:
    name = info.context.name
    return _made(info, row, lambda: Department(id=node_id("Department", row.id), row=row, name=name(row.names)))


def theme(info: Info, row: ThemeRow) -> Theme:
    name = info.context.name
    return _made(info, row, lambda: Theme(id=node_id("Theme", row.id), row=row, name=name(row.names)))


def official(info: Info, row: OfficialRow) -> Official:
    posts, name = info.context.catalogue.posts, info.context.name
    return _made(
        info,
        row,
        lambda: Official(
            id=node_id("Official", row.id),
            row=row,
            name=row.name,
            email=row.email,
            phone=row.phone,
            title=name(posts[row.post_id].titles),
        ),
    )


def _made(info: Info, row: Office, make: Callable[[], T]) -> T:
    """The office as it is seen in the caller's language: one object for all who see it as long as the catalogue is."""
    made, key = info.context.catalogue.made, (row.id, info.context.locale)
    found: T | None = made.get(key)
    if found is None:
        found = made[key] = make()
    return found


def municipality(info: Info) -> Municipality:
    row = info.context.catalogue
    return Municipality(
        id=node_id("Municipality", row.id),
        row=row,
        slug=row.slug,
        name=info.context.name(row.names),
        population=row.population,
        time_zone=row.time_zone,
        locales=[Locale(locale) for locale in row.locales],
        vote_strength=IdentityStrength(row.vote_strength),
        reaction_days=row.reaction_days,
        answer_days=row.answer_days,
    )
