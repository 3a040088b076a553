"""Who sells, and what was issued: the settings of invoices, their list by year, and its export."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from aiohttp import web

from skep.webapp.http.forms import Form, read_form
from skep.webapp.http.keys import DATABASE, PAGES, SETTINGS, VISIT
from skep.webapp.http.pages import page_number, redirect
from skep.webapp.http.sessions import HOME, for_owners
from skep.webapp.organizer.csv_files import Cell, amount, stream
from skep.webapp.shop import invoices
from skep.webapp.shop.invoice_sheets import Seller
from skep.webapp.store import audit
from skep.webapp.store.audit import Actor
from skep.webapp.store.members import SignedIn

log = logging.getLogger(__name__)

INVOICES = HOME + "/invoices"
NAME_LIMIT, ADDRESS_LIMIT, VAT_LIMIT, FOOTER_LIMIT = 200, 500, 40, 500
PAGE_SIZE = 100
PIECE = 500

routes = web.RouteTableDef()


@routes.get(INVOICES)
@for_owners
async def invoice_list(request: web.Request, member: SignedIn) -> web.StreamResponse:
    page, year = page_number(request), _year(request)
    async with request.app[DATABASE].connection() as connection:
        who = await invoices.seller(connection)
        years = await invoices.years(connection)
        issued = await invoices.of_year(connection, year, limit=PAGE_SIZE + 1, offset=(page - 1) * PAGE_SIZE)
    return request.app[PAGES].render(
        request,
        "organizer/invoices.html",
        caching="no-store",
        seller=who,
        issued=issued[:PAGE_SIZE],
        year=year,
        years=sorted({*years, year}, reverse=True),
        page=page,
        has_more=len(issued) > PAGE_SIZE,
        notice="saved" if request.query.get("notice") == "saved" else None,
    )


@routes.get(INVOICES + "/export.csv")
@for_owners
async def export(request: web.Request, member: SignedIn) -> web.StreamResponse:
    """The journal of a year, for the bookkeeper. Credit notes are negative."""
    t, year = request[VISIT].t, _year(request)

    async def pieces() -> AsyncIterator[Sequence[Sequence[Cell]]]:
        offset = 0  # what was issued stays where it is: nothing moves between two pieces
        while True:
            async with request.app[DATABASE].connection() as connection:
                found = await invoices.of_year(connection, year, limit=PIECE, offset=offset, newest_first=False)
            yield [
                [
                    one.label,
                    t(f"invoice.title.{one.series}"),
                    one.issued_on.isoformat(),
                    one.code,
                    one.buyer,
                    one.currency,
                    *(amount(value * one.sign, one.currency, t) for value in (one.net, one.tax, one.gross)),
                    one.corrects or "",
                ]
                for one in found
            ]
            if len(found) < PIECE:
                return
            offset += PIECE

    async with request.app[DATABASE].transaction() as connection:
        await audit.record(connection, Actor("member", member.member_id), "invoices exported", "site", audit.SITE)
    head = [t(f"csv.{name}") for name in ("number", "kind", "day", "order", "buyer", "currency", "net", "tax", "gross")]
    return await stream(request, f"invoices-{year}", t, [*head, t("invoice.corrects")], pieces())


@routes.get(INVOICES + "/seller")
@for_owners
async def seller_page(request: web.Request, member: SignedIn) -> web.StreamResponse:
    async with request.app[DATABASE].connection() as connection:
        who = await invoices.seller(connection)
    values = {"version": "0"}
    if who is not None:
        values = {
            "legal_name": who.legal_name,
            "address": who.address,
            "vat_id": who.vat_id,
            "footer": who.footer,
            "prefix": who.prefix,
            "version": str(who.version),
        }
    return _form(request, Form(request[VISIT].t, values))


@routes.post(INVOICES + "/seller")
@for_owners
async def save_seller(request: web.Request, member: SignedIn) -> web.StreamResponse:
    form = await read_form(request, request[VISIT].t)
    version = form.values.get("version", "")
    who = Seller(
        legal_name=form.text("legal_name", limit=NAME_LIMIT, missing="wrong.seller.name"),
        address=form.long_text("address", limit=ADDRESS_LIMIT),
        vat_id=form.text("vat_id", limit=VAT_LIMIT),
        footer=form.long_text("footer", limit=FOOTER_LIMIT),
        prefix=form.text("prefix", limit=NAME_LIMIT).upper(),
        timezone=request.app[SETTINGS].timezone,
        version=int(version) if version.isascii() and version.isdigit() and len(version) < 9 else -1,
    )
    if not who.address:
        form.refuse("address", form.t("wrong.seller.address"))
    if not re.fullmatch(r"[A-Z0-9-]{0,12}", who.prefix):
        form.refuse("prefix", form.t("wrong.seller.prefix"))
    if form.errors:
        return _form(request, form, status=422)
    async with request.app[DATABASE].transaction() as connection:
        saved = await invoices.save_seller(connection, who)
        if saved:
            fields = ("legal_name", "address", "vat_id", "footer", "prefix")
            await audit.record(
                connection, Actor("member", member.member_id), "seller saved", "site", audit.SITE, fields
            )
        else:
            known = await invoices.seller(connection)
            form.values["version"] = str(known.version if known else 0)
    if not saved:
        return _form(request, form, stale=True, status=409)
    log.info("seller saved", extra={"member_id": str(member.member_id)})
    return redirect(f"{INVOICES}?notice=saved")


def _year(request: web.Request) -> int:
    """`?year=`; this one if it is none."""
    text = request.query.get("year", "")
    return int(text) if re.fullmatch(r"2\d{3}", text, flags=re.ASCII) else datetime.now(UTC).year


def _form(request: web.Request, form: Form, *, stale: bool = False, status: int = 200) -> web.Response:
    return request.app[PAGES].render(
        request, "organizer/seller.html", status=status, caching="no-store", form=form, stale=stale
    )
