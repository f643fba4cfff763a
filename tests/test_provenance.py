"""Each read of the database either tells what it read, or is known never to be part of a public answer."""

import ast
from collections.abc import Iterator
from pathlib import Path

from backend import db
from backend.provenance import OPEN, Span

# Not part of an answer that is kept, each for its reason.
NEVER_PUBLIC = {
    "follows": {"set_follow"},
    "groups": {
        "groups_created_lately",
        "create_group",
        "group_for_update",
        "group_roles",
        "has_other_contact",
        "join_group",
        "approve_member",
        "leave_group",
    },
    "idea_statements": {"few_ideas", "_estimate"},  # they choose a way to the same page
    "ideas": {
        "idea_for_update",
        "next_idea_number",
        "submit_idea",
        "others_voted",
        "edit_idea",
        "place_idea",
        "add_moderation",
    },
    "identities": {
        "accounts_of",
        "final_account",
        "all_accounts",
        "hold_accounts",
        "add_identities",
        "raise_resident",
        "revive_resident",
    },
    "invitations": {
        "add_invitation",
        "invitation",
        "spend_invitation",
        "withdraw_invitation",
        "withdraw_invitations_of",
        "prune_invitations",
    },
    "municipalities": {
        "slugs",
        "catalogue",
        "sender",
        "add_municipality",
        "add_offices",
        "set_vote_strength",
        "seen_from_before",
    },  # the catalogue's version is in every key
    "notifications": {"notify_followers", "id_of_now", "mark_notifications_read", "prune_notifications"},
    "residents": {"register_resident", "roles", "seat_official", "update_profile"},
    "roles": {
        "lock_account",
        "grant_role",
        "revoke_role",
        "roles_of_source",
        "official_by_email",
        "lock_administrators",
        "lock_official",
        "acts_already",
    },
    "passkeys": {
        "add_challenge",
        "take_challenge",
        "prune_challenges",
        "add_passkey",
        "credential",
        "use_passkey",
        "remove_passkey",
    },
    "responses": {"acting_official", "respond_to_idea"},
    "sessions": {
        "start_session",
        "begin_command_session",
        "lock_session_by_refresh_token",
        "rotate_session",
        "end_session",
        "end_sessions",
        "is_session_of",
        "has_ended_session",
        "prune_sessions",
    },
    "trending": {"prepare_trending"},
    "votes": {"set_votes", "recount", "settle_votes"},
}
# Reads for commands and jobs, for signing in, the feed itself; and boards, whose one reader, `leaderboards.py`, tells.
NEVER_PUBLIC_MODULES = {
    "audit",
    "boards",
    "data_exports",
    "email_codes",
    "erasures",
    "idempotency",
    "imports",
    "joins",
    "logins",
    "migrate",
    "pool",
    "public_changes",
    "revocations",
}


def reads() -> Iterator[tuple[str, str, bool]]:
    """Module, function, and whether it tells, of every function that is given a connection."""
    for path in sorted(Path(db.__path__[0]).glob("*.py")):
        if path.stem in NEVER_PUBLIC_MODULES or path.stem == "__init__":
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.AsyncFunctionDef) and node.args.args and node.args.args[0].arg == "conn":
                called = {
                    call.func.id
                    for call in ast.walk(node)
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
                }
                yield path.stem, node.name, any(name.startswith(("note_", "_note_", "noted")) for name in called)


def test_each_read_tells_what_it_read_or_is_no_part_of_a_public_answer() -> None:
    found = list(reads())
    silent = {(module, name) for module, name, tells in found if not tells}
    assert silent == {(module, name) for module, names in NEVER_PUBLIC.items() for name in names}
    assert len(found) - len(silent) >= 20


def test_a_span_admits_what_would_get_onto_its_page() -> None:
    by_age = Span("3", "7")
    assert [id for id in "23578" if by_age.admits(id, 0)] == ["3", "5", "7"]
    by_votes = Span("", "5", 1, 10)
    assert [(id, n) for id in "46" for n in (9, 10, 11) if by_votes.admits(id, n)] == [("4", 10), ("4", 11), ("6", 11)]
    trending = Span("", "5", 14, 28)
    assert [n for n in (1, 2, 3) if trending.admits("6", n)] == [3]
    assert Span("", OPEN).admits("f" * 32, 0)
