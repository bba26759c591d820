"""Shards: which run takes which item, and a listing that all of them see alike."""

from __future__ import annotations

import re

import pytest

from affectkit.core.shards import Listing, Shard
from affectkit.errors import UsageError


def test_every_position_belongs_to_one_shard():
    checked = 0
    for count in (1, 2, 3, 7):
        all_shards = [Shard.parse(f"{number}/{count}") for number in range(1, count + 1)]
        for position in range(23):
            assert [shard.number for shard in all_shards if shard.mine(position)] == [position % count + 1]
            checked += 1
    assert checked == 4 * 23
    assert Shard.parse(" 2/4 ") == Shard(2, 4) and str(Shard(2, 4)) == "2/4" and Shard(2, 4).folder == "shard-2-of-4"


@pytest.mark.parametrize("text", ["0/4", "5/4", "2", "2/", "/4", "-1/4", "1/0", "1.5/4", "a/b", "1/10001", "²/4", ""])
def test_what_is_no_shard_is_refused_with_the_rule(text):
    with pytest.raises(UsageError, match=re.escape(f"1 <= I <= N <= 10000, as 2/4; got {text!r}")):
        Shard.parse(text)


def test_a_listing_is_told_by_names_and_order():
    prints = set()
    for names in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", "c"], ["a", "b\udcff"]):
        listing = Listing()
        assert [listing.add(name) for name in names] == list(range(len(names)))
        assert listing.count == len(names)
        prints.add(listing.fingerprint)
    assert len(prints) == 5
