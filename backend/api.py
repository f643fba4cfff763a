"""The product's contents: every operation with the function that does it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter
from strawberry.utils.str_converters import to_camel_case

from backend.context import Info
from backend.db import residents
from backend.db.pool import acquire
from backend.errors import Refusal
from backend.messages import message

# Fields are named like modules, and a class body would take the one for the other: hence `on_`.
from backend.resolvers import audit as on_audit
from backend.resolvers import email_codes as on_email_codes
from backend.resolvers import follows as on_follows
from backend.resolvers import groups as on_groups
from backend.resolvers import idea_lists, moderation
from backend.resolvers import ideas as on_ideas
from backend.resolvers import invitations as on_invitations
from backend.resolvers import leaderboards as on_leaderboards
from backend.resolvers import logins as on_logins
from backend.resolvers import nodes as on_nodes
from backend.resolvers import notifications as on_notifications
from backend.resolvers import passkeys as on_passkeys
from backend.resolvers import personal_data as on_personal_data
from backend.resolvers import residents as on_residents
from backend.resolvers import responses as on_responses
from backend.resolvers import roles as on_roles
from backend.resolvers import sessions as on_sessions
from backend.resolvers import votes as on_votes
from backend.resolvers.access import authorize
from backend.schema.audit import AuditEntryConnection
from backend.schema.email_codes import RequestEmailCodePayload
from backend.schema.enums import UserErrorCode
from backend.schema.errors import UserError
from backend.schema.follows import SetFollowPayload
from backend.schema.groups import Group, GroupConnection, GroupPayload
from backend.schema.idea_inputs import IdeaPayload, SetVotePayload
from backend.schema.ideas import Idea, IdeaConnection, SimilarIdea
from backend.schema.invitations import InvitationConnection, InvitationPayload, WithdrawInvitationPayload
from backend.schema.leaderboards import LeaderboardConnection, LeaderboardEntry
from backend.schema.logins import BeginLoginPayload
from backend.schema.municipalities import Municipality, Official, municipality
from backend.schema.nodes import Node
from backend.schema.notifications import MarkNotificationsReadPayload, Notification
from backend.schema.passkeys import PasskeyOptionsPayload, PasskeyPayload
from backend.schema.personal_data import EraseAccountPayload, RequestDataExportPayload
from backend.schema.responses import Response, ResponsePayload
from backend.schema.roles import RolePayload, StaffConnection
from backend.schema.scalars import SCALARS
from backend.schema.session_list import EndSessionsPayload, Session
from backend.schema.sessions import SessionPayload
from backend.schema.viewer import ProfilePayload, Viewer, viewer

P = ParamSpec("P")
Payload = TypeVar("Payload")


def this_municipality(info: Info) -> Municipality | None:
    return municipality(info)


async def this_viewer(info: Info) -> Viewer | None:
    context = info.context
    if context.viewer.resident_id is None:
        return None
    async with acquire(context.pool) as conn:
        row = await residents.resident_by_id(
            conn, municipality_id=context.municipality_id, id=context.viewer.resident_id
        )
    return viewer(row) if row else None


def mutation(
    resolver: Callable[P, Awaitable[Payload]], payload: Callable[..., Payload], description: str
) -> Any:  # Any: strawberry's field, which stands for its value
    """A field for a use case: what it refuses becomes `errors` of its payload, what it changed is told at once."""
    name = to_camel_case(resolver.__name__)

    @wraps(resolver)
    async def resolve(*args: P.args, **kwargs: P.kwargs) -> Payload:
        info: Info = kwargs["info"] if "info" in kwargs else args[0]  # type: ignore[assignment] # every resolver's first
        if info.context.became:  # by a field before this one: what the token allowed was allowed to somebody else
            authorize("mutation", [name], info.context)
        try:
            done = await resolver(*args, **kwargs)
        except Refusal as refusal:
            return payload(errors=[_user_error(info, refusal)])
        info.context.services.projector.hurry()
        if resolver is not on_votes.set_vote:  # boards follow votes, and who votes is told the count
            info.context.services.changes.recheck()
        return done

    made: Any = strawberry.field(resolver=resolve, description=description)  # Any: as above
    for argument in made.arguments:
        argument.description = "What is asked for."  # once here: there is nothing else to say of any of them
    return made


def _user_error(info: Info, refusal: Refusal) -> UserError:
    return UserError(
        code=UserErrorCode(refusal.code),
        message=message(refusal.reason, info.context.locale, refusal.values),
        field=list(refusal.field) if refusal.field else None,
    )


@strawberry.type(description="What can be read. Anybody may ask; what is seen depends on who asks.")
class Query:
    node: Node | None = strawberry.field(
        resolver=on_nodes.node, description="The object with an id; null where there is nothing to see."
    )
    nodes: list[Node | None] = strawberry.field(
        resolver=on_nodes.nodes,
        description="In the order asked; null where there is nothing to see or the id is malformed.",
    )
    municipality: Municipality | None = strawberry.field(
        resolver=this_municipality, description="The municipality this request is for."
    )
    viewer: Viewer | None = strawberry.field(resolver=this_viewer, description="The signed-in caller, or null.")
    ideas: IdeaConnection | None = strawberry.field(
        resolver=idea_lists.ideas_list, description="Listed ideas, filtered and in order."
    )
    leaderboard: LeaderboardConnection | None = strawberry.field(
        resolver=on_leaderboards.leaderboard,
        description="Ranked ideas, served from Redis; PostgreSQL decides what is true.",
    )
    similar_ideas: list[SimilarIdea] | None = strawberry.field(
        resolver=idea_lists.similar_ideas,
        description="Ideas that resemble a text the resident is still typing, most alike first.",
    )
    groups: GroupConnection | None = strawberry.field(resolver=on_groups.groups, description="Groups, newest first.")
    contact: Official | None = strawberry.field(
        resolver=idea_lists.contact, description="Who in the municipality answers for a theme in a district."
    )
    audit_entries: AuditEntryConnection | None = strawberry.field(
        resolver=on_audit.audit_entries,
        description="Acts of staff and changes of rights, newest first. Administrators only.",
    )
    staff: StaffConnection | None = strawberry.field(
        resolver=on_roles.staff, description="Accounts with roles, oldest account first. Administrators only."
    )
    invitations: InvitationConnection | None = strawberry.field(
        resolver=on_invitations.invitations,
        description="Invitations that can still be accepted, newest first. Administrators only.",
    )


@strawberry.type(description="What can be done. At most four in a request, done one after the other.")
class Mutation:
    register_device: SessionPayload | None = mutation(
        on_sessions.register_device,
        SessionPayload,
        "An anonymous account for this device: enough to throw ideas, vote and follow.",
    )
    refresh_session: SessionPayload | None = mutation(
        on_sessions.refresh_session,
        SessionPayload,
        "New tokens for a session; the refresh token changes with every use.",
    )
    request_email_code: RequestEmailCodePayload | None = mutation(
        on_email_codes.request_email_code,
        RequestEmailCodePayload,
        "Mails a code and a link to sign in with. Send it with the device's token to keep what was done on the device.",
    )
    confirm_email_code: SessionPayload | None = mutation(
        on_email_codes.confirm_email_code,
        SessionPayload,
        "Signs in with a code: raises the caller's account, joins it with the one the address belongs to, "
        "or makes one. Needs the same account's token as the request for the code, or none as it.",
    )
    confirm_email_link: SessionPayload | None = mutation(
        on_email_codes.confirm_email_link, SessionPayload, "The same with the link of the mail."
    )
    begin_login: BeginLoginPayload | None = mutation(
        on_logins.begin_login,
        BeginLoginPayload,
        "Begins a login with a provider. Called with an access token, it raises that account; without, it finds the "
        "person's own or makes one.",
    )
    complete_login: SessionPayload | None = mutation(
        on_logins.complete_login,
        SessionPayload,
        "Ends a login that was begun: tokens for the person's account, and the roles that the provider tells of.",
    )
    end_session: EndSessionsPayload | None = mutation(
        on_sessions.end_session,
        EndSessionsPayload,
        "Signs a device of the caller's out: what it has open is closed, and its tokens are refused, within 5 seconds.",
    )
    end_all_sessions: EndSessionsPayload | None = mutation(
        on_sessions.end_all_sessions,
        EndSessionsPayload,
        "Signs all devices of the caller's out, but this one unless told otherwise.",
    )
    submit_idea: IdeaPayload | None = mutation(
        on_ideas.submit_idea,
        IdeaPayload,
        "Throws an idea. It has a responsible official and a clock from its first minute.",
    )
    edit_idea: IdeaPayload | None = mutation(
        on_ideas.edit_idea,
        IdeaPayload,
        "Absent keeps, null clears. Title and body are fixed once somebody else has voted: "
        "later changes are new ideas.",
    )
    withdraw_idea: IdeaPayload | None = mutation(
        on_ideas.withdraw_idea,
        IdeaPayload,
        "Takes an idea back: by its author or its group's contacts, not after a decision.",
    )
    set_vote: SetVotePayload | None = mutation(
        on_votes.set_vote,
        SetVotePayload,
        "States whether the caller's vote stands. Repeating it changes nothing.",
    )
    set_follow: SetFollowPayload | None = mutation(
        on_follows.set_follow,
        SetFollowPayload,
        "States whether the caller follows something. Repeating it changes nothing.",
    )
    mark_notifications_read: MarkNotificationsReadPayload | None = mutation(
        on_notifications.mark_notifications_read,
        MarkNotificationsReadPayload,
        "Marks the caller's notifications as read, all up to and including one.",
    )
    update_profile: ProfilePayload | None = mutation(
        on_residents.update_profile, ProfilePayload, "Changes the caller's public name, or the language they read."
    )
    create_group: GroupPayload | None = mutation(
        on_groups.create_group, GroupPayload, "Founds a group, registered or informal; the caller becomes its contact."
    )
    join_group: GroupPayload | None = mutation(
        on_groups.join_group, GroupPayload, "Member at once in open groups, PENDING where a contact approves."
    )
    approve_member: GroupPayload | None = mutation(
        on_groups.approve_member, GroupPayload, "Lets somebody who asked into the group. Contacts only."
    )
    leave_group: GroupPayload | None = mutation(
        on_groups.leave_group, GroupPayload, "Leaves a group. The last contact can't leave a group with members."
    )
    request_data_export: RequestDataExportPayload | None = mutation(
        on_personal_data.request_data_export,
        RequestDataExportPayload,
        "Asks for a copy of everything held on the caller, once a day; it is ready within minutes, see "
        "`Viewer.dataExports`.",
    )
    respond_to_idea: ResponsePayload | None = mutation(
        on_responses.respond_to_idea,
        ResponsePayload,
        "Officials of the department that owns the case, and coordinators. Appends to the idea's responses.",
    )
    hide_idea: IdeaPayload | None = mutation(
        moderation.hide_idea,
        IdeaPayload,
        "Hides an idea from everybody but moderators and its author. Moderators; the reason is kept and shown to the "
        "author.",
    )
    show_idea: IdeaPayload | None = mutation(
        moderation.show_idea, IdeaPayload, "Shows a hidden idea again. Moderators; the reason is kept."
    )
    begin_passkey_registration: PasskeyOptionsPayload | None = mutation(
        on_passkeys.begin_passkey_registration,
        PasskeyOptionsPayload,
        "The first step to a passkey: what the browser is to make. Staff only.",
    )
    finish_passkey_registration: PasskeyPayload | None = mutation(
        on_passkeys.finish_passkey_registration,
        PasskeyPayload,
        "The second step: from then on its owner signs in with it. Staff only.",
    )
    begin_passkey_login: PasskeyOptionsPayload | None = mutation(
        on_passkeys.begin_passkey_login,
        PasskeyOptionsPayload,
        "The first step of signing in with a passkey: what the browser is to sign.",
    )
    finish_passkey_login: SessionPayload | None = mutation(
        on_passkeys.finish_passkey_login,
        SessionPayload,
        "The second step: a session of the account whose passkey it is.",
    )
    remove_passkey: PasskeyPayload | None = mutation(
        on_passkeys.remove_passkey, PasskeyPayload, "Takes one of the caller's passkeys away, for good."
    )
    invite_staff: InvitationPayload | None = mutation(
        on_invitations.invite_staff,
        InvitationPayload,
        "Mails somebody a link to a role: good once, for seven days. Administrators.",
    )
    withdraw_invitation: WithdrawInvitationPayload | None = mutation(
        on_invitations.withdraw_invitation,
        WithdrawInvitationPayload,
        "Takes an invitation back that waits. Administrators.",
    )
    accept_invitation: SessionPayload | None = mutation(
        on_invitations.accept_invitation,
        SessionPayload,
        "Signs in by the address that was invited, and gives the role. A caller's own account isn't joined with it.",
    )
    grant_role: RolePayload | None = mutation(
        on_roles.grant_role, RolePayload, "Gives somebody a role. Administrators; repeating it changes nothing."
    )
    revoke_role: RolePayload | None = mutation(
        on_roles.revoke_role,
        RolePayload,
        "Takes a role from somebody, whoever gave it; at once, also for what they have open. Administrators.",
    )
    erase_account: EraseAccountPayload | None = mutation(
        on_personal_data.erase_account,
        EraseAccountPayload,
        "Forgets the caller for good, within a minute, and ends all sessions now. Ideas that others voted for, own or "
        "answered stay without author; votes stay counted.",
    )


@strawberry.type(description="What can be watched, over graphql-transport-ws or server-sent events.")
class Subscription:
    leaderboard_changed: AsyncGenerator[list[LeaderboardEntry] | None, None] = strawberry.subscription(
        resolver=on_leaderboards.leaderboard_changed,
        description="The board's first places: the present state first, then whenever they change, "
        "at most once a second.",
    )
    idea_changed: AsyncGenerator[Idea | None, None] = strawberry.subscription(
        resolver=on_nodes.idea_changed,
        description="An idea: the present state first, then whenever its votes, status or responses change, "
        "at most once a second.",
    )
    notification_received: AsyncGenerator[Notification | None, None] = strawberry.subscription(
        resolver=on_notifications.notification_received, description="The caller's new notifications as they come."
    )


class Names(NameConverter):
    """Strawberry makes the names of an input's fields anew for each input it reads."""

    apply_naming_config = cache(NameConverter.apply_naming_config)


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[Group, Response, Session],
    config=StrawberryConfig(scalar_map=SCALARS, name_converter=Names()),
)
