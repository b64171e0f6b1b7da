"""Customers: what they want (plan), how they behave (personas), and the loop that lets them (load).

Plan and personas are pure and seeded; only `http_client` and `load` touch the network and the clock.
"""
