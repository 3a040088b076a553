"""Somebody with a browser, as far as HTTP goes: follows redirects, keeps cookies, sends forms as our pages make them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from skep.webapp.ids import new_token
from skep.webapp.store import invitations
from tests.rig.tenant import Tenant

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Answer:
    status: int
    path: str  # where it was found, after redirects
    text: str
    headers: CIMultiDictProxy[str]

    @property
    def words(self) -> str:
        """The text without its tags, white space folded."""
        body = re.sub(r"(?s)<head>.*?</head>", " ", self.text)
        return " ".join(unescape(re.sub(r"(?s)<[^>]*>", " ", body)).split())


class Visitor:
    def __init__(self, tenant: Tenant, session: aiohttp.ClientSession) -> None:
        self.tenant = tenant
        self.session = session
        self.csrf = ""

    async def get(self, path: str, *, headers: dict[str, str] | None = None, redirects: bool = True) -> Answer:
        return await self._send("GET", path, headers or {}, None, redirects=redirects)

    async def post(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        headers: dict[str, str] | None = None,
        redirects: bool = True,
    ) -> Answer:
        """A form of one of our pages: with the origin, and the token of the page seen last."""
        form = ({"csrf": self.csrf} if self.csrf else {}) | dict(fields or {})
        return await self._send("POST", path, {"Origin": self.tenant.url, **(headers or {})}, form, redirects=redirects)

    async def _send(
        self, method: str, path: str, headers: dict[str, str], form: dict[str, str] | None, *, redirects: bool
    ) -> Answer:
        async with self.session.request(
            method, self.tenant.url + path, data=form, headers=headers, allow_redirects=redirects
        ) as answer:
            text = await answer.text()
            if found := re.search(r'name="csrf" value="([0-9a-f]+)"', text):
                self.csrf = found[1]
            return Answer(answer.status, answer.url.raw_path_qs, text, answer.headers)

    def cookies(self) -> dict[str, str]:
        jar = self.session.cookie_jar.filter_cookies(URL(self.tenant.url))
        return {name: morsel.value for name, morsel in jar.items()}

    # What people do

    async def become_organizer(self, *, name: str = "Léa Martin", email: str = "lea@example.com") -> Answer:
        token = await make_invitation(self.tenant)
        return await self.post(f"/invite/{token}", {"name": name, "email": email, "password": PASSWORD})

    async def sign_in(self, *, email: str = "lea@example.com", password: str = PASSWORD, to: str = "") -> Answer:
        return await self.post(f"/organizer/sign-in{to}", {"email": email, "password": password})

    async def create_event(self, **changes: str) -> str:
        """Its path on the organizers' side."""
        await self.get("/organizer/events/new")
        answer = await self.post("/organizer/events/new", event_fields(**changes))
        assert answer.status == 200, answer.words
        return URL(answer.path).path

    async def publish(self, path: str) -> Answer:
        return await self.post(f"{path}/publish")

    async def register(
        self, slug: str, *, name: str = "Noor", email: str = "noor@example.com", **fields: str
    ) -> Answer:
        """One ticket of the first type on offer, to the end: the order's page, or the page that refused."""
        page = await self.get(f"/events/{slug}")
        found = re.search(r'name="(n-[0-9a-f-]{36})"', page.text)
        if found is None:
            return page
        cart = await self.post(f"/events/{slug}/cart", {found[1]: "1"})
        if cart.status != 200:
            return cart
        return await self.check_out(slug, name=name, email=email, **fields)

    async def add(self, slug: str, *, voucher: str = "", **wanted: int) -> Answer:
        """Put tickets into the cart, by the names on the page."""
        page = await self.get(f"/events/{slug}" + (f"?voucher={voucher}" if voucher else ""))
        offered = {unescape(title): field for field, title in
                   re.findall(r'<label for="(n-[0-9a-f-]{36})"[^>]*>([^<]+)</label>', page.text)}  # fmt: skip
        fields = {offered[title]: str(number) for title, number in wanted.items()}
        return await self.post(f"/events/{slug}/cart", fields | ({"voucher": voucher} if voucher else {}))

    async def check_out(
        self, slug: str, *, name: str = "Noor", email: str = "noor@example.com", **fields: str
    ) -> Answer:
        """The checkout's form as the page gives it, with *fields* over it."""
        page = await self.get(f"/events/{slug}/checkout")
        form = dict.fromkeys(re.findall(r'name="(holder-[0-9a-f-]{36})"', page.text), "")
        if cart := re.search(r'name="cart" value="([0-9a-f-]{36})"', page.text):
            form["cart"] = cart[1]
        return await self.post(f"/events/{slug}/checkout", {**form, "name": name, "email": email, **fields})


def event_fields(**changes: str) -> dict[str, str]:
    fields = {
        "title": "Open studio night",
        "description": "Everything is open.\n\nBring something broken.",
        "place": "Atelier Nord, Paris",
        "language": "en",
        "timezone": "Europe/Paris",
        "starts": "2090-12-04T19:00",
        "ends": "2090-12-04T22:00",
        "capacity": "",
        "price": "",
        "currency": "EUR",
        "pays_on_site": "yes",
        "transfer_details": "",
        "cancel_hours": "24",
    }
    return fields | changes


async def make_invitation(tenant: Tenant, *, email: str | None = None) -> str:
    """The token of a fresh invitation, made as the `invite` command does."""
    token = new_token()
    connection = await tenant.admin()
    try:
        await invitations.create(connection, token, email=email, language="en")
    finally:
        await connection.close()
    return token


@asynccontextmanager
async def visiting(tenant: Tenant, *, language: str = "en", tenant_header: bool = True) -> AsyncIterator[Visitor]:
    """A fresh browser."""
    headers = {"Accept-Language": language} | ({"X-Skep-Tenant": tenant.uid} if tenant_header else {})
    jar = aiohttp.CookieJar(unsafe=True)  # the tests' host is an address
    async with aiohttp.ClientSession(headers=headers, cookie_jar=jar) as session:
        yield Visitor(tenant, session)
