"""Which browser somebody uses, in two words: enough to tell one's own sessions apart, too little to know anybody by."""

from __future__ import annotations

# Each says that it is the others too: the first that is found is it.
_BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("CrOS", "ChromeOS"),
    ("Macintosh", "Mac"), ("Linux", "Linux"),
)  # fmt: skip


def browser_name(user_agent: str) -> str:
    """`Firefox, Linux`; empty for what says nothing we know."""
    found = [next((name for sign, name in table if sign in user_agent[:500]), "") for table in (_BROWSERS, _SYSTEMS)]
    return ", ".join(name for name in found if name)
