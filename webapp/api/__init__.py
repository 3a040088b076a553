"""The REST API, `/api/v1`: what programs may do, by tokens; see docs/api.md.

`routes` is all that a process loads at its start: it registers what the committed description (openapi.json) lists.
Models and handlers need pydantic, which most tenants' processes never do, so they are loaded with the first request
(docs/adr/0020). A test keeps the description in step with them.
"""
