"""Which host is asked for before weights are fetched."""

from __future__ import annotations

import socket

import huggingface_hub.constants
import pytest

from affectkit.errors import DownloadError
from affectkit.models import backbones, clip
from affectkit.models.clip import ClipChoice
from affectkit.models.external import hub


@pytest.fixture
def asked(monkeypatch):
    """Hosts that were looked up; none is found. No offline switch and no proxy."""
    hosts: list[str] = []

    def look_up(host, *_):
        hosts.append(host)
        raise OSError(-2, "Name not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    for name in hub.PROXIES:
        monkeypatch.delenv(name, raising=False)
    return hosts


def test_a_mirror_of_the_hub_is_asked_for_in_place_of_the_hub(asked, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "https://mirror.example")
    monkeypatch.setattr(clip, "is_cached", lambda _: False)
    monkeypatch.setattr(backbones, "is_cached", lambda _: False)
    with pytest.raises(DownloadError, match=r"mirror\.example cannot be reached"):
        clip._check_reachable(ClipChoice("ViT-B-32", "laion2b_s34b_b79k", quick_gelu=False))
    with pytest.raises(DownloadError, match=r"mirror\.example cannot be reached"):
        backbones._check_reachable("resnet18")
    assert asked == ["mirror.example", "mirror.example"]


def test_a_proxy_resolves_names_itself_and_offline_is_offline(asked, monkeypatch):
    assert "cannot be reached" in hub.unreachable("https://hub.example/file")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert hub.unreachable("https://hub.example/file") == ""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert hub.unreachable("https://hub.example/file") == "HF_HUB_OFFLINE is set."
    assert asked == ["hub.example"]
