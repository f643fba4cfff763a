"""What people are told, in Finnish, Swedish and English. Keys are user error codes and the reasons of refusals."""

from functools import lru_cache
from typing import Final

LOCALES: Final = ("fi", "sv", "en")

MESSAGES: Final[dict[str, dict[str, str]]] = {
    "REQUIRED": {
        "fi": "Täytä tämä kohta.",
        "sv": "Fyll i det här.",
        "en": "Fill this in.",
    },
    "TOO_LONG": {
        "fi": "Teksti on liian pitkä. Lyhennä se enintään {limit} merkkiin.",
        "sv": "Texten är för lång. Korta den till högst {limit} tecken.",
        "en": "The text is too long. Shorten it to {limit} characters at most.",
    },
    "INVALID": {
        "fi": "Tämä ei käy tässä. Tarkista, mitä valitsit.",
        "sv": "Det här går inte här. Kontrollera vad du valde.",
        "en": "This can't be used here. Check what you chose.",
    },
    "NOT_FOUND": {
        "fi": "Tätä ei löydy. Se on ehkä poistettu.",
        "sv": "Det här finns inte. Det kan ha tagits bort.",
        "en": "There is no such thing. It may have been removed.",
    },
    "NOT_ALLOWED": {
        "fi": "Sinulla ei ole oikeutta tähän.",
        "sv": "Du har inte rätt att göra det här.",
        "en": "You are not allowed to do this.",
    },
    "CLOSED": {
        "fi": "Tämä ei ota enää ääniä eikä muutoksia.",
        "sv": "Det här tar inte längre emot röster eller ändringar.",
        "en": "This takes no more votes or changes.",
    },
    "REASONS_REQUIRED": {
        "fi": "Päätös tarvitsee perustelut. Kirjoita, miksi näin päätettiin.",
        "sv": "Ett beslut behöver motivering. Skriv varför man beslöt så här.",
        "en": "A decision needs reasons. Write why it was decided so.",
    },
    "STRENGTH_TOO_LOW": {
        "fi": "Tunnistaudu ensin vahvemmin.",
        "sv": "Identifiera dig starkare först.",
        "en": "Identify yourself more strongly first.",
    },
    "LIMIT_REACHED": {
        "fi": "Enempää ei voi tehdä nyt. Yritä myöhemmin uudelleen.",
        "sv": "Mer går inte att göra nu. Försök igen senare.",
        "en": "No more can be done now. Try again later.",
    },
    "IDEMPOTENCY_KEY_REUSED": {
        "fi": "Tunnusta on jo käytetty muuhun. Lähetä uudella tunnuksella.",
        "sv": "Nyckeln har redan använts till annat. Skicka med en ny nyckel.",
        "en": "The key was used for something else. Send again with a new key.",
    },
    "CONFLICT": {
        "fi": "Joku muu muutti tätä samaan aikaan, tai lähetys on kesken. Lataa uudelleen ja yritä sitten.",
        "sv": "Någon annan ändrade detta samtidigt, eller så pågår sändningen. Ladda om och försök sedan.",
        "en": "Somebody else changed this meanwhile, or it is still being sent. Reload, then try again.",
    },
    "email_malformed": {
        "fi": "Tämä ei ole sähköpostiosoite. Tarkista se, esimerkiksi nimi@esimerkki.fi.",
        "sv": "Det här är ingen e-postadress. Kontrollera den, till exempel namn@exempel.fi.",
        "en": "This is not an e-mail address. Check it, for example name@example.fi.",
    },
    "email_code_wrong": {
        "fi": "Koodi tai linkki ei käy. Se on voinut vanheta, tai se on jo käytetty. Tarkista se tai pyydä uusi.",
        "sv": "Koden eller länken går inte. Den kan ha gått ut eller redan använts. Kontrollera den eller be om en ny.",
        "en": "The code or link doesn't work. It may have ended, or was used already. Check it or ask for a new one.",
    },
    "idea_text_fixed": {
        "fi": "Ideaa on jo äänestetty, joten sen teksti ei enää muutu. Heitä muutettu ajatus uutena ideana.",
        "sv": "Idén har redan fått röster, så texten ändras inte längre. Kasta den ändrade tanken som en ny idé.",
        "en": "Others have voted for the idea, so its text is fixed. Throw the changed thought as a new idea.",
    },
    "idea_decided": {
        "fi": "Ideasta on jo päätetty, joten sitä ei voi enää perua.",
        "sv": "Idén har redan avgjorts, så den kan inte längre dras tillbaka.",
        "en": "The idea has been decided on, so it can't be withdrawn any more.",
    },
    "idea_takes_no_votes": {
        "fi": "Idea ei ota enää ääniä. Seuraa sitä, niin kuulet, mitä siitä tulee.",
        "sv": "Idén tar inte längre emot röster. Följ den så får du veta vad det blir av den.",
        "en": "The idea takes no more votes. Follow it to hear what becomes of it.",
    },
    "not_in_group": {
        "fi": "Vain ryhmän jäsenet voivat heittää idean sen nimissä. Liity ensin ryhmään.",
        "sv": "Bara gruppens medlemmar kan kasta en idé i dess namn. Gå med i gruppen först.",
        "en": "Only members can throw an idea in a group's name. Join the group first.",
    },
    "group_contacts_only": {
        "fi": "Vain ryhmän yhteyshenkilö voi hyväksyä jäseniä.",
        "sv": "Bara gruppens kontaktperson kan godkänna medlemmar.",
        "en": "Only a contact of the group can approve members.",
    },
    "group_last_contact": {
        "fi": "Olet ryhmän ainoa yhteyshenkilö, joten et voi vielä lähteä.",
        "sv": "Du är gruppens enda kontaktperson, så du kan inte lämna den ännu.",
        "en": "You are the group's only contact, so you can't leave it yet.",
    },
    "groups_per_day": {
        "fi": "Voit perustaa enintään {limit} ryhmää päivässä. Jatka huomenna.",
        "sv": "Du kan grunda högst {limit} grupper om dagen. Fortsätt i morgon.",
        "en": "You can found {limit} groups a day at most. Go on tomorrow.",
    },
    "data_exports_per_day": {
        "fi": "Tietosi voi pyytää kerran päivässä. Aiempi kopio on tiedoissasi.",
        "sv": "Du kan be om dina uppgifter en gång om dagen. Den tidigare kopian finns bland dina uppgifter.",
        "en": "You can ask for your data once a day. The earlier copy is with your account.",
    },
    "name_not_yours": {
        "fi": "Kirjoita nimesi niin kuin se näkyy muille.",
        "sv": "Skriv ditt namn så som andra ser det.",
        "en": "Type your name as others see it.",
    },
    "idea_over": {
        "fi": "Idea on peruttu tai yhdistetty toiseen, joten siihen ei enää vastata.",
        "sv": "Idén har dragits tillbaka eller sammanslagits med en annan, så den besvaras inte längre.",
        "en": "The idea was withdrawn or merged into another, so it gets no more answers.",
    },
    "not_in_office": {
        "fi": "Vain virassa oleva viranhaltija voi vastata.",
        "sv": "Bara en tjänsteinnehavare i tjänst kan svara.",
        "en": "Only an official in office can respond.",
    },
    "not_your_case": {
        "fi": "Asia kuuluu toiselle toimialalle. Pyydä sitä siirtämään asia teille.",
        "sv": "Ärendet hör till en annan sektor. Be den överföra ärendet till er.",
        "en": "The case belongs to another department. Ask it to transfer the case to yours.",
    },
    "status_step": {
        "fi": "Idea ei voi siirtyä tähän tilaan tällä vastauksella.",
        "sv": "Idén kan inte få denna status genom det här svaret.",
        "en": "This kind of response can't take the idea to this status.",
    },
    "due_in_past": {
        "fi": "Määräpäivä on jo mennyt. Valitse tuleva päivä.",
        "sv": "Datumet har redan passerat. Välj ett kommande datum.",
        "en": "The date is in the past. Choose one to come.",
    },
    "same_department": {
        "fi": "Asia on jo tällä toimialalla.",
        "sv": "Ärendet är redan hos den här sektorn.",
        "en": "The case is with this department already.",
    },
    "only_transfer": {
        "fi": "Tämän voi nimetä vain, kun asia siirretään tai annetaan toiselle.",
        "sv": "Det här kan anges bara när ärendet överförs eller ges till någon annan.",
        "en": "This can be named only when the case is transferred or assigned.",
    },
    "official_elsewhere": {
        "fi": "Henkilö ei ole virassa tällä toimialalla.",
        "sv": "Personen är inte i tjänst hos den här sektorn.",
        "en": "This person holds no post in the department.",
    },
    "login_redirect_uri": {
        "fi": "Tähän osoitteeseen ei voi palata kirjautumisesta. Päivitä sovellus.",
        "sv": "Man kan inte återvända hit från inloggningen. Uppdatera appen.",
        "en": "The login can't come back to this address. Update the app.",
    },
    "login_code_challenge": {
        "fi": "Kirjautumisen tarkiste on väärää muotoa. Päivitä sovellus.",
        "sv": "Inloggningens kontrollvärde har fel form. Uppdatera appen.",
        "en": "The login's check value is malformed. Update the app.",
    },
    "login_needs_challenge": {
        "fi": "Sovellus ei voi aloittaa kirjautumista turvallisesti. Päivitä sovellus.",
        "sv": "Appen kan inte börja inloggningen på ett säkert sätt. Uppdatera appen.",
        "en": "This app can't begin a login safely. Update the app.",
    },
    "login_code_verifier": {
        "fi": "Kirjautumisen vahvistusarvo on väärää muotoa. Päivitä sovellus.",
        "sv": "Inloggningens verifieringsvärde har fel form. Uppdatera appen.",
        "en": "The login's verifier is malformed. Update the app.",
    },
    "login_code_or_id_token": {
        "fi": "Kirjautumiseen tarvitaan joko koodi tai tunnistustieto, ei molempia. Päivitä sovellus.",
        "sv": "Inloggningen behöver antingen en kod eller en ID-token, inte båda. Uppdatera appen.",
        "en": "A login needs either a code or an ID token, not both. Update the app.",
    },
    "login_over": {
        "fi": "Tämä kirjautuminen on vanhentunut tai jo käytetty. Aloita kirjautuminen alusta.",
        "sv": "Den här inloggningen har gått ut eller redan använts. Börja om inloggningen.",
        "en": "This login has expired or was already used. Begin the login again.",
    },
    "login_refused": {
        "fi": "Tunnistuspalvelu ei vahvistanut kirjautumista. Aloita kirjautuminen alusta.",
        "sv": "Identifieringstjänsten bekräftade inte inloggningen. Börja om inloggningen.",
        "en": "The login service did not confirm this login. Begin the login again.",
    },
    "login_too_weak": {
        "fi": "Tällä tavalla tunnistautuminen ei riitä. Valitse vahvempi tunnistustapa.",
        "sv": "Den här identifieringen räcker inte. Välj ett starkare sätt att identifiera dig.",
        "en": "Identifying this way is not enough. Choose a stronger way to identify yourself.",
    },
    "role_of_everybody": {
        "fi": "Asukas on jokainen, jolla on tili. Valitse muu rooli.",
        "sv": "Invånare är alla som har ett konto. Välj en annan roll.",
        "en": "Everybody with an account is a resident. Choose another role.",
    },
    "role_without_post": {
        "fi": "Tähän rooliin ei kuulu virkaa. Jätä viranhaltija pois.",
        "sv": "Till den här rollen hör ingen tjänst. Lämna bort tjänsteinnehavaren.",
        "en": "This role goes with no post. Leave the official out.",
    },
    "role_needs_post": {
        "fi": "Viranhaltija ja koordinaattori puhuvat viran nimissä. Valitse, kenen viranhaltijan.",
        "sv": "Tjänsteinnehavare och koordinatorer talar i en tjänsts namn. Välj vems.",
        "en": "Officials and coordinators speak for a post. Choose whose.",
    },
    "post_ended": {
        "fi": "Hän ei ole enää virassa. Valitse nykyinen viranhaltija.",
        "sv": "Personen är inte längre i tjänst. Välj den nuvarande tjänsteinnehavaren.",
        "en": "This person has left the post. Choose who holds it now.",
    },
    "post_taken": {
        "fi": "Toinen tili toimii jo tämän viranhaltijan nimissä. Ota rooli ensin siltä pois.",
        "sv": "Ett annat konto agerar redan i den här tjänsteinnehavarens namn. Ta först rollen av det.",
        "en": "Another account already acts as this official. Take the role from it first.",
    },
    "role_needs_email": {
        "fi": "Rooliin tarvitaan tili, jonka haltija on vahvistanut sähköpostinsa tai tunnistautunut vahvasti.",
        "sv": "Rollen kräver ett konto vars ägare har bekräftat sin e-post eller identifierat sig starkt.",
        "en": "A role needs an account whose owner has confirmed an e-mail address or is strongly identified.",
    },
    "last_administrator": {
        "fi": "Kunnan viimeinen ylläpitäjä ei voi luopua roolistaan. Anna rooli ensin toiselle.",
        "sv": "Kommunens sista administratör kan inte lämna sin roll. Ge först rollen åt någon annan.",
        "en": "The municipality's last administrator can't give up the role. Give it to somebody else first.",
    },
    "name_invisible": {
        "fi": "Nimessä on merkkejä, joita ei näe. Kirjoita se uudelleen.",
        "sv": "Namnet har tecken som inte syns. Skriv det på nytt.",
        "en": "The name has characters that can't be seen. Type it anew.",
    },
    "name_mixes_alphabets": {
        "fi": "Nimen sanassa on eri aakkostojen kirjaimia. Kirjoita kukin sana yksillä aakkosilla.",
        "sv": "Ett ord i namnet har bokstäver ur olika alfabet. Skriv varje ord med ett alfabet.",
        "en": "A word of the name has letters of several alphabets. Write each word in one.",
    },
    "name_of_official": {
        "fi": "Samanniminen viranhaltija vastaa kunnan nimissä. Kirjoita nimesi toisin, esimerkiksi alkukirjaimin.",
        "sv": "En tjänsteinnehavare med det namnet svarar för kommunen. Skriv ditt annorlunda, t.ex. med initial.",
        "en": "An official of this name answers here for the municipality. Make yours differ, say with an initial.",
    },
    "name_of_municipality": {
        "fi": "Nimi kuulostaa kunnalta tai sen työntekijältä. Valitse nimi, jota ei voi luulla kunnan omaksi.",
        "sv": "Namnet låter som kommunen eller någon som arbetar där. Välj ett som ingen kan ta för kommunens.",
        "en": "The name sounds like the municipality or its staff. Choose one that nobody takes for theirs.",
    },
    "passkey_refused": {
        "fi": "Avain ei kelpaa. Yritä uudelleen tai kirjaudu muulla tavalla.",
        "sv": "Nyckeln godkändes inte. Försök igen eller logga in på annat sätt.",
        "en": "The passkey wasn't accepted. Try again, or sign in another way.",
    },
    "passkey_too_late": {
        "fi": "Aika loppui kesken. Aloita alusta.",
        "sv": "Tiden tog slut. Börja om.",
        "en": "Time ran out. Start again.",
    },
    "passkeys_elsewhere": {
        "fi": "Täällä ei voi käyttää avaimia. Kirjaudu muulla tavalla.",
        "sv": "Nycklar kan inte användas här. Logga in på annat sätt.",
        "en": "Passkeys can't be used here. Sign in another way.",
    },
    "passkeys_most": {
        "fi": "Avaimia voi olla enintään {limit}. Poista ensin jokin.",
        "sv": "Du kan ha högst {limit} nycklar. Ta först bort någon.",
        "en": "You can have {limit} passkeys at most. Remove one first.",
    },
    "invitation_gone": {
        "fi": "Kutsu ei ole enää voimassa. Pyydä uutta.",
        "sv": "Inbjudan gäller inte längre. Be om en ny.",
        "en": "The invitation is no longer good. Ask for a new one.",
    },
}


def message(reason: str, locale: str, values: dict[str, object]) -> str:
    texts = MESSAGES[reason]
    return texts.get(locale, texts["en"]).format(**values)


def best_locale(accept_language: str | None, municipality_locales: tuple[str, ...]) -> str:
    """The caller's best language among ours (RFC 9110, section 12.5.4), else the municipality's first."""
    return _best_locale((accept_language or "")[:200], municipality_locales)


@lru_cache(maxsize=1024)
def _best_locale(accept_language: str, municipality_locales: tuple[str, ...]) -> str:
    wanted: list[tuple[float, str]] = []
    for part in accept_language.split(","):
        tag, _, parameter = part.strip().partition(";")
        language = tag.split("-")[0].lower()
        try:
            quality = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if language in LOCALES and quality > 0:
            wanted.append((-quality, language))
    if wanted:
        return min(wanted, key=lambda item: item[0])[1]
    return next((locale for locale in municipality_locales if locale in LOCALES), "en")
