"""Selling: what is left, carts that hold places, orders, payments. No page and no request is known here.

`money`, `states` and `availability` are pure; `catalog` reads what an event offers; `stock` is how a place is never
sold twice (docs/adr/0012); `carts`, `orders` and `payments` are what people do with it.
"""
