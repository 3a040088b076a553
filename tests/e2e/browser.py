"""A visitor at the edge: names a host, keeps its cookies, sends forms as our pages make them."""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: dict[str, str]
    path: str


@dataclass
class Browser:
    """*edge* is the address that every host resolves to; *port* is part of the origin unless it is 80."""

    edge: tuple[str, int]
    host: str
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str = ""

    @property
    def origin(self) -> str:
        return f"http://{self.authority}"

    @property
    def authority(self) -> str:
        return self.host if self.edge[1] == 80 else f"{self.host}:{self.edge[1]}"

    def get(self, path: str = "/", *, timeout_s: float = 5.0, follow: bool = True) -> Answer:
        return self._send("GET", path, None, timeout_s, follow=follow)

    def post(self, path: str, **fields: str) -> Answer:
        form = fields | ({"csrf": self.csrf} if self.csrf else {})
        return self._send("POST", path, urlencode(form), 10.0)

    def _send(self, method: str, path: str, body: str | None, timeout_s: float, *, follow: bool = True) -> Answer:
        for _ in range(5):
            headers = {"Host": self.authority, "Accept-Language": "en"}
            if self.cookies:
                headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            if body is not None:
                headers |= {"Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded"}
            connection = http.client.HTTPConnection(*self.edge, timeout=timeout_s)
            try:
                connection.request(method, path, body=body, headers=headers)
                answer = connection.getresponse()
                text = answer.read().decode()
            finally:
                connection.close()
            for line in answer.headers.get_all("Set-Cookie", []):
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            if found := re.search(r'name="csrf" value="([0-9a-f]+)"', text):
                self.csrf = found[1]
            if answer.status not in (302, 303) or not follow:
                return Answer(answer.status, text, dict(answer.headers), path)
            target = urlsplit(answer.headers["Location"])
            path = target.path + (f"?{target.query}" if target.query else "")
            method, body = "GET", None
        raise AssertionError(f"{self.host} redirects for ever")

    # What people do

    def accept(self, link: str, *, email: str = "lea@example.com") -> Answer:
        return self.post(urlsplit(link).path, name="Léa Martin", email=email, password=PASSWORD)

    def announce(self, title: str, *, capacity: str = "") -> str:
        """Create and publish an event; its path on the organizers' side."""
        self.get("/organizer/events/new")
        made = self.post(
            "/organizer/events/new",
            title=title,
            description="Everything is open.",
            place="Atelier Nord, Paris",
            language="en",
            timezone="Europe/Paris",
            starts="2090-12-04T19:00",
            ends="2090-12-04T22:00",
            capacity=capacity,
        )
        assert made.status == 200, made.text
        path = urlsplit(made.path).path
        assert self.post(f"{path}/publish").status == 200
        return path
