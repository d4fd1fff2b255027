"""The farm on the wire: what nodes tell each other, and what a client is told of them."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from .content import Fetch

MAX_TREES = 100


class NodeState(StrEnum):
    """What a node knows of another one."""

    ONLINE = "online"
    AWAY = "away"
    LEFT = "left"
    REFUSED = "refused"


class NodeBrief(BaseModel):
    """What a node says of itself with every beat."""

    id: str = Field(description="32 hexadecimal digits.")
    name: str = Field(max_length=255)
    port: int = Field(ge=0, le=65535)
    scheme: str = Field("http", pattern="^https?$", description="http or https.")
    public_address: str = Field("", max_length=300, description="host:port if it is reached by another than it seems.")
    app_version: str = ""
    api_version: str = ""
    slots: dict[str, int] = Field(default_factory=dict, description="Sessions at a time, by engine.")
    busy: dict[str, int] = Field(default_factory=dict, description="Sessions that run now, by engine.")
    paused: bool = False
    paused_reason: str = ""
    tags: list[str] = []
    memory_total: int = Field(0, description="Bytes.")
    memory_available: int = Field(0, description="Bytes.")
    cpu_percent: float = Field(0.0, description="Utilisation now, 0 to 100.")
    engines: dict[str, list[str]] = Field(default_factory=dict, description="Installed versions, newest first.")
    trees: list[str] = Field([], max_length=MAX_TREES, description="Projects that are complete here, newest first.")


class PeerNode(NodeBrief):
    """One node in :class:`NodeList`, as the node that was asked sees it."""

    address: str = Field(description="host:port; an IPv6 address in brackets.")
    state: NodeState = Field(description="online, away (does not answer), left (said goodbye), refused.")
    reason: str = Field("", description="Why it is not used; empty if it is.")
    age: float | None = Field(None, description="Seconds since it answered last; null: never since our start.")
    clock_ahead: float | None = Field(
        None, description="By how many seconds its clock was ahead of this node's at the last hello; null: not known."
    )
    own: bool = Field(False, description="Whether it is the node that was asked.")


class Farm(BaseModel):
    """The farm that a node belongs to."""

    id: str = Field(description="16 hexadecimal digits; the same on every node of the farm.")
    name: str


class NodeList(BaseModel):
    """Answer of ``GET /api/nodes``: the node itself first, then the others by name."""

    farm: Farm | None = Field(description="Null: the node is in no farm yet.")
    nodes: list[PeerNode]
    fetches: list[Fetch] = Field([], description="Projects that come to the node itself, or came lately.")


class KnownNode(BaseModel):
    """Another node that the sender of a beat reaches; a suggestion only."""

    id: str = Field(max_length=64)
    name: str = Field("", max_length=255)
    address: str = Field(max_length=300, description="host:port, with https:// before it if it speaks that.")


class Beat(BaseModel):
    """Request and answer of ``POST /api/peers/beat``."""

    node: NodeBrief
    nonce: str = Field(max_length=64, description="Of the request, made anew for each; the answer repeats it.")
    subjobs: dict[str, int] = Field(
        default_factory=dict, description="Revision by subjob: of those that the receiver has given to the sender."
    )
    known: list[KnownNode] = Field([], max_length=256, description="Nodes that the sender reaches.")


class Hello(BaseModel):
    """Body of ``POST /api/peers/hello``: who are you, and do you hold the secret of this farm?"""

    model_config = ConfigDict(extra="ignore")

    farm: str = Field(max_length=64, description="Id of the sender's farm.")
    node: str = Field(max_length=64, description="Id of the sender.")
    instance: str = Field(max_length=64, description="Made at each start of the sender.")
    nonce: str = Field(min_length=16, max_length=64, description="Made anew for each request.")
    api_version: str = Field("", max_length=20)
    app_version: str = Field("", max_length=40)


class HelloAnswer(BaseModel):
    """Answer of ``POST /api/peers/hello``. The proof is there if both are of one farm."""

    farm: str | None = Field(description="Id of this node's farm; null: it is in none.")
    farm_name: str | None = None
    node: str = Field(max_length=64)
    name: str = Field(max_length=255)
    instance: str = Field(max_length=64)
    nonce: str = Field("", max_length=64)
    time: float = Field(description="This node's clock: seconds since 1970, UTC.")
    fingerprint: str = Field("", max_length=64, description="SHA-256 of its certificate; empty: it speaks plain HTTP.")
    api_version: str
    app_version: str
    proof: str = Field("", description="HMAC-SHA256 with the farm's secret over all of this and the question.")
