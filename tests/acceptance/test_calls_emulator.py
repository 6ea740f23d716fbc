"""Calls between the server and the emulator, with real media: a person calls, speaks, listens and hangs up."""

import base64
import json
from pathlib import Path
from typing import Any

from greenline.settings import Settings
from greenline.speech.factory import build_speech
from greenline.speech.models import Voice
from greenline.speech.wav import encode_wav
from support.doomed import KEY, doomed_server, free_port
from support.embedded_voice import GAP_SECONDS, understood
from support.http import http_client
from support.meta import Emulator, Person, emulator
from support.server import as_environment
from support.wait import PATIENCE_SECONDS, until

PROMPT = "You are Luma of a plant shop.\n# Knowledge\nWe open at nine on weekdays.\n"
QUESTION = "When are you open?"
STEADY = {"GREENLINE_LEASE_SECONDS": "20", **as_environment(understood(QUESTION))}
"""No server dies here, and a busy one would lose its calls with a short lease."""
VOICE, SILENCE = ({"do": "expect", "what": what, "seconds": PATIENCE_SECONDS} for what in ("voice", "silence"))
LISTEN = [VOICE, SILENCE, {"do": "pause", "seconds": 1}, SILENCE]
"""The person hears the business out, in whose voice a busy machine may make a gap."""


async def spoken(words: str) -> str:
    """``words`` as a WAV file in base64, by the embedded voice."""
    speech = build_speech(Settings())
    try:
        voice = Voice(language="en")
        synthesiser = speech.synthesiser(voice)
        pcm = b"".join([chunk.pcm async for chunk in synthesiser.say(words, voice)])
        return base64.b64encode(encode_wav(pcm, synthesiser.rate)).decode()
    finally:
        await speech.aclose()


async def state(meta: Emulator, call_id: str, wanted: str) -> dict[str, Any]:
    """The call, when it is in the state."""

    async def reached() -> dict[str, Any] | None:
        call: dict[str, Any] = await meta.call("GET", f"/calls/{call_id}")
        return call if call["state"] == wanted else None

    found = await until(reached)
    assert found is not None
    return found


async def conversation(url: str) -> dict[str, Any]:
    """The newest conversation, when it is over."""
    async with http_client(url, KEY) as api:

        async def over() -> dict[str, Any] | None:
            listed = (await api.get("/v1/convai/conversations")).json()["conversations"]
            if not listed:
                return None
            found: dict[str, Any] = (await api.get(f"/v1/convai/conversations/{listed[0]['conversation_id']}")).json()
            return found if found["status"] in ("done", "failed") else None

        found = await until(over)
        assert found is not None
        return found


async def dial(meta: Emulator, person: Person) -> str:
    """A person calls the business; returns the id of the call."""
    call = await meta.call("POST", f"/people/{person.person_id}/calls", phone_number_id=meta.number)
    return str(call["call_id"])


async def test_a_person_calls_asks_and_is_answered(dsn: str, tmp_path: Path) -> None:
    question = await spoken(QUESTION)
    async with emulator() as meta, doomed_server(meta, dsn, tmp_path, free_port(), settings=STEADY) as server:
        await meta.furnish(server.url, KEY, PROMPT)
        call_id = await dial(meta, await meta.person("Ann", "15550107777"))
        call = await state(meta, call_id, "active")
        assert [step["what"] for step in call["timeline"]][:3] == ["dialled", "pre_accept", "accept"]
        await meta.call("POST", f"/calls/{call_id}/script", steps=[{"do": "say", "data_base64": question}, *LISTEN])
        call = await played(meta, call_id)
        assert (call["script"]["state"], call["early_packets"]) == ("passed", 0)
        await meta.call("POST", f"/calls/{call_id}/hangup")
        call = await state(meta, call_id, "ended")
        assert (call["ended_by"], call["error"]) == ("person", None)
        found = await conversation(server.url)
        said = [(turn["role"], turn["message"], turn["source_medium"]) for turn in found["transcript"]]
        assert said[0] == ("user", QUESTION, "audio")
        assert said[1][:2] == ("agent", "We open at nine on weekdays.")
        assert found["metadata"]["whatsapp"]["whatsapp_user_id"] == "15550107777"
        sound = await meta.http.get(f"/control/calls/{call_id}/heard.wav")
        assert sound.content[:4] == b"RIFF"


async def test_an_agent_writes_to_a_caller_who_never_wrote(dsn: str, tmp_path: Path) -> None:
    question, address = await spoken(QUESTION), "Rose Street 5, https://plants.example/way"
    message = json.dumps({"text": address})
    prompt = f"offline: when open -> call send_chat_message {message}\noffline: after send_chat_message -> say Sent."
    async with emulator() as meta, doomed_server(meta, dsn, tmp_path, free_port(), settings=STEADY) as server:
        await meta.furnish(server.url, KEY, prompt)
        ann = await meta.person("Ann", "15550107777")
        call_id = await dial(meta, ann)
        await state(meta, call_id, "active")
        await meta.call("POST", f"/calls/{call_id}/script", steps=[{"do": "say", "data_base64": question}])
        assert await meta.told(ann, 1) == [address]
        await state(meta, call_id, "active")
        await meta.call("POST", f"/calls/{call_id}/hangup")
        found = await conversation(server.url)
        called = [call["tool_name"] for turn in found["transcript"] for call in turn["tool_calls"]]
        assert called == ["send_chat_message"]


async def test_an_agent_calls_a_person_who_has_permitted_it(dsn: str, tmp_path: Path) -> None:
    async with emulator() as meta, doomed_server(meta, dsn, tmp_path, free_port(), settings=STEADY) as server:
        agent_id = await meta.furnish(server.url, KEY, PROMPT)
        ann = await meta.person("Ann", "15550107778")
        await meta.call("PATCH", f"/people/{ann.person_id}", answers_calls="auto")
        await meta.say(ann, "Hello")
        reply = {"response": "accept", "is_permanent": True, "response_source": "user_action"}
        interactive = {"type": "call_permission_reply", "call_permission_reply": reply}
        await meta.call(
            "POST",
            f"/people/{ann.person_id}/messages",
            phone_number_id=meta.number,
            type="interactive",
            interactive=interactive,
        )
        template = {
            "name": "may_we_call",
            "language": "en",
            "category": "UTILITY",
            "components": [{"type": "BODY", "text": "May we call you?"}, {"type": "CALL_PERMISSION_REQUEST"}],
        }
        headers = {"authorization": f"Bearer {meta.business['token']}"}
        made = await meta.http.post(
            f"/v23.0/{meta.business['waba_id']}/message_templates", json=template, headers=headers
        )
        made.raise_for_status()

        async def approved() -> bool:
            shown = await meta.http.get(f"/v23.0/{meta.business['waba_id']}/message_templates", headers=headers)
            return bool(shown.json()["data"][0]["status"] == "APPROVED")

        await until(approved)
        async with http_client(server.url, KEY) as api:
            body = {
                "whatsapp_phone_number_id": meta.number,
                "whatsapp_user_id": ann.wa_id,
                "whatsapp_call_permission_request_template_name": "may_we_call",
                "whatsapp_call_permission_request_template_language_code": "en",
                "agent_id": agent_id,
            }
            answer = await api.post("/v1/convai/whatsapp/outbound-call", json=body)
            assert answer.json()["success"], answer.text
            call_id = await placed(meta, 1)
            call = await state(meta, call_id, "active")
            assert [step["what"] for step in call["timeline"]][:2] == ["ringing", "accepted"]
            await meta.call("POST", f"/calls/{call_id}/hangup")
            await state(meta, call_id, "ended")
            await meta.call("PATCH", f"/people/{ann.person_id}", answers_calls="reject")

            async def called_again() -> str | None:  # the call before may still be written down
                again = (await api.post("/v1/convai/whatsapp/outbound-call", json=body)).json()
                conversation_id: str | None = again.get("conversation_id")
                return conversation_id

            declined = await until(called_again)
            assert (await state(meta, await placed(meta, 2), "ended"))["ended_by"] == "person_rejected"

            async def result() -> str | None:
                found = (await api.get(f"/v1/convai/conversations/{declined}")).json()
                ended = found["status"] in ("done", "failed")
                return str(found["metadata"]["whatsapp"]["call_result"]) if ended else None

            assert await until(result) == "busy"


async def placed(meta: Emulator, count: int) -> str:
    """The id of the newest call, when there are as many."""

    async def there() -> str | None:
        calls = (await meta.call("GET", "/calls"))["calls"]
        return str(calls[-1]["call_id"]) if len(calls) == count else None

    found = await until(there)
    assert found is not None
    return found


async def test_a_person_keeps_to_a_script_after_a_bad_network(dsn: str, tmp_path: Path) -> None:
    question = await spoken(QUESTION)
    async with emulator() as meta, doomed_server(meta, dsn, tmp_path, free_port(), settings=STEADY) as server:
        await meta.furnish(server.url, KEY, PROMPT)
        call_id = await dial(meta, await meta.person("Ann", "15550107779"))
        await state(meta, call_id, "active")
        bad = {"loss": 0.2, "duplicate": 0.1, "jitter_ms": 300, "gap_seconds": 0.5}
        await meta.call("POST", f"/calls/{call_id}/network", **bad)
        await meta.call("POST", f"/calls/{call_id}/script", steps=[{"do": "say", "data_base64": question}])
        assert (await played(meta, call_id))["script"]["state"] == "passed"
        await meta.call("POST", f"/calls/{call_id}/network", loss=0)
        steps = [
            SILENCE,
            {"do": "pause", "seconds": GAP_SECONDS + 1},  # it is another question
            {"do": "say", "data_base64": question},
            *LISTEN,
            {"do": "hang_up"},
            {"do": "expect", "what": "end", "seconds": 2},
            {"do": "expect", "what": "voice", "seconds": 0.1},
        ]
        await meta.call("POST", f"/calls/{call_id}/script", steps=steps)
        call = await played(meta, call_id)
        assert call["script"] == {"state": "failed", "step": 9, "why": "expected to hear the business within 0.1 s"}
        assert call["lost_packets"] > 10
        assert (call["ended_by"], call["error"]) == ("person", None)
        found = await conversation(server.url)
        assert found["transcript"][-1]["message"] == "We open at nine on weekdays."


async def played(meta: Emulator, call_id: str) -> dict[str, Any]:
    """The call, when its script has come to its end."""

    async def done() -> dict[str, Any] | None:
        call: dict[str, Any] = await meta.call("GET", f"/calls/{call_id}")
        return call if call["script"]["state"] != "running" else None

    found = await until(done)
    assert found is not None
    return found
