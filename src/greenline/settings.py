"""Every setting of the server: its name, type, unit, default and the reason for the default.

Settings come from the environment (``GREENLINE_*``). The names in the documentation of the project are fixed;
other people's scripts rely on them.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

CommaList = Annotated[tuple[str, ...], NoDecode]
"""A list written as text with commas."""

Names = Annotated[dict[str, str], NoDecode]
"""A map written as a JSON object."""

Eagerness: TypeAlias = Literal["patient", "normal", "eager"]
END_OF_TURN_SECONDS: Final[Mapping[Eagerness, float]] = {"patient": 1.0, "normal": 0.5, "eager": 0.3}

MOST_DAYS: Final = 36_500
"""A hundred years: much more has no date any more."""

MAY_BE_EMPTY: Final = frozenset({"unsupported_message", "unclear_message", "guardrail_message"})
"""Texts of which the empty one says something else than the default."""


def _web_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^/?#\s]+\S*", value, re.IGNORECASE):
        raise ValueError("must be an address with its scheme, such as https://host")
    return value


def _for_a_header(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", value.get_secret_value()):
        raise ValueError("must be visible ASCII characters without spaces or line breaks: it is sent in a header")
    return value


WebUrl = Annotated[str, AfterValidator(_web_url)]


class Settings(BaseSettings):
    """The settings of one server process."""

    model_config = SettingsConfigDict(
        env_prefix="GREENLINE_", extra="ignore", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    # Server
    host: str = Field("127.0.0.1", description="Address to listen on. Loopback until an operator opens it.")
    port: int = Field(8080, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one.")
    public_url: WebUrl | None = Field(
        None, description="URL under which clients reach the server, for links in answers."
    )
    data_dir: Path = Field(Path(".greenline"), description="Folder of the embedded database, the key file and media.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["json", "console"] = Field("json", description="One JSON object a line, or text for people.")
    drain_seconds: float = Field(
        20.0,
        ge=0,
        description="Time that running work has to finish after SIGTERM; orchestrators kill at 30 s.",
    )
    console: bool = Field(
        default=True,
        description="Whether there is a console at /console; it is loaded when somebody first opens a page.",
    )
    emulator_url: WebUrl | None = Field(
        None, description="URL of an emulator whose people can be played at /phone; unset: no phone page."
    )
    request_max_bytes: int = Field(
        8_388_608, gt=0, description="Largest JSON body of an API request; an agent's configuration is about 13 kB."
    )
    upload_max_bytes: int = Field(67_108_864, gt=0, description="Largest upload of files to the API.")
    api_key: Annotated[SecretStr, AfterValidator(_for_a_header)] | None = Field(
        None, description="Bootstrap API key of the default workspace."
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Key that encrypts secrets at rest (32 bytes, url-safe base64); unset: a key file is made.",
    )

    # Database
    database_url: SecretStr | None = Field(
        None, description="Postgres >= 15 to use; unset: an embedded one under the data directory."
    )
    database_connections: int = Field(
        10,
        ge=4,
        description="Connections of the pool: five for each core of a small machine; commits are grouped. Three more "
        "take webhooks in and listen.",
    )

    # Meta
    graph_url: WebUrl = Field(
        "https://graph.facebook.com", description="Base URL of the Graph API (or of the emulator)."
    )
    graph_version: str = Field(
        "v23.0",
        pattern=r"^/*v\d+\.\d+/*$",
        description="Graph API version: the newest that Meta's OpenAPI file describes.",
    )
    graph_timeout_seconds: float = Field(
        15.0, gt=0, description="Time for one Graph call; after it the outcome of a send is unknown."
    )
    media_hosts: CommaList = Field(
        ("lookaside.fbsbx.com",),
        description="Hosts that may receive the token when media is fetched, and no other.",
    )
    media_max_bytes: int = Field(
        25_000_000,
        gt=0,
        description="Largest file of a person that is fetched; models take no more than about 20 MB.",
    )
    meta_app_id: str | None = Field(None, description="Id of the Meta app.")
    meta_app_secret: CommaList = Field(
        (), repr=False, description="App secrets that sign webhooks; several while one is rotated."
    )
    meta_verify_token: SecretStr | None = Field(
        None, description="Token that Meta repeats when the webhook is set up."
    )
    takes_webhooks: bool = Field(
        default=True,
        description="Whether Meta delivers to this server, itself or behind a load balancer. Set `false` for one "
        "that only works beside others: what may have left is not sent again while none runs that could hear of it.",
    )
    webhook_max_bytes: int = Field(4_194_304, description="Largest webhook body; Meta sends up to 3 MB.")

    # WhatsApp
    throughput_per_second: float = Field(
        80.0,
        ge=1,
        description="Messages a number sends and takes in each second (Meta: Throughput). One that Meta has upgraded "
        "has 12.5 times as many; one that the Business app uses too has 20 at most.",
    )
    pair_interval_seconds: float = Field(
        6.0, ge=0, description="Steady time between messages to one person (Meta: pair rate limit)."
    )
    pair_burst: int = Field(
        30,
        ge=1,
        description="Messages that may go to one person at once; Meta lends 45, a margin stays for other senders.",
    )
    window_margin_seconds: float = Field(
        60.0,
        ge=0,
        description="Time before the end of the 24-hour window from which only templates are sent.",
    )
    voice_note_text: Literal["when_needed", "always", "never"] = Field(
        "when_needed",
        description="Whether an answer that is spoken as a voice note comes in writing too: `when_needed` is when it "
        "holds what one wants to see, such as links, lists and long numbers.",
    )
    end_of_turn_seconds: Annotated[dict[Eagerness, Annotated[float, Field(ge=0.1, le=5)]], NoDecode] = Field(
        dict(END_OF_TURN_SECONDS),
        description="Silence after which a person has finished speaking, by the agent's turn_eagerness; what is left "
        "out keeps its default.",
    )
    speculative_turns: Literal["always", "agent"] = Field(
        "always",
        description="Whether an answer is begun at a short pause, before it is known that the person has finished: "
        "by every agent, or by those with turn.speculative_turn (off by default). It is heard up to 300 ms sooner, "
        "and an answer that was begun too early costs its tokens.",
    )
    barge_in_seconds: float = Field(
        0.1,
        ge=0.03,
        le=2,
        description="Voice of this length interrupts the agent; more lets coughs and short words pass.",
    )
    sender_linger_seconds: float = Field(
        30.0,
        ge=0,
        le=600,
        description="How long a number with nothing to send stays with its sender, where an answer can leave with "
        "the commit of its turn: taking the number up again costs as much time as the sending itself.",
    )
    unknown_outcome_grace_seconds: float = Field(
        15.0,
        ge=0,
        description="Wait for a status before a send of unknown outcome is repeated. Statuses take about 1 s, the "
        "first repetitions of one that was not taken a few more; with the lease it stays below 30 s, for which no "
        "chat may be stuck.",
    )
    send_max_attempts: int = Field(
        8,
        ge=1,
        description="Attempts of one message that Meta can't process (131000), and a quarter of those that nobody "
        "answers. An outage of which Meta tells is waited for as long as the person may be answered.",
    )
    merge_wait_seconds: float = Field(
        0.0,
        ge=0,
        description="Wait for more fragments before the first model call; 0 answers at once and merges later ones.",
    )
    inactivity_seconds: float = Field(
        900.0,
        gt=0,
        description="Silence after the agent's last message that ends a conversation (reference: 15 minutes).",
    )
    call_capacity: int = Field(
        15,
        ge=0,
        description="Calls that one process holds at once; the next one is rejected at once. A conversation with the "
        "embedded voice detector takes 5 % of a core (docs/performance.md).",
    )
    call_ring_seconds: float = Field(
        60.0, gt=0, description="How long a person's phone rings before a call of the business is given up."
    )
    call_permission_days: int = Field(
        7,
        ge=1,
        le=MOST_DAYS,
        description="How long an answer to a call permission request is waited for (Meta: 7 days).",
    )
    call_permission_text: str = Field(
        "",
        description="Asks for the permission to call where the 24-hour window is open, instead of the template, "
        "which Meta charges; empty: always the template.",
    )
    call_prices: Annotated[
        dict[Annotated[str, Field(pattern=r"^(\*|\d{1,15})$")], Annotated[float, Field(ge=0)]], NoDecode
    ] = Field(
        default_factory=dict,
        description="What Meta charges for a minute of a call that the business makes, in US dollars, by the first "
        'digits of the person\'s number: {"1": 0.01, "1876": 0.05, "*": 0.1}; unset: its price is unknown.',
    )
    call_drain_seconds: float = Field(
        120.0, ge=0, description="How long calls may go on after SIGTERM; give the orchestrator more than that."
    )
    thread_memory: Literal["remember", "forget"] = Field(
        "remember",
        description="Whether a new conversation knows the person's last ones; the reference forgets.",
    )
    thread_exchanges: int = Field(20, ge=0, description="Messages of earlier conversations given to the next one.")
    thread_max_age_days: int = Field(
        30, ge=0, le=MOST_DAYS, description="Age past which earlier conversations are not given any more."
    )
    failure_message: str = Field(
        "Sorry, I can't answer right now. Please try again in a moment.",
        pattern=r"\S",
        description="What the person reads when every model failed: never silence.",
    )
    unclear_message: str | None = Field(
        None,
        description="What an agent says to a person who has spoken and of whom no word was understood, twice in a "
        "row at most; unset: `Sorry, I didn't catch that. Could you say it again?`, or the same in Spanish, French, "
        "German, Italian or Portuguese, and nothing in other languages; empty: nothing.",
    )
    unsupported_message: str = Field(
        "Sorry, I can't open this kind of message. Could you write it as text?",
        description="Answer, once in a conversation, to a message type that can't be passed on; empty: none.",
    )
    template_cache_seconds: float = Field(
        300.0,
        ge=0,
        description="How long a template of Meta's is used without asking again; its webhooks drop it sooner.",
    )
    inbox_retention_days: int = Field(
        8, ge=7, le=MOST_DAYS, description="Life of webhook events; Meta repeats them for up to 7 days."
    )

    # Work
    turn_concurrency: int = Field(200, ge=1, description="Turns that one process runs at once.")
    lease_seconds: float = Field(
        10.0,
        gt=0,
        description="Time after which the work of a dead process is taken over. It is renewed every third of it: a "
        "process may stall for 6 s and keep its work, longer where no other process takes it, and a live "
        "conversation be without its database for 6 s.",
    )
    turn_max_attempts: int = Field(5, ge=1, description="Attempts of a turn that fails by a fault of the server.")
    tool_rounds: int = Field(
        10, ge=1, description="Model calls of one turn: a model that calls tools for ever is stopped."
    )

    # Sockets
    socket_message_max_bytes: int = Field(
        1_048_576,
        gt=0,
        description="Largest message of a client on a socket; start data with a long prompt takes a tenth of it.",
    )
    enclave_setup: bool = Field(
        default=False,
        description="Whether clients may bring an agent of their own (enclave_setup_config) without an API key; for "
        "networks whose every user may use the models of this server, since the official clients show no key there.",
    )
    socket_idle_seconds: float = Field(
        60.0,
        ge=0,
        description="Silence of a client that ends its conversation (reference: 60 s; user_activity holds it off); "
        "0: never.",
    )

    # Models
    llm_map: Names = Field(
        default_factory=dict,
        description='Reference model to "provider:model": {"gemini-2.5-flash": "ollama:llama3.2"}; "*": all.',
    )
    llm_base_urls: Names = Field(
        default_factory=dict,
        description='Base URLs of OpenAI-compatible providers, e.g. {"ollama": "http://host/v1"}.',
    )
    llm_timeout_seconds: float = Field(60.0, gt=0, description="Limit of one whole generation.")
    llm_start_seconds: float = Field(
        15.0,
        gt=0,
        description="Wait of a person who speaks with an agent for the first word of a model, all attempts together; "
        "then they hear the failure message. Three attempts of the agent's cascade_timeout_seconds (4) fit in.",
    )
    llm_stall_seconds: float = Field(
        5.0,
        gt=0,
        description="Silence of a model in the middle of a spoken answer after which the person hears the failure "
        "message: on a telephone, silence that is much longer is taken for a dead line.",
    )
    llm_backups: CommaList = Field(
        (), description="Default order of models that take over; unset: the other providers that have a key."
    )
    llm_offline_script: str = Field(
        "", description="Rules of the offline model for all agents, one a line, after those of the agent's prompt."
    )

    initiation_webhook_seconds: float = Field(
        5.0,
        gt=0,
        le=20,
        description="Wait for the start data of a webhook when a conversation begins: the phone of who calls rings "
        "meanwhile, and nobody lets it ring for ever.",
    )

    # Guardrails
    guardrail_model: str = Field(
        "gemini-3.1-flash-lite",
        min_length=1,
        description="Model, by its name in the reference API, that judges prompt injection, content and moderation: "
        "the reference's own default for custom guardrails, which name theirs. GREENLINE_LLM_MAP holds for it.",
    )
    guardrail_timeout_seconds: float = Field(
        3.0,
        gt=0,
        le=60,
        description="Wait for the verdict of a judge, all attempts together. A small model takes 0.2 to 0.5 s; who "
        "waits longer than this on a telephone takes the line for dead.",
    )
    guardrail_failure: Literal["allow", "refuse"] = Field(
        "allow",
        description="What becomes of an answer that could not be judged: `allow` lets it pass, which is logged, "
        "counted and in the transcript; `refuse` says the failure message in its place. A judge that is away would "
        "silence every agent with guardrails, so refusing is for those to whom silence is the lesser harm.",
    )
    guardrail_retries: int = Field(
        2,
        ge=0,
        le=10,
        description="How often the model may answer again after a guardrail refused its answer; then the "
        "conversation ends. The reference ends it after three refused answers.",
    )
    guardrail_message: str = Field(
        "Sorry, I can't help with that here, so I have to end our conversation.",
        description="What the person reads or hears when a guardrail ends the conversation; empty: nothing, as in "
        "the reference.",
    )

    # Speech
    stt: str | None = Field(
        None,
        description="Who hears: `openai`, `deepgram`, `elevenlabs`, `whisper` or `embedded`, or provider:model; "
        "unset: whoever has a key, else the embedded recogniser.",
    )
    tts: str | None = Field(
        None,
        description="Who speaks: `openai`, `deepgram`, `elevenlabs` or `embedded`, or provider:model; unset: whoever "
        "has a key, else the embedded voice.",
    )
    stt_map: Names = Field(
        default_factory=dict,
        description='`asr.provider` to "provider:model": {"scribe_realtime": "deepgram:nova-3"}; "*": all agents.',
    )
    tts_map: Names = Field(
        default_factory=dict,
        description='`tts.model_id` to "provider:model": {"eleven_flash_v2": "openai:tts-1"}; "*": all agents.',
    )
    voice_map: Names = Field(
        default_factory=dict,
        description='`tts.voice_id` to "provider:voice": {"cjVigY5qzO86Huf0OWal": "openai:nova"}; "*": all agents.',
    )
    stt_backups: CommaList = Field(
        (), description="Who hears when the first fails, in order; unset: the other providers that have a key."
    )
    tts_backups: CommaList = Field(
        (),
        description="Who speaks when the first fails, in order; unset: the other providers that have a key. The "
        "embedded voice is always the last.",
    )
    stt_phrases: str = Field(
        "",
        description="What the embedded recogniser understands, a phrase a line; unset: small talk and the demo's "
        "shop.",
    )
    speech_base_urls: Names = Field(
        default_factory=dict,
        description='Base URLs of speech providers, own OpenAI-compatible ones too: {"speaches": "http://host/v1"}.',
    )
    speech_timeout_seconds: float = Field(
        6.0,
        gt=0,
        description="Wait for the next piece of speech, or for the text of an utterance, until another provider is "
        "asked.",
    )
    speech_patience_seconds: float = Field(
        14.0,
        gt=0,
        description="Wait of a person who speaks with an agent for the text of what they said, or for the next sound "
        "of an answer, over all providers; then they hear the failure message. Two providers that hang fit in, and a "
        "third that answers.",
    )
    whisper_model: Path | None = Field(
        None, description="Folder with the weights of a Whisper model for faster-whisper; `whisper` hears with it."
    )
    vad_model: Path | None = Field(
        None,
        description="Silero's ONNX file, to detect voice by onnxruntime at a quarter of the CPU; unset: the model "
        "that is built in.",
    )

    # LiveKit
    livekit_url: str | None = Field(
        None,
        description="LiveKit server in whose rooms agents talk, e.g. `ws://livekit:7880`; unset: no WebRTC tokens, "
        "clients use the WebSocket.",
    )
    livekit_api_key: str | None = Field(None, description="Key of the LiveKit server.")
    livekit_api_secret: SecretStr | None = Field(None, description="Secret of that key; it signs tokens.")
    livekit_wait_seconds: float = Field(
        120.0,
        gt=0,
        le=900,
        description="How long a WebRTC token can be used, and the agent waits in its room.",
    )
    livekit_waiting_rooms: int = Field(
        50,
        ge=1,
        description="Rooms of a process in which agents wait; more tokens are refused. Each holds a connection and "
        "about a megabyte.",
    )

    # Recordings
    recordings_url: str | None = Field(
        None,
        description="Bucket for recordings and files of conversations, `s3://bucket/folder`, with key, region and "
        "endpoint in the variables `AWS_*`; unset: the data directory.",
    )

    # Traces
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/?#]",
        description="Collector that ended conversations are posted to as OpenTelemetry traces, its base address as "
        "OTEL_EXPORTER_OTLP_ENDPOINT has it: `http://collector:4318`; unset: none is. That variable itself is not "
        "read: a trace holds what people said, which should not leave by a cluster's default.",
    )
    otlp_headers: SecretStr | None = Field(
        None,
        description="Headers for the collector, as OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20KEY,x-a=b`.",
    )

    # Outbound requests
    outbound_allow: CommaList = Field(
        (),
        description="CIDRs or hosts that tools, documents, webhooks and custom LLMs may reach besides the internet.",
    )

    @field_validator(
        "media_hosts",
        "meta_app_secret",
        "llm_backups",
        "stt_backups",
        "tts_backups",
        "outbound_allow",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return value

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Files of containers pass variables on that nobody has set, and files of secrets end with a line break."""
        values = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
        return {name: value for name, value in values.items() if value != "" or name in MAY_BE_EMPTY}

    @field_validator(
        "end_of_turn_seconds",
        "call_prices",
        "llm_map",
        "llm_base_urls",
        "stt_map",
        "tts_map",
        "voice_map",
        "speech_base_urls",
        mode="before",
    )
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                return json.loads(value)
            except ValueError as error:
                raise ValueError(f'is no JSON object such as {{"name": "value"}}: {error}') from None
        return value

    @field_validator("end_of_turn_seconds")
    @classmethod
    def _whole(cls, value: dict[Eagerness, float]) -> dict[Eagerness, float]:
        return {**END_OF_TURN_SECONDS, **value}

    @field_validator("outbound_allow")
    @classmethod
    def _readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            if "/" in item:
                ipaddress.ip_network(item)
        return value
