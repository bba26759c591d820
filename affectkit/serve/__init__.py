"""Serve a page and an HTTP API: ``affectkit serve``.

Requests, their limits and who may send them; one queue whose thread holds the warm model. What a picture or a film
comes to is computed by ``inference``; nothing here knows how.
"""
