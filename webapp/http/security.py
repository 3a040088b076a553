"""Headers on every answer, and who may change state.

No script or style stands in a page, so the content security policy allows none. `Referrer-Policy: same-origin` keeps
the secrets in links (a guest's registration, an invitation) from other sites.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from skep.webapp.http.proxies import Client

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HSTS = "max-age=31536000"  # without includeSubDomains: a tenant's own domain has other names that are not ours
CSRF_FIELD = "csrf"

_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def security_headers(*, secure: bool, camera: bool = False) -> dict[str, str]:
    """*camera*: the page may ask for it, and runs workers of our own."""
    headers = _HEADERS | ({"Strict-Transport-Security": HSTS} if secure else {})
    if camera:
        headers["Permissions-Policy"] = "camera=(self), geolocation=(), microphone=()"
        headers["Content-Security-Policy"] = f"{CSP}; worker-src 'self'; media-src 'self' blob:"
    return headers


def is_own_form(headers: Mapping[str, str], client: Client, *, secure: bool) -> bool:
    """Does this state-changing request come from one of our own pages?

    Every browser in use says where a form comes from; what says nothing is refused. Where both headers are given,
    both must agree. *secure* asks for an origin over TLS.
    """
    site = headers.get("Sec-Fetch-Site")
    origin = headers.get("Origin")
    if site is None and origin is None:
        return False
    if site is not None and site != "same-origin":
        return False
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.netloc.lower() == client.host.lower() and parts.scheme == ("https" if secure else client.scheme)


def csrf_token(session_token: str) -> str:
    """The token that a signed-in page carries in its forms: bound to the session, reveals nothing of it."""
    return hmac.new(session_token.encode(errors="replace"), b"skep csrf", hashlib.sha256).hexdigest()


def is_csrf_token(candidate: str, session_token: str) -> bool:
    return hmac.compare_digest(candidate.encode(errors="replace"), csrf_token(session_token).encode())


_KNOWN_PATH = re.compile(r"/organizer(?:/[a-z0-9-]+)*")


def safe_path(candidate: str, default: str) -> str:
    """*candidate* if it is a path of the organizers' side, where sign-in may lead; otherwise *default*."""
    return candidate if len(candidate) <= 200 and _KNOWN_PATH.fullmatch(candidate) else default
