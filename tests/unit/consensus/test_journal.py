"""The way to the log: groups, what is held behind them, and a full disk."""

from actors.core.consensus.journal import Journal


def test_groups_form_while_one_is_on_its_way() -> None:
    journal = Journal(5)
    journal.append(1, b"a")
    assert [entry.index for entry in journal.take()] == [6]
    journal.append(1, b"b")
    journal.append(1, b"c")
    assert journal.take() == ()
    journal.synced(6)
    assert [entry.payload for entry in journal.take()] == [b"b", b"c"]


def test_what_is_held_waits_for_all_that_was_before_it() -> None:
    journal, done = Journal(0), []
    journal.behind(lambda: done.append("nothing was before"))
    journal.append(1, b"a")
    journal.behind(lambda: done.append("behind a"))
    journal.take()
    journal.append(1, b"b")
    journal.behind(lambda: done.append("behind b"))
    assert done == ["nothing was before"]
    journal.synced(1)
    assert done[1:] == ["behind a"]
    journal.take()
    journal.synced(2)
    assert done[2:] == ["behind b"]


def test_a_lazy_record_goes_along_and_is_waited_for_only_if_somebody_must() -> None:
    journal, done = Journal(0), []
    journal.append(9, b"lazy", lazy=True)
    assert journal.take() == () and journal.is_idle
    journal.behind(lambda: done.append(1))
    assert len(journal.take()) == 1
    journal.synced(1)
    assert done == [1]


def test_a_refused_group_is_tried_again_after_a_second() -> None:
    journal = Journal(0)
    journal.append(5, b"a")
    group = journal.take()
    journal.refused(1_000)
    assert journal.again(1_500) == ()
    assert journal.again(2_000) == group
    journal.synced(1)
    assert journal.durable == 1


def test_what_is_given_back_leaves_its_index() -> None:
    journal = Journal(0)
    journal.append(4, b"epoch")
    journal.append(1, b"batch")
    journal.take()
    journal.give_back(1)
    assert [(e.index, e.payload) for e in journal.take()] == [(1, b"epoch")]
    assert journal.append(1, b"again") == 2
