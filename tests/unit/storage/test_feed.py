"""The ring of the last commits."""

from actors.core.store.feed import Feed
from actors.core.view import Change


def commit(feed: Feed, revision: int) -> None:
    feed.push(revision, (Change(revision, f"kv/{revision}", False),))


def test_it_has_the_last_commits_wherever_it_began() -> None:
    feed = Feed(revision=7, size=3)
    assert feed.after(7, 10) == []
    for revision in range(8, 15):
        commit(feed, revision)
        first = max(8, revision - 2)
        held = feed.after(first - 1, 10)
        assert held is not None
        assert [change.revision for change in held] == list(range(first, revision + 1))
        assert feed.after(first - 2, 10) is None
