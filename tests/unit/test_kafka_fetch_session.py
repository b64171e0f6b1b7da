"""What a broker remembers of a reader is what the reader wants, whatever is lost on the way (KIP-227)."""

from hypothesis import given
from hypothesis import strategies as st

from services.kafka.fetch_session import FetchSession, RequestData
from services.kafka.port import TopicPartition

PLACES = [TopicPartition("t", number) for number in range(4)]
WANTED = st.dictionaries(st.sampled_from(PLACES), st.integers(0, 3))
FATES = st.sampled_from(["answered", "answer lost", "request lost", "forgotten", "no room"])


class Broker:
    """One session as KIP-227 has it: an id and an epoch that count, and the positions it was told."""

    def __init__(self) -> None:
        self.sessions: dict[int, tuple[int, dict[TopicPartition, int]]] = {}
        self._made = 0

    def fetch(self, data: RequestData, *, has_room: bool) -> tuple[int, dict[TopicPartition, int]] | None:
        """The session's id and what would be read; None for an error."""
        if data.epoch == 0:
            if not has_room:
                return 0, dict(data.positions)
            self._made += 1
            self.sessions[self._made] = (1, dict(data.positions))
            return self._made, dict(data.positions)
        epoch, positions = self.sessions.get(data.session_id, (-1, {}))
        if epoch != data.epoch:
            return None
        positions = {where: at for where, at in positions.items() if where not in data.forgotten} | dict(data.positions)
        self.sessions[data.session_id] = (epoch + 1, positions)
        return data.session_id, positions


@given(st.lists(st.tuples(WANTED, FATES), max_size=20))
def test_what_is_read_is_what_is_wanted(steps: list[tuple[dict[TopicPartition, int], str]]) -> None:
    """Each Fetch that the broker takes reads exactly the wanted partitions from exactly the wanted positions, and one
    that it does not take is followed by one that it does."""
    broker, session = Broker(), FetchSession()
    was_refused = False
    for wanted, fate in steps:
        data = session.build(wanted)
        if fate == "request lost":
            session.reset()
            continue
        if fate == "forgotten":
            broker.sessions.clear()
        answer = broker.fetch(data, has_room=fate != "no room")
        if fate == "answer lost":
            session.reset()
        elif answer is None:
            assert not was_refused, "everything was said anew, and still not taken"
            session.reset()
        else:
            assert answer[1] == wanted
            session.answered(answer[0])
        was_refused = answer is None


def test_only_what_has_moved_is_said() -> None:
    """The second Fetch of a session names the partition that has moved, and the one that is given up."""
    session = FetchSession()
    session.build({PLACES[0]: 0, PLACES[1]: 0, PLACES[2]: 5})
    session.answered(7)
    assert session.build({PLACES[0]: 0, PLACES[1]: 3}) == RequestData(7, 1, {PLACES[1]: 3}, frozenset({PLACES[2]}))
