"""The event app: one tenant's site, its organizers' side, and the commands that prepare its database.

Where things are: `main` reads the command line; `settings` what the process is given; `schema` brings the database
up to date from `migrations/`; `invite` lets the first organizer in; `seed` fills a fresh site with `samples`; `server`
is the life of a web process and `app` joins its parts. `http/` is what every request passes (edge rule, headers,
sessions, errors, drain), `site/` the public pages, `organizer/` the signed-in ones, `shop/` selling (stock, carts,
orders, payments), `store/` the SQL, `i18n/` the words, `templates/` and `static/` what browsers get.
"""
