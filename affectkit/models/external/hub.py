"""A check that a host of weights can be reached, made before its client retries for most of a minute."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def endpoint() -> str:
    """Return the address of the Hugging Face hub, or of the mirror that HF_ENDPOINT names."""
    import huggingface_hub.constants as hub

    return hub.ENDPOINT


def unreachable(url: str) -> str:
    """Return why nothing can be downloaded from ``url``; empty where only trying would show."""
    import huggingface_hub.constants as hub

    if hub.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set."
    host = urlsplit(url).hostname
    if host is None or any(os.environ.get(name) for name in PROXIES):
        return ""  # a proxy resolves names for us, so a failure here would say nothing
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        return f"{host} cannot be reached ({error.strerror or error})."
    return ""
