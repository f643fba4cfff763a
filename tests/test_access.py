"""Who may do what: every operation as everybody, and as everybody from another municipality."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.commands import mint_tokens
from backend.db.audit import record
from backend.demo.load import SLUG
from backend.ids import global_id, parse_id
from backend.resolvers.access import POLICIES, Policy
from tests.api.test_invitations import mailed
from tests.authenticator import Authenticator
from tests.conftest import Api
from tests.contents import contents_apart
from tests.login.idp import LOA2, REDIRECT, Idp, Person
from tests.mails import code_mails
from tests.schema_walk import root_fields

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what an input holds is for the operation to know

ACTORS = (
    "anonymous",
    "resident",
    "author",
    "member",
    "contact",
    "official",
    "stranger",
    "coordinator",
    "moderator",
    "administrator",
)
# Accounts that differ from an actor in what they are known by, or in something they only asked for: they get the same.
ALIKE = {"device": "resident", "strong": "resident", "applicant": "resident"}
EVERYBODY = (*ACTORS, *ALIKE)
# What each of the ACTORS gets, in their order: `stranger` is an official of another department; `author` threw the
# idea. U is UNAUTHENTICATED, F is FORBIDDEN, - is NOT_ALLOWED, ? is NOT_FOUND and + is done.
MUTATIONS = {
    #                        ano res aut mem con off str coo mod adm
    "registerDevice": "       +   +   +   +   +   +   +   +   +   +",
    "refreshSession": "       +   +   +   +   +   +   +   +   +   +",
    "beginLogin": "           +   +   +   +   +   +   +   +   +   +",
    "completeLogin": "        +   +   +   +   +   +   +   +   +   +",
    "requestEmailCode": "     +   +   +   +   +   +   +   +   +   +",
    "confirmEmailCode": "     +   +   +   +   +   +   +   +   +   +",
    "confirmEmailLink": "     +   +   +   +   +   +   +   +   +   +",
    "endSession": "           U   +   +   +   +   +   +   +   +   +",
    "endSession of another": "U   ?   ?   ?   ?   ?   ?   ?   ?   ?",
    "endAllSessions": "       U   +   +   +   +   +   +   +   +   +",
    "submitIdea": "           U   +   +   +   +   +   +   +   +   +",
    "submitIdea for a group": "U  -   -   +   +   -   -   -   -   -",
    "editIdea": "             U   -   +   -   -   -   -   -   -   -",
    "editIdea of a group": "  U   -   -   -   +   -   -   -   -   -",
    "withdrawIdea": "         U   -   +   -   -   -   -   -   -   -",
    "withdrawIdea of a group": "U -   -   -   +   -   -   -   -   -",
    "setVote": "              U   +   +   +   +   +   +   +   +   +",
    "setVote of a hidden idea": "U ?  ?   ?   ?   ?   ?   ?   ?   ?",
    "setFollow": "            U   +   +   +   +   +   +   +   +   +",
    "setFollow of a hidden idea": "U ? +  ?   ?   ?   ?   ?   +   ?",
    "markNotificationsRead": " U  +   +   +   +   +   +   +   +   +",
    "markNotificationsRead of another": "U ? ? ? ? ? ? ?  ?   ?",
    "updateProfile": "        U   +   +   +   +   +   +   +   +   +",
    "createGroup": "          U   +   +   +   +   +   +   +   +   +",
    "joinGroup": "            U   +   +   +   +   +   +   +   +   +",
    "approveMember": "        U   -   -   -   +   -   -   -   -   -",
    "leaveGroup": "           U   +   +   +   +   +   +   +   +   +",
    "respondToIdea": "        U   F   F   F   F   +   -   +   F   F",
    "respondToIdea of a hidden idea": "U F F F F ?  ?   ?   F   F",
    "hideIdea": "             U   F   F   F   F   F   F   F   +   F",
    "showIdea": "             U   F   F   F   F   F   F   F   +   F",
    "beginPasskeyRegistration": "U F  F   F   F   +   +   +   +   +",
    "finishPasskeyRegistration": "U F F   F   F   +   +   +   +   +",
    "beginPasskeyLogin": "    +   +   +   +   +   +   +   +   +   +",
    "finishPasskeyLogin": "   +   +   +   +   +   +   +   +   +   +",
    "removePasskey": "        U   ?   ?   ?   ?   +   +   +   +   +",
    "inviteStaff": "          U   F   F   F   F   F   F   F   F   +",
    "withdrawInvitation": "   U   F   F   F   F   F   F   F   F   +",
    "acceptInvitation": "     +   +   +   +   +   +   +   +   +   +",
    "grantRole": "            U   F   F   F   F   F   F   F   F   +",
    "revokeRole": "           U   F   F   F   F   F   F   F   F   +",
    "requestDataExport": "    U   +   +   +   +   +   +   +   +   +",
    "eraseAccount": "         U   +   +   +   +   +   +   +   +   +",  # the last: they are nobody then
}
# Which tables a mutation may change, of its own municipality's rows; those of staff are in the audit log as well.
AUDIT = ("audit_entries", "audit_heads")
WRITES = {
    "registerDevice": "idempotency_keys refresh_tokens residents sessions",
    "refreshSession": "refresh_tokens sessions",
    "endSession": "revocations sessions",
    "endAllSessions": "revocations sessions",
    "submitIdea": "follows idea_groups idea_numbers idea_tallies ideas idempotency_keys public_changes",
    "editIdea": "idea_tallies ideas public_changes",
    "withdrawIdea": "idea_tallies ideas pgqueuer public_changes",
    "setVote": "idea_tallies tally_days votes",
    "setFollow": "follows",
    "markNotificationsRead": "notifications",
    "updateProfile": "public_changes residents",
    "createGroup": "group_members groups idempotency_keys public_changes",
    "joinGroup": "group_members groups public_changes",
    "approveMember": "group_members groups public_changes",
    "leaveGroup": "group_members groups public_changes",
    "respondToIdea": "idea_tallies ideas idempotency_keys pgqueuer public_changes responses",
    "hideIdea": "idea_tallies ideas moderations public_changes",
    "showIdea": "idea_tallies ideas moderations public_changes",
    "requestEmailCode": "email_challenges pgqueuer",
    "confirmEmailCode": "email_challenges identities refresh_tokens residents sessions",
    "confirmEmailLink": "email_challenges identities refresh_tokens residents sessions",
    "beginLogin": "login_attempts",
    "completeLogin": "login_attempts identities refresh_tokens residents sessions",
    "beginPasskeyRegistration": "passkey_challenges",
    "finishPasskeyRegistration": "passkey_challenges passkeys",
    "beginPasskeyLogin": "passkey_challenges",
    "finishPasskeyLogin": "passkey_challenges passkeys refresh_tokens sessions",
    "removePasskey": "audit_entries audit_heads passkeys",
    "inviteStaff": "idempotency_keys invitations pgqueuer",
    "withdrawInvitation": "invitations",
    "acceptInvitation": "audit_entries audit_heads identities invitations refresh_tokens resident_roles residents"
    " revocations sessions",
    "requestDataExport": "data_exports idempotency_keys pgqueuer",
    "eraseAccount": "pgqueuer public_changes residents revocations sessions",
    "grantRole": "resident_roles revocations",
    "revokeRole": "resident_roles revocations",
}
NO_ACTS = {"beginPasskeyRegistration"}  # gives out a number, and nothing is done before it is signed
OUTCOMES = {"U": "UNAUTHENTICATED", "F": "FORBIDDEN", "-": "NOT_ALLOWED", "?": "NOT_FOUND", "+": "done"}
# What each of the ACTORS sees: + something, . nothing, U and F as above. Every object is looked for on all paths to it.
SIGHTS = {
    #                                       ano res aut mem con off str coo mod adm
    "node of an idea": "                     +   +   +   +   +   +   +   +   +   +",
    "node of a withdrawn idea": "            +   +   +   +   +   +   +   +   +   +",
    "node of a hidden idea": "               .   .   +   .   .   .   .   .   +   .",
    "nodes of a hidden idea": "              .   .   +   .   .   .   .   .   +   .",
    "response of a hidden idea": "           .   .   +   .   .   .   .   .   +   .",
    "mergedInto a hidden idea": "            .   .   +   .   .   .   .   .   +   .",
    "ideas with a hidden idea": "            .   .   +   .   .   .   .   .   +   .",
    "ideas with a withdrawn idea": "         .   .   .   .   .   .   .   .   .   .",
    "leaderboard with a hidden idea": "      .   .   .   .   .   .   .   .   .   .",
    "similarIdeas with a hidden idea": "     .   .   .   .   .   .   .   .   .   .",
    "group's ideas with a hidden idea": "    .   .   .   +   .   .   .   .   +   .",
    "viewer.ideas with a hidden idea": "     .   .   +   .   .   .   .   .   .   .",
    "viewer.ideas with a withdrawn idea": "  .   .   +   .   .   .   .   .   .   .",
    "group's members": "                     .   .   .   +   +   .   .   .   .   .",
    "requests to join the group": "          .   .   .   .   +   .   .   .   .   .",
    "who submitted the group's idea": "      .   .   .   +   +   .   .   .   .   .",
    "notification": "                        .   .   +   .   .   .   .   .   .   .",
    "session": "                             .   .   +   .   .   .   .   .   .   .",
    "viewer.sessions": "                     .   .   +   .   .   .   .   .   .   .",
    "viewer": "                              .   +   +   +   +   +   +   +   +   +",
    "municipality": "                        +   +   +   +   +   +   +   +   +   +",
    "groups": "                              +   +   +   +   +   +   +   +   +   +",
    "contact": "                             +   +   +   +   +   +   +   +   +   +",
    "invitations": "                         U   F   F   F   F   F   F   F   F   +",
    "auditEntries": "                        U   F   F   F   F   F   F   F   F   +",
    "staff": "                               U   F   F   F   F   F   F   F   F   +",
}


def table(rows: dict[str, str]) -> list[tuple[str, str, str]]:
    cells = {name: marks.split() for name, marks in rows.items()}
    assert all(len(marks) == len(ACTORS) for marks in cells.values())
    return [
        (name, actor, marks[ACTORS.index(ALIKE.get(actor, actor))])
        for name, marks in cells.items()
        for actor in EVERYBODY
    ]


def named(operation: str) -> str:
    """The mutation of a row of MUTATIONS."""
    return operation.partition(" ")[0]


@dataclass
class People:
    """EVERYBODY with a token, and a group of two that the applicant asked to join."""

    api: Api
    idp: Idp
    slug: str
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, UUID] = field(default_factory=dict)
    group: str = ""

    async def gather(self) -> None:
        api, conn = self.api, self.api.conn
        municipality_id = await conn.fetchval("SELECT id FROM municipalities WHERE slug = $1", self.slug)
        elsewhere = await conn.fetchval(
            """
            SELECT id FROM departments AS d WHERE municipality_id = $1 AND NOT EXISTS (
              SELECT FROM themes AS t WHERE t.municipality_id = $1 AND t.department_id = d.id AND t.is_general)
            ORDER BY position LIMIT 1
            """,
            municipality_id,
        )
        roles = {"stranger": "OFFICIAL"} | {name: name.upper() for name in ACTORS[5:] if name != "stranger"}
        strengths = {"device": "DEVICE", "strong": "STRONG"}
        for name in EVERYBODY[1:]:
            role = roles.get(name, "RESIDENT")
            department = elsewhere if name == "stranger" else None
            strength = strengths.get(name, "EMAIL")
            token = await api.token(role, strength=strength, municipality=self.slug, department=department)
            self.tokens[name] = token
            viewer = await api.data("{ viewer { resident { id } } }", token=token)
            self.ids[name] = parse_id(viewer["viewer"]["resident"]["id"])[1]
        self.group = await self.new_group()

    async def sign_in(self, name: str) -> None:
        """A new token of somebody's."""
        [self.tokens[name]] = await mint_tokens(
            self.api.settings,
            slug=self.slug,
            role="RESIDENT",
            strength="EMAIL",
            count=1,
            resident=global_id("Resident", self.ids[name]),
            department="",
            ttl=3600,
        )

    async def new_group(self, *, all_contacts: bool = False) -> str:
        asked = {"displayName": "Puistoväki", "kind": "REGISTERED", "idempotencyKey": str(uuid4())}
        made = await self.api.mutate("createGroup", asked, "group { id }", token=self.tokens["contact"])
        group_id: str = made["group"]["id"]
        for name in ("member", "applicant"):
            await self.api.mutate("joinGroup", {"groupId": group_id}, "group { id }", token=self.tokens[name])
        asked = {"groupId": group_id, "residentId": global_id("Resident", self.ids["member"])}
        await self.api.mutate("approveMember", asked, "group { id }", token=self.tokens["contact"])
        if all_contacts:
            uuid = parse_id(group_id)[1]
            await self.api.conn.execute("UPDATE group_members SET role = 'CONTACT' WHERE group_id = $1", uuid)
        return group_id

    async def idea(self, *, of_group: bool = False, hidden: bool = False) -> str:
        """Of the author, or of the member in the group's name."""
        if of_group:
            made = await self.api.idea(token=self.tokens["member"], groupId=self.group)
        else:
            made = await self.api.idea(token=self.tokens["author"])
        if hidden:
            asked = {"ideaId": made, "reason": "Mainos."}
            await self.api.mutate("hideIdea", asked, "idea { id }", token=self.tokens["moderator"])
        return made

    async def notification(self, name: str, idea_id: str) -> str:
        row = await self.api.conn.fetchval(
            """
            INSERT INTO notifications (municipality_id, resident_id, event_id, kind, idea_id)
            SELECT municipality_id, $1, gen_random_uuid(), 'STATUS_CHANGED', id FROM ideas WHERE id = $2 RETURNING id
            """,
            self.ids[name],
            parse_id(idea_id)[1],
        )
        return global_id("Notification", row)

    async def session(self, name: str) -> str:
        """One more of theirs."""
        row = await self.api.conn.fetchval(
            """
            INSERT INTO sessions (municipality_id, resident_id, head_hash, refreshed_at, expires_at)
            SELECT municipality_id, id, '', now(), now() + interval '90 days' FROM residents WHERE id = $1 RETURNING id
            """,
            self.ids[name],
        )
        return global_id("Session", row)

    def whose(self, operation: str, actor: str) -> str:
        """The actor's own, or another's."""
        another = "author" if actor == "applicant" else "applicant"
        return another if "another" in operation or actor == "anonymous" else actor

    async def input(self, operation: str, actor: str) -> Json:
        """A new input for a row of MUTATIONS, about something that nobody has touched yet."""
        name = named(operation)
        key = {"idempotencyKey": str(uuid4())}
        if name == "refreshSession":
            session = await self.api.mutate("registerDevice", {"locale": "fi", **key}, "refreshToken")
            return {"refreshToken": session["refreshToken"]}
        if name == "completeLogin":
            await self.idp.person(f"{actor} {uuid4()}", acr=LOA2)
            return await Person(self.api, self.idp).code(token=self.tokens.get(actor, ""), municipality=self.slug)
        if name == "endSession":
            return {"sessionId": await self.session(self.whose(operation, actor))}
        if name in {"joinGroup", "leaveGroup", "approveMember"}:
            whom = {"residentId": global_id("Resident", self.ids["applicant"])} if name == "approveMember" else {}
            return {"groupId": await self.new_group(all_contacts=name == "leaveGroup"), **whom}
        if name.endswith(("Staff", "Invitation", "Role")) or "Passkey" in name or "Email" in name:
            return await self._of_accounts(name, actor)
        group = {"groupId": self.group} if "group" in operation else {}
        alone: dict[str, Json] = {
            "registerDevice": {"locale": "fi", **key},
            "submitIdea": {"title": "Lisää penkkejä", "locale": "fi", **group, **key},
            "updateProfile": {"displayName": f"Nimi {uuid4()}"},
            "createGroup": {"displayName": "Naapurit", "kind": "INFORMAL", **key},
            "endAllSessions": {},
            "beginLogin": {"providerId": "tunnus", "redirectUri": REDIRECT},
            "requestDataExport": key,
            "eraseAccount": {"displayName": await self.name(actor) if name == "eraseAccount" else ""},
        }
        return alone[name] if name in alone else await self._about_an_idea(operation, actor)

    async def _of_accounts(self, name: str, actor: str) -> Json:
        if name.endswith(("Staff", "Invitation")):
            return await self._invitation(name)
        if "Passkey" in name:
            return await self._passkey(name, actor)
        if "Email" in name:
            return await self._email(name, actor)
        role = "RESIDENT" if name == "grantRole" else "MODERATOR"
        return {"residentId": await self.newcomer(role), "role": "MODERATOR"}

    async def _invitation(self, name: str) -> Json:
        asked = {"email": f"{uuid4().hex}@example.fi", "role": "MODERATOR", "locale": "fi"}
        asked["idempotencyKey"] = str(uuid4())
        if name == "inviteStaff":
            return asked
        here = {"token": self.tokens["administrator"], "heitto_municipality": self.slug}
        made = await self.api.mutate("inviteStaff", asked, "invitation { id }", **here)
        if name == "withdrawInvitation":
            return {"invitationId": made["invitation"]["id"]}
        return {"secret": (await mailed(self.api))[-1][1]}

    async def _passkey(self, name: str, actor: str) -> Json:
        """By an authenticator of the actor's own where they may have one; else by the administrator's."""
        owner = actor if actor in ACTORS[5:] else "administrator"
        origin, key, headers = f"https://{self.slug}.example", Authenticator(), {"heitto_municipality": self.slug}
        if name.startswith("begin"):
            return {"origin": origin}

        async def begin(step: str) -> Json:
            token = self.tokens[owner]
            return await self.api.mutate(step, {"origin": origin}, "challengeId options", token=token, **headers)

        begun = await begin("beginPasskeyRegistration")
        made = {
            "challengeId": begun["challengeId"],
            "credential": key.create(begun["options"], origin),
            "name": "Avain",
        }
        if name == "finishPasskeyRegistration":
            return made
        added = await self.api.mutate(
            "finishPasskeyRegistration", made, "passkey { id }", token=self.tokens[owner], **headers
        )
        if name == "removePasskey":
            return {"passkeyId": added["passkey"]["id"]}
        begun = await begin("beginPasskeyLogin")
        return {"challengeId": begun["challengeId"], "credential": key.get(begun["options"], origin)}

    async def _email(self, name: str, actor: str) -> Json:
        """An address of nobody yet, and where one is confirmed, what was mailed to it for the actor."""
        asked = {"email": f"{uuid4().hex}@example.fi", "locale": "fi"}
        if name == "requestEmailCode":
            return asked
        made = await self.api.mutate(
            "requestEmailCode",
            asked,
            "challengeId",
            token=self.tokens.get(actor, ""),
            heitto_municipality=self.slug,
        )
        mail = (await code_mails(self.api.conn, self.api.settings))[-1]
        if name == "confirmEmailLink":
            return {"secret": mail.secret}
        return {"challengeId": made["challengeId"], "code": mail.code}

    async def name(self, actor: str) -> str:
        if actor == "anonymous":
            return "Asukas"
        viewer = await self.api.data("{ viewer { resident { displayName } } }", token=self.tokens[actor])
        name: str = viewer["viewer"]["resident"]["displayName"]
        return name

    async def newcomer(self, role: str) -> str:
        token = await self.api.token(role, municipality=self.slug)
        viewer = await self.api.data("{ viewer { resident { id } } }", token=token)
        id: str = viewer["viewer"]["resident"]["id"]
        return id

    async def _about_an_idea(self, operation: str, actor: str) -> Json:
        name, hidden, key = named(operation), "hidden" in operation, {"idempotencyKey": str(uuid4())}
        idea_id = await self.idea(of_group="group" in operation, hidden=hidden or name == "showIdea")
        if name == "markNotificationsRead":
            return {"upTo": await self.notification(self.whose(operation, actor), idea_id)}
        more: dict[str, Json] = {
            "editIdea": {"title": "Toinen otsikko"},
            "withdrawIdea": {},
            "setVote": {"voted": True},
            "respondToIdea": {"kind": "RECEIPT", "body": "Luimme tämän.", **key},
            "hideIdea": {"reason": "Mainos."},
            "showIdea": {"reason": "Ei olekaan mainos."},
        }
        return {"subjectId": idea_id, "following": True} if name == "setFollow" else {"ideaId": idea_id, **more[name]}

    async def outcome(self, operation: str, actor: str, input: Json, **headers: str) -> str:
        """done, or the first code of either kind."""
        name = named(operation)
        type_ = f"{name[0].upper()}{name[1:]}Input"
        query = f"mutation ($input: {type_}!) {{ {name}(input: $input) {{ errors {{ code }} }} }}"
        headers = headers or {"heitto_municipality": self.slug}
        answer = (await self.api.post(query, {"input": input}, token=self.tokens.get(actor, ""), **headers)).json()
        errors = [error["extensions"]["code"] for error in answer.get("errors", [])]
        payload = (answer.get("data") or {}).get(name) or {"errors": []}
        errors += [error["code"] for error in payload["errors"]]
        return errors[0] if errors else "done"


@pytest.fixture
async def people(api: Api, idp: Idp) -> People:
    made = People(api, idp, SLUG)
    await made.gather()
    return made


def test_every_operation_has_a_policy_and_a_row_here() -> None:
    for kind in ("query", "mutation", "subscription"):
        assert POLICIES[kind].keys() == root_fields(kind).keys()
    assert {named(operation) for operation in MUTATIONS} == WRITES.keys() == root_fields("mutation").keys()


async def test_every_mutation_as_everybody(people: People) -> None:
    wrong = []
    here = str(people.api.catalogue.id)
    for operation, actor, mark in table(MUTATIONS):
        input = await people.input(operation, actor)
        before = await contents_apart(people.api.conn)
        outcome = await people.outcome(operation, actor, input)
        if outcome != OUTCOMES[mark]:
            wrong.append(f"{operation} as {actor}: {outcome}, not {OUTCOMES[mark]}")
        after = await contents_apart(people.api.conn)
        changed = {place for place, _ in after.items() ^ before.items()}
        if mark != "+" and changed:
            wrong.append(f"{operation} as {actor} was refused and changed {changed}")
        by_staff = POLICIES["mutation"][named(operation)] not in {Policy.ANYBODY, Policy.SIGNED_IN}
        audited = ("audit_entries", here) in changed or named(operation) in NO_ACTS
        if mark == "+" and by_staff and not audited:
            wrong.append(f"{operation} as {actor} is in no audit log")
        tables = [*WRITES[named(operation)].split(), *(AUDIT if by_staff else ())]
        if not changed <= {(name, owner) for name in tables for owner in (here, "")}:
            wrong.append(f"{operation} as {actor} changed {changed}")
    assert wrong == []


@dataclass
class Scene:
    """Ids of what is looked for."""

    idea: str
    withdrawn: str
    hidden: str
    merged: str
    response: str
    notification: str
    session: str
    of_group: str
    hidden_of_group: str


async def scene(people: People) -> Scene:
    api, conn = people.api, people.api.conn
    await record(conn, municipality_id=api.catalogue.id, actor_id=None, act="DONE")
    idea, withdrawn, hidden, merged = [await people.idea() for _ in range(4)]
    official, moderator = people.tokens["official"], people.tokens["moderator"]
    asked = {"ideaId": hidden, "kind": "RECEIPT", "body": "Luimme tämän.", "idempotencyKey": str(uuid4())}
    answer = await api.mutate("respondToIdea", asked, "response { id }", token=official)
    await api.mutate("withdrawIdea", {"ideaId": withdrawn}, "idea { id }", token=people.tokens["author"])
    hidden_of_group = await people.idea(of_group=True)
    for each in (hidden, hidden_of_group):
        await api.mutate("hideIdea", {"ideaId": each, "reason": "Mainos."}, "idea { id }", token=moderator)
    await conn.execute(
        "UPDATE ideas SET status = 'MERGED', merged_into_id = $2 WHERE id = $1",
        *(parse_id(each)[1] for each in (merged, hidden)),
    )
    asked = {"email": "eero@example.fi", "role": "MODERATOR", "locale": "fi", "idempotencyKey": str(uuid4())}
    await api.mutate("inviteStaff", asked, "invitation { id }", token=people.tokens["administrator"])
    return Scene(
        idea,
        withdrawn,
        hidden,
        merged,
        answer["response"]["id"],
        await people.notification("author", idea),
        await people.session("author"),
        await people.idea(of_group=True),
        hidden_of_group,
    )


def looks(scene: Scene, people: People) -> dict[str, tuple[str, str]]:
    """Of each row of SIGHTS the query, and the text in its answer by which it is seen."""
    theme = global_id("Theme", people.api.catalogue.general_theme.id)
    group, member, applicant = people.group, people.ids["member"], people.ids["applicant"]
    return {
        "node of an idea": (f'node(id: "{scene.idea}") {{ id }}', scene.idea),
        "node of a withdrawn idea": (f'node(id: "{scene.withdrawn}") {{ id }}', scene.withdrawn),
        "node of a hidden idea": (f'node(id: "{scene.hidden}") {{ id }}', scene.hidden),
        "nodes of a hidden idea": (f'nodes(ids: ["{scene.hidden}"]) {{ id }}', scene.hidden),
        "response of a hidden idea": (f'node(id: "{scene.response}") {{ id }}', scene.response),
        "mergedInto a hidden idea": (
            f'node(id: "{scene.merged}") {{ ... on Idea {{ mergedInto {{ id }} }} }}',
            scene.hidden,
        ),
        "ideas with a hidden idea": ("ideas(first: 100) { nodes { id } }", scene.hidden),
        "ideas with a withdrawn idea": ("ideas(first: 100) { nodes { id } }", scene.withdrawn),
        "leaderboard with a hidden idea": ("leaderboard(first: 100) { nodes { idea { id } } }", scene.hidden),
        "similarIdeas with a hidden idea": (
            'similarIdeas(text: "Penkki mäen päälle", first: 20) { idea { id } }',
            scene.hidden,
        ),
        "group's ideas with a hidden idea": (
            f'node(id: "{group}") {{ ... on Group {{ ideas {{ nodes {{ id }} }} }} }}',
            scene.hidden_of_group,
        ),
        "viewer.ideas with a hidden idea": ("viewer { ideas { nodes { id } } }", scene.hidden),
        "viewer.ideas with a withdrawn idea": ("viewer { ideas { nodes { id } } }", scene.withdrawn),
        "group's members": (
            f'node(id: "{group}") {{ ... on Group {{ members {{ nodes {{ id }} }} }} }}',
            global_id("Resident", member),
        ),
        "requests to join the group": (
            f'node(id: "{group}") {{ ... on Group {{ members {{ nodes {{ id }} }} }} }}',
            global_id("Resident", applicant),
        ),
        "who submitted the group's idea": (
            f'node(id: "{scene.of_group}") {{ ... on Idea {{ submittedBy {{ id }} }} }}',
            global_id("Resident", member),
        ),
        "notification": (f'node(id: "{scene.notification}") {{ id }}', scene.notification),
        "session": (f'node(id: "{scene.session}") {{ id }}', scene.session),
        "viewer.sessions": ("viewer { sessions { nodes { id } } }", scene.session),
        "viewer": ("viewer { resident { id } }", '"id"'),
        "municipality": ("municipality { id }", '"id"'),
        "groups": ("groups { nodes { id } }", group),
        "contact": (f'contact(themeId: "{theme}") {{ id }}', '"id"'),
        "invitations": ("invitations { nodes { email } }", "eero@example.fi"),
        "auditEntries": ("auditEntries(first: 1) { nodes { act hash } }", '"hash"'),
        "staff": ("staff { nodes { resident { id } } }", global_id("Resident", people.ids["moderator"])),
    }


async def test_everybody_sees_what_is_theirs_to_see_on_every_path(people: People) -> None:
    queries, wrong = looks(await scene(people), people), []
    assert queries.keys() == SIGHTS.keys()
    for sight, actor, mark in table(SIGHTS):
        query, sought = queries[sight]
        answer = await people.api.post(f"{{ {query} }}", token=people.tokens.get(actor, ""))
        refused = [error["extensions"]["code"] for error in answer.json().get("errors", [])]
        assert refused == ([OUTCOMES[mark]] if mark in "UF" else []), answer.text
        if (sought in answer.text) != (mark == "+"):
            wrong.append(f"{sight} as {actor}: {answer.text}")
    assert wrong == []
