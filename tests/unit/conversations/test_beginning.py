"""What the agent knows from the beginning of a conversation."""

from greenline.conversations.beginning import known_from_start
from greenline.conversations.events import AgentMessage, Remembered, Resumed
from support.journal import BEGIN, projection, started

MEMORY = (Remembered(role="user", text="I drink oolong", at=BEGIN),)


def test_one_that_the_business_began_goes_on_with_what_is_known_when_the_person_answers() -> None:
    began = started(projection(), variables={"customer": "Ann", "system__time_utc": "before"})
    answered = Resumed(variables={"system__time_utc": "now"}, summary="Likes tea.", remembered=MEMORY)
    known = known_from_start([began, AgentMessage(id="m", text="Hello"), answered])
    assert known == began.model_copy(
        update={
            "variables": {"customer": "Ann", "system__time_utc": "now"},
            "summary": "Likes tea.",
            "remembered": MEMORY,
        }
    )


def test_any_other_goes_on_as_it_began() -> None:
    began = started(projection(), remembered=MEMORY)
    assert known_from_start([began, AgentMessage(id="m", text="Hello")]) == began
    assert known_from_start([]) is None
