"""Bringing a machine into a farm, on the wire."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from .farm import Farm


class Partner(BaseModel):
    """The other node of a pairing."""

    id: str
    name: str
    address: str = Field(description="host:port, as far as this node knows.")


class Pairing(BaseModel):
    """Answer of the routes of ``/api/pairing``: what is offered here, and who has come."""

    farm: Farm | None = Field(description="The farm that is offered; null: this node is in none.")
    code: str | None = Field(None, description="What is typed at the other node; null: nothing is offered now.")
    expires: datetime | None = Field(None, description="Until when the code is good.")
    tries_left: int = Field(0, description="So many wrong codes may still come.")
    joined: list[Partner] = Field([], description="Who has come with a code of this node since its start.")
    note: str = Field("", description="What may keep the other node from reaching this one; empty: nothing known.")


class JoinFarm(BaseModel):
    """Body of ``POST /api/pairing/join``."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(min_length=1, max_length=40, description="As `zordon pair` shows it on the other node.")
    address: str | None = Field(
        None, max_length=300, description="host:port of the other node; left out: it is looked for on the network."
    )
    leave: bool = Field(False, description="Leave the farm that this node is in.")


class Joined(BaseModel):
    """Answer of ``POST /api/pairing/join``."""

    farm: Farm
    partner: Partner = Field(description="The node that the farm was had from.")
    note: str = Field("", description="What may keep other nodes from reaching this one; empty: nothing known.")


class Exchange(BaseModel):
    """Body of ``POST /api/pairing/exchange``: a message of SPAKE2, then the proof that the code was the same."""

    model_config = ConfigDict(extra="ignore")

    session: str = Field("", max_length=64, description="Of the answer to the first one; empty in the first.")
    message: str = Field("", max_length=200, pattern="^[0-9a-f]*$", description="Of SPAKE2, in hexadecimal.")
    proof: str = Field("", max_length=64, description="In the second: HMAC-SHA256 with the common key.")
    node: str = Field("", max_length=64, description="Id of the sender.")
    name: str = Field("", max_length=255)
    port: int = Field(0, ge=0, le=65535)


class ExchangeAnswer(BaseModel):
    """Answer of ``POST /api/pairing/exchange``."""

    session: str
    message: str = Field("", description="Of SPAKE2, in hexadecimal; to the first.")
    sealed: str = Field("", description="The farm, sealed by the common key (ChaCha20-Poly1305); to the second.")
    node: str = ""
    name: str = ""
