"""A real municipality, from a file to its first administrator."""

import tomllib

import pytest

from backend.commands import CommandError
from backend.db.statements import SQL_FOLDER
from backend.demo.load import CONTENT
from backend.founding import add_municipality
from tests.conftest import Api
from tests.contents import contents

pytestmark = pytest.mark.anyio

OFFICES = (SQL_FOLDER.parent / "docs" / "municipality.toml").read_text("utf-8")


async def test_a_municipality_is_added_from_a_file_and_serves_at_once(api: Api) -> None:
    added = "lahtela: 2 departments, 2 posts, 2 themes, 1 districts"
    before = await contents(api.conn)
    assert await add_municipality(api.settings, OFFICES.encode(), check=True) == added
    assert await contents(api.conn) == before
    assert await add_municipality(api.settings, OFFICES.encode()) == added
    query = "{ municipality { name voteStrength coordinator { name title department { name } } districts { name } "
    query += "themes { name department { name } } departments { officials { name email } } } }"
    assert (await api.data(query, heitto_municipality="lahtela"))["municipality"] == {
        "name": "Lahtela",
        "voteStrength": "EMAIL",
        "coordinator": {"name": "Aino Alku", "title": "Sihteeri", "department": {"name": "Kanslia"}},
        "districts": [{"name": "Keskusta"}],
        "themes": [
            {"name": "Yleinen", "department": {"name": "Kanslia"}},
            {"name": "Tiet", "department": {"name": "Tiet"}},
        ],
        "departments": [{"officials": [{"name": "Aino Alku", "email": "aino@lahtela.example"}]}, {"officials": []}],
    }
    token = await api.token(municipality="lahtela")
    assert await api.idea(token=token)
    acts = "SELECT act FROM audit_entries JOIN municipalities AS m ON m.id = municipality_id WHERE slug = 'lahtela'"
    assert await api.conn.fetchval(acts) == "MUNICIPALITY_ADDED"
    with pytest.raises(CommandError, match="slug: there is a municipality 'lahtela' already"):
        await add_municipality(api.settings, OFFICES.encode())


async def test_the_demos_own_offices_are_such_a_file(api: Api) -> None:
    offices = CONTENT.read_text("utf-8").partition("[[residents]]")[0].replace('slug = "ilola"', 'slug = "ilola-2"')
    told = tomllib.loads(offices)
    expected = ", ".join(f"{len(told[each])} {each}" for each in ("departments", "posts", "themes", "districts"))
    assert await add_municipality(api.settings, offices.encode()) == f"ilola-2: {expected}"


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('slug = "lahtela"', 'slug = "Lahtela!"', "municipality.slug"),
        ("population = 1200", 'population = "many"', "municipality.population"),
        ("population = 1200", "population = 1200\nreaction_days = 31", "municipality.answer_days"),
        ("population = 1200", 'population = 1200\ntime_zone = "Europe/Ilola"', "municipality.time_zone"),
        ("population = 1200", "population = 1200\npopulace = 1", "municipality.populace"),
        ("population = 1200", "", "municipality.population"),
        ('{ fi = "Tiemestari" }', '{ sv = "Vägmästare" }', "posts.1.title: a text in fi is missing"),
        ('{ fi = "Tiemestari" }', '{ fi = "Tiemestari", de = "Meister" }', "posts.1.title.de"),
        ('{ fi = "Keskusta" }', '{ fi = " " }', "districts.0.name.fi"),
        ('name = "Aino Alku", ', "", "posts.0.holder.name"),
        ("coordinator = true", "coordinator = false", "posts: exactly one has coordinator = true, here 0"),
        ("general = true", "general = false", "themes: exactly one has general = true, here 0"),
        ('key = "builder"', 'key = "secretary"', "posts: the key 'secretary' is there 2 times"),
        ('post = "builder"', 'post = "bilder"', "responsibilities.0.post: there is no post 'bilder'"),
        ('district = "centre"', 'district = "center"', "responsibilities.0.district"),
        ('holder = { name = "Aino Alku", email = "aino@lahtela.example" }', "", "posts.0.holder: the coordinator's"),
        ("[municipality]", "[municipality", "not TOML"),
        ("[[responsibilities]]", '[[residents]]\nkey = "x"\n[[responsibilities]]', "residents"),
    ],
)
async def test_what_is_wrong_with_a_file_is_told_by_the_path_of_the_key(
    api: Api, old: str, new: str, path: str
) -> None:
    assert old in OFFICES
    before = await contents(api.conn)
    with pytest.raises(CommandError) as refused:
        await add_municipality(api.settings, OFFICES.replace(old, new, 1).encode())
    assert str(refused.value).startswith(path)
    assert await contents(api.conn) == before
