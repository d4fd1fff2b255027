"""Who may do what, on the wire: tokens, browsers' sessions, login codes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Role(StrEnum):
    """What a token may be used for; each also for what the ones named with it may."""

    READ = "read"  # look at jobs, outputs, logs, engines, the machine
    SUBMIT = "submit"  # read; submit jobs, and cancel one's own
    PEER = "peer"  # submit; tell a parent job of its subjobs, as another node does
    ADMIN = "admin"  # everything


class AccessKind(StrEnum):
    """Where a secret comes from."""

    FIRST = "first"  # the setting token, or the file of that name in the data folder; role admin
    TOKEN = "token"  # made by `zordon token add`
    SESSION = "session"  # a browser's cookie, had for a login code
    NODE = "node"  # another node of the farm, by the signature of its request; role peer


class NewToken(BaseModel):
    """What is asked for with a new token."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="Who or what will use it; no two tokens share one.")
    role: Role
    days: float | None = Field(
        default=None, gt=0, le=36_500, description="How long it is good for, in days; forever if left out."
    )

    @field_validator("name")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable() or value != value.strip():
            raise ValueError("it must have printable characters only, and no blanks at its ends")
        return value


class TokenInfo(BaseModel):
    """A token or a browser's session, without its secret."""

    id: str
    name: str
    role: Role
    kind: AccessKind
    made_by: str = Field(default="", description="Id of the token that made it.")
    date_created: datetime | None = None
    expires: datetime | None = Field(default=None, description="Null: it is good until it is revoked.")


class MadeToken(TokenInfo):
    """A new token. This is the only answer that ever has the secret."""

    secret: str


class LoginCode(BaseModel):
    """Lets one browser in, once."""

    code: str
    expires: datetime


class Login(BaseModel):
    """What a browser shows to be let in: a login code, or a token that somebody typed."""

    model_config = ConfigDict(extra="forbid")

    code: str | None = Field(default=None, min_length=1, max_length=200)
    token: str | None = Field(default=None, min_length=1, max_length=512)

    @model_validator(mode="after")
    def _one_of_them(self) -> Login:
        if (self.code is None) == (self.token is None):
            raise ValueError("give code or token, one of them")
        return self
