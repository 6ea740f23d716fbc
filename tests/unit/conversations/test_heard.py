"""What came across of what was said."""

from greenline.conversations.events import AgentInterrupted, AgentMessage, Resumed, ToolReturned, UserMessage
from greenline.conversations.heard import Heard, awaits_answer

CUT = AgentMessage(id="a1", text="We have green tea, black tea and oolong.")
WHOLE = AgentMessage(id="a2", text="Which one?")
SAID = ToolReturned(message_id="a2", request_id="r1", name="send_chat_message", result="Sent.", said="Rose Street 5")


def test_an_answer_counts_up_to_where_it_was_heard() -> None:
    heard = Heard([CUT, AgentInterrupted(message_id="a1", heard="We have green"), WHOLE])
    assert [heard.text(event) for event in (CUT, WHOLE)] == ["We have green", "Which one?"]
    assert (heard.is_cut(CUT), heard.is_cut(WHOLE)) == (True, False)


def test_of_an_answer_that_nobody_heard_nothing_counts() -> None:
    assert Heard([CUT, AgentInterrupted(message_id="a1", heard="")]).text(CUT) == ""


def test_a_person_and_a_tool_say_something_too_and_other_events_do_not() -> None:
    heard = Heard([])
    words = [heard.text(event) for event in (UserMessage(id="u", text="Hi"), SAID, Resumed())]
    assert words == ["Hi", "Rose Street 5", ""]


def test_what_the_person_said_last_awaits_an_answer_until_they_have_heard_one() -> None:
    asked, unheard = UserMessage(id="u", text="What do you sell?"), AgentInterrupted(message_id="a1", heard="")
    sign = UserMessage(id="s", text="Mhm", is_sign=True)
    assert awaits_answer([WHOLE, asked])
    assert awaits_answer([asked, CUT, unheard]), "nothing was heard of it"
    assert awaits_answer([asked, AgentMessage(id="a3", text="")]), "it called a tool, without a word"
    assert not awaits_answer([asked, CUT, AgentInterrupted(message_id="a1", heard="We have")])
    assert not awaits_answer([asked, CUT, sign])
    assert not awaits_answer([asked, AgentMessage(id="a3", text=""), SAID])
    assert not awaits_answer([])
