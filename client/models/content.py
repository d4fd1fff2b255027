"""Projects on their way between nodes: what belongs to one, and how far it has come."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

SHA256 = r"^[0-9a-f]{64}$"


class TreeFile(BaseModel):
    """One file of a project."""

    model_config = ConfigDict(frozen=True)

    path: str = Field(min_length=1, max_length=4096, description='Relative, with "/" between the parts.')
    size: int = Field(ge=0, description="Bytes.")
    sha256: str = Field(pattern=SHA256, description="Of its content.")


class Tree(BaseModel):
    """A project with everything that it needs. Answer of ``GET /api/content/trees/{tree_id}``."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(pattern=SHA256, description="SHA-256 of main and files as JSON: sorted keys and paths, no spaces.")
    main: str = Field(min_length=1, max_length=4096, description="What the engine opens: a file, or a folder of them.")
    files: tuple[TreeFile, ...] = Field(description="Sorted by path.")


class Prepare(BaseModel):
    """Body of ``POST /api/peers/prepare``: what a node will need soon."""

    model_config = ConfigDict(extra="ignore")

    tree: str | None = Field(default=None, pattern=SHA256, description="Id of a project's tree.")
    sources: list[str] = Field(
        default_factory=list, max_length=256, description="Ids of nodes that have all of the tree, best first."
    )
    engine: str | None = Field(default=None, max_length=100)
    version: str | None = Field(default=None, max_length=100, description="Of the engine, complete.")


class Preparation(BaseModel):
    """Answer of ``POST /api/peers/prepare``: how far it is. Ask again to be told again."""

    ready: bool = Field(description="Whether everything that was asked for is here and complete.")
    failed: bool = Field(default=False, description="Whether something did not come; asking again tries again.")
    sentences: list[str] = Field(default_factory=list, description="What is going on, or went wrong.")
    bytes_done: int = Field(default=0, description="Of what was missing; of the project and of the engine together.")
    bytes_total: int = 0
    bytes_per_second: float | None = None
    eta_seconds: float | None = Field(default=None, description="Expected time until it is all here.")


class Fetch(BaseModel):
    """A project on its way to a node."""

    tree: str = Field(description="Id of its tree.")
    state: str = Field(description="waiting, fetching, complete or failed.")
    reason: str = Field(description="What is being done, or why it did not come, as a sentence.")
    sources: list[str] = Field(default_factory=list, description="Names of the nodes that it comes from now.")
    bytes_done: int = Field(default=0, description="Of what was missing here.")
    bytes_total: int = 0
    bytes_per_second: float | None = None
    eta_seconds: float | None = None
