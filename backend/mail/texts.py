"""What mails say, in Finnish, Swedish and English. A paragraph with `{link}` is left out where there is none.

No subject holds a code or a link: subjects are shown on locked screens, and mail servers log them.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Template: TypeAlias = Literal["email_code", "invitation", "export_ready", "erased"]

LINKS: Final[dict[Template, str]] = {
    "email_code": "signIn",
    "invitation": "invitation",
    "export_ready": "export",
}
"""By what name the app finds the secret in the fragment of a mail's link: `#signIn=…`."""


@dataclass(frozen=True, slots=True)
class Text:
    subject: str
    body: str


TEXTS: Final[dict[Template, dict[str, Text]]] = {
    "email_code": {
        "fi": Text(
            "Kirjautumiskoodi, {municipality}",
            """Kirjautumiskoodisi on

{code}

Se käy kerran ja on voimassa {minutes} minuuttia. Kirjoita se sovellukseen, josta pyysit sen.

Voit myös avata tämän linkin samalla laitteella:
{link}

Älä anna koodia kenellekään. Emme kysy sitä koskaan puhelimessa emmekä viesteissä.

Jos et pyytänyt koodia, sinun ei tarvitse tehdä mitään: ilman sitä kukaan ei pääse tilillesi.

{municipality}""",
        ),
        "sv": Text(
            "Inloggningskod, {municipality}",
            """Din inloggningskod är

{code}

Den kan användas en gång och gäller i {minutes} minuter. Skriv in den i appen där du bad om den.

Du kan också öppna den här länken på samma enhet:
{link}

Ge inte koden till någon. Vi frågar aldrig efter den per telefon eller i meddelanden.

Om du inte har bett om en kod behöver du inte göra något: utan den kommer ingen in på ditt konto.

{municipality}""",
        ),
        "en": Text(
            "Sign-in code, {municipality}",
            """Your sign-in code is

{code}

It works once and is valid for {minutes} minutes. Type it into the app in which you asked for it.

You can also open this link on the same device:
{link}

Give the code to nobody. We never ask for it on the phone or in messages.

If you didn't ask for a code, you need not do anything: nobody gets into your account without it.

{municipality}""",
        ),
    },
    "invitation": {
        "fi": Text(
            "Kutsu henkilökuntaan, {municipality}",
            """{municipality} kutsuu sinut osallistumispalvelunsa henkilökuntaan.

Ota kutsu vastaan avaamalla tämä linkki. Se käy kerran ja on voimassa {until} asti:
{link}

Jos et odottanut kutsua, jätä viesti huomiotta tai kysy kunnasta. Älä lähetä linkkiä eteenpäin.

{municipality}""",
        ),
        "sv": Text(
            "Inbjudan till personalen, {municipality}",
            """{municipality} bjuder in dig till personalen för sin delaktighetstjänst.

Ta emot inbjudan genom att öppna den här länken. Den kan användas en gång och gäller till {until}:
{link}

Om du inte väntade dig en inbjudan kan du bortse från meddelandet eller fråga kommunen. Skicka inte länken vidare.

{municipality}""",
        ),
        "en": Text(
            "Invitation to the staff, {municipality}",
            """{municipality} invites you to the staff of its participation service.

Accept by opening this link. It works once and is valid until {until}:
{link}

If you didn't expect an invitation, ignore this message or ask the municipality. Don't pass the link on.

{municipality}""",
        ),
    },
    "export_ready": {
        "fi": Text(
            "Tietosi ovat valmiina, {municipality}",
            """Pyytämäsi tiedot ovat valmiina. Voit ladata ne sovelluksesta {until} asti, kun olet kirjautunut.

Suora linkki:
{link}

Jos et pyytänyt tietojasi, kirjaudu ja kirjaa ulos laitteet, joita et tunne.

{municipality}""",
        ),
        "sv": Text(
            "Dina uppgifter är klara, {municipality}",
            """De uppgifter du bad om är klara. Du kan ladda ner dem i appen till {until}, när du har loggat in.

Direkt länk:
{link}

Om du inte har bett om dina uppgifter, logga in och logga ut de enheter som du inte känner igen.

{municipality}""",
        ),
        "en": Text(
            "Your data is ready, {municipality}",
            """The data you asked for is ready. You can download it in the app until {until}, once you are signed in.

Direct link:
{link}

If you didn't ask for your data, sign in and sign out the devices that you don't know.

{municipality}""",
        ),
    },
    "erased": {
        "fi": Text(
            "Tilisi on poistettu, {municipality}",
            """Tilisi ja tietosi on poistettu, kuten pyysit.

Tämä on viimeinen viestimme: meillä ei enää ole osoitettasi.

Ideat, joita muutkin kannattivat, jäivät näkyviin ilman nimeäsi. Äänimäärät pysyivät ennallaan.

Jos et pyytänyt tätä, ota yhteyttä kuntaan.

{municipality}""",
        ),
        "sv": Text(
            "Ditt konto har raderats, {municipality}",
            """Ditt konto och dina uppgifter har raderats, som du bad om.

Detta är vårt sista meddelande: vi har inte längre din adress.

Idéer som också andra stödde finns kvar utan ditt namn. Antalet röster är oförändrat.

Om du inte har bett om detta, kontakta kommunen.

{municipality}""",
        ),
        "en": Text(
            "Your account has been erased, {municipality}",
            """Your account and your data have been erased, as you asked.

This is our last message: we no longer have your address.

Ideas that others supported too stay, without your name. The numbers of votes are unchanged.

If you didn't ask for this, contact the municipality.

{municipality}""",
        ),
    },
}
