"""Logins with OpenID Providers."""

from datetime import datetime

import strawberry

from backend.auth.login_providers import LoginProvider as Provider
from backend.context import Info
from backend.schema.enums import IdentityStrength, LoginAudience
from backend.schema.errors import ERRORS, UserError
from backend.schema.scalars import Locale


@strawberry.type(description="A way to log in to the municipality, with a provider outside of it.")
class LoginProvider:
    id: str = strawberry.field(description="For `beginLogin`.")
    name: str = strawberry.field(description="In the caller's language where it has one.")
    serves: LoginAudience = strawberry.field(description="Whom it is for.")
    highest_strength: IdentityStrength = strawberry.field(description="How well it identifies people, at best.")


@strawberry.input(description="A login to begin.")
class BeginLoginInput:
    provider_id: str = strawberry.field(description="One of `Municipality.loginProviders`.")
    redirect_uri: str = strawberry.field(
        description="Where the provider sends the person back to: exactly one of those agreed with the municipality."
    )
    code_challenge: str | None = strawberry.field(
        default=None,
        description="An app's own PKCE challenge (S256); then it sends its verifier along in `completeLogin`. "
        "Left out, the server does PKCE. Where the way back is an app's own scheme, which other apps may claim, it is "
        "required of callers without an access token.",
    )
    locale: Locale | None = strawberry.field(
        default=None, description="The language the person reads; the request's where left out."
    )


@strawberry.type(description="A login that has begun. Send the person to `authorizationUrl`, in the system's browser.")
class BeginLoginPayload:
    authorization_url: str | None = strawberry.field(default=None, description="The provider's own page.")
    state: str | None = strawberry.field(
        default=None,
        description="Keep it on the device, and accept only an answer that comes back with it. It is good once.",
    )
    nonce: str | None = strawberry.field(
        default=None, description="For an app that asks the provider for an ID token by itself."
    )
    expires_at: datetime | None = strawberry.field(default=None, description="Complete the login before then.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(description="A login to complete: with a code, or with an ID token that the app has got by itself.")
class CompleteLoginInput:
    state: str = strawberry.field(description="Of `beginLogin`, called with the same access token or also without.")
    code: str | None = strawberry.field(default=None, description="The `code` that the provider sent back.")
    id_token: str | None = strawberry.field(
        default=None, description="Made for this municipality's client, with the `nonce` of `beginLogin`."
    )
    code_verifier: str | None = strawberry.field(
        default=None, description="Of the app's own PKCE challenge, where it began with one."
    )


def login_provider(info: Info, provider: Provider) -> LoginProvider:
    return LoginProvider(
        id=provider.id,
        name=info.context.name({str(locale): name for locale, name in provider.names.items()}),
        serves=LoginAudience(provider.serves),
        highest_strength=IdentityStrength(provider.highest_strength),
    )
