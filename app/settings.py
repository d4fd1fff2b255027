"""One place for every setting: file < environment < flags.

The file is ``settings.yaml`` in the data folder; the environment variable of ``max_upload_bytes`` is
``ZORDON_MAX_UPLOAD_BYTES``; the flags of ``zordon serve`` are the keyword arguments of :func:`load_settings`.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from client.addresses import parse_address
from engines.choosing import MAX_VERSION, is_version

ENGINE_SOURCES = ("farm", "blender.org", "pypi", "ffmpeg-builds")
"""The sources of engine versions that need no address, in the order in which they are asked."""
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,39}")
GIB = 1 << 30
MIB = 1 << 20

_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")


class SettingsError(ValueError):
    """A setting is wrong; the message names the setting and where it came from."""


def default_data_dir() -> Path:
    """The data folder of this user, as the platform has it."""
    return Path(platformdirs.user_data_dir("zordon", appauthor=False))


class Settings(BaseSettings):
    """Every setting of the service."""

    model_config = SettingsConfigDict(env_prefix="ZORDON_", extra="forbid", frozen=True, env_nested_delimiter="__")

    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback needs lan.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    lan: bool = Field(False, description="Listen on every address, for the other machines of the studio.")
    data_dir: Path = Field(
        default_factory=default_data_dir, description="Where jobs, outputs, engines and the store are."
    )
    token: str | None = Field(
        None, min_length=16, description="The token that requests must carry; made on first start if not set."
    )
    tls_cert: Path | None = Field(
        None, description="Certificate chain for HTTPS, a PEM file; with tls_key. Unset: plain HTTP."
    )
    tls_key: Path | None = Field(None, description="Private key of tls_cert, a PEM file without a passphrase.")
    debug: bool = Field(False, description="Adds the debug routes.")
    log_format: Literal["console", "json"] = Field(
        "console", description="How the service speaks on stderr: console for people, json for programs."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least important lines that the service says: debug, info, warning or error."
    )
    request_log: bool = Field(False, description="Says a line for every request as well; costs a part of the speed.")
    metrics_without_token: bool = Field(
        False, description="Answers /metrics to programs on this machine without a token."
    )
    name: str = Field(default_factory=socket.gethostname, description="This node's name.")
    farm_secret: str | None = Field(
        None,
        min_length=16,
        description="What all nodes of a farm know, for containers; unset: what `zordon pair` and `join` have kept.",
    )
    peers: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Addresses (HOST:PORT) of other nodes of the farm, where multicast does not go.",
    )
    public_address: str | None = Field(
        None, description="HOST:PORT by which other nodes reach this one, if not by what they see (published ports)."
    )
    discovery: bool = Field(True, description="Look for other nodes on the local network, and tell them of this one.")
    discovery_interfaces: list[str] = Field(
        default_factory=list, description="Addresses of the interfaces on which to look. Empty: all, if lan is set."
    )
    beat_seconds: float = Field(2.0, ge=0.05, description="Time between two beats of a node to each other one.")
    beat_misses: int = Field(4, ge=2, description="After so many beats without an answer a node counts as away.")
    allowed_hosts: list[str] = Field(
        default_factory=list, description="Further names under which this node may be called (Host header)."
    )
    local_roots: list[Path] = Field(
        default_factory=list, description="Folders under which local_path may name a project. Empty: none."
    )
    slots: dict[str, int] = Field(
        default_factory=dict, description="Sessions at a time by engine; what is not named has the engine's default."
    )
    engine_threads: int | None = Field(
        None, ge=1, description="Threads that an engine, or the check of a video, may use; unset: all."
    )
    engine_nice: int = Field(
        5, ge=0, le=19, description="How much engines stand back for everything else on the machine; 0: not at all."
    )
    engine_memory_bytes: int | None = Field(
        None, ge=64 * MIB, description="Memory for data that one engine process may have, in bytes; unset: all."
    )
    engine_open_files: int = Field(8192, ge=64, description="Files that one engine process may have open.")
    engine_cpu_seconds: int | None = Field(
        None, ge=1, description="Processor time that one engine process may take, in seconds; unset: any."
    )
    engine_core_dumps: bool = Field(False, description="Whether an engine that crashes may leave its memory in a file.")
    engine_user: str | None = Field(
        None, min_length=1, description="User as whom engines run; only for a service that root runs. Unset: the same."
    )
    allow_raw_arguments: list[str] = Field(
        default_factory=list, description="Engines whose jobs may bring raw command-line arguments. Empty: none."
    )
    blender_autoexec: bool = Field(
        False, description="Lets Blender run the scripts that a project brings with it, with the rights of the engine."
    )
    engine_paths: dict[str, list[Path]] = Field(
        default_factory=dict, description="Further copies of an engine: executables or folders, by engine."
    )
    custom_engines: dict[str, dict[str, Path]] = Field(
        default_factory=dict,
        description="Builds with names of their own, by engine and name: executables or folders.",
    )
    engine_addons: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Add-ons that every session has, by engine: names of modules, or paths (.zip, .py, a folder).",
    )
    engine_startup_scripts: dict[str, list[Path]] = Field(
        default_factory=dict,
        description="Scripts that every session runs before its first frame, by engine.",
    )
    auto_install: bool = Field(
        True, description="Fetch the engine version that a job needs, if it is not installed and some source offers it."
    )

    engine_sources: list[str] = Field(
        default_factory=lambda: list(ENGINE_SOURCES),
        description="Who is asked for engine versions, best first: farm (the other nodes), blender.org, pypi, "
        "ffmpeg-builds, names of mirrors.",
    )
    engine_mirrors: dict[str, str] = Field(
        default_factory=dict, description="Folders over HTTP with the layout of Blender's releases, by name."
    )
    engine_budget_bytes: int = Field(
        30 * GIB,
        ge=0,
        description="What fetched engines may take before unused ones are removed, in bytes.",
    )
    content_budget_bytes: int = Field(
        50 * GIB,
        ge=0,
        description="What projects of other nodes may take before unused ones are removed, in bytes.",
    )
    engine_unused_days: float = Field(
        30.0, ge=0, description="A fetched engine that was not used for so many days may be removed."
    )

    max_upload_bytes: int = Field(50 * GIB, ge=1, description="The largest upload, in bytes.")
    upload_days: float = Field(
        7.0, gt=0, le=3650, description="An upload that no job has taken is thrown away after so many days."
    )
    max_uploads_per_token: int = Field(50, ge=1, description="The most uploads of one token that no job has taken yet.")
    max_json_bytes: int = Field(4 * MIB, ge=1024, description="The largest JSON body, in bytes.")
    max_unpacked_bytes: int = Field(200 * GIB, ge=1, description="The most that an archive may unpack to, in bytes.")
    max_archive_files: int = Field(100_000, ge=1, description="The most files in an uploaded archive.")
    min_free_bytes: int = Field(512 * MIB, ge=0, description="Free space that the data disk keeps, in bytes.")
    inspect_seconds: float = Field(60.0, gt=0, description="How long reading a project may take, in seconds.")
    max_jobs_per_request: int = Field(1000, ge=1, description="The most jobs in one add_job.")
    max_live_jobs_per_token: int = Field(50_000, ge=1, description="The most jobs of one token that have not ended.")
    max_jobs: int = Field(100_000, ge=1, description="The most jobs that the node keeps, ended ones included.")
    max_attempt_bytes: int = Field(
        200 * GIB, ge=MIB, description="What an engine may write in one attempt, in bytes; one file or all together."
    )
    max_attempt_files: int = Field(
        50_000, ge=100, description="The most files that an engine may write in one attempt."
    )
    max_failed_tries: int = Field(
        100, ge=1, description="Wrong tokens that one address may send in a minute before it is told to wait."
    )
    max_audit_bytes: int = Field(
        16 * MIB, ge=64 * 1024, description="What the audit of changes may take; the oldest lines go first."
    )
    max_log_bytes: int = Field(16 * MIB, ge=64 * 1024, description="The size of one job's log, in bytes.")
    set_aside_days: float = Field(
        30.0,
        ge=0,
        description="How long outputs are kept whose job the store does not know at a start, in days; 0: always.",
    )
    benchmark_disk_bytes: int = Field(256 * MIB, ge=MIB, description="What the disk benchmark writes, in bytes.")

    chunk_seconds: float = Field(30.0, gt=0, description="How long one chunk should take, in seconds.")
    max_chunk_frames: int = Field(50, ge=1, description="The most frames in one chunk.")
    retry_seconds: float = Field(2.0, ge=0, description="Wait before the first retry; doubles with each.")
    term_seconds: float = Field(5.0, ge=0, description="How long an engine has to end after TERM, before KILL.")
    stall_seconds: float = Field(
        600.0,
        gt=0,
        description="Without progress, output or CPU time for so long, an engine of unknown frame time is stalled.",
    )
    long_poll_seconds: float = Field(30.0, gt=0, description="When a long-poll answers 204.")
    progress_interval: float = Field(0.25, ge=0.05, description="Least time between two progress updates of a job.")
    slow_client_seconds: float = Field(
        30.0,
        gt=0,
        description="How long a client has for the head of a request; twice as long between pieces of a body.",
    )
    shutdown_seconds: float = Field(5.0, ge=0, description="How long open requests may finish when the service stops.")

    @field_validator("public_address")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else str(parse_address(value))

    @field_validator("peers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """In the environment with commas between them, or as JSON like every other list."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return [one.strip() for one in value.split(",") if one.strip()]

    @field_validator("peers")
    @classmethod
    def _addresses(cls, value: list[str]) -> list[str]:
        for one in value:
            parse_address(one)
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _known_sources(self) -> Settings:
        for name, url in self.engine_mirrors.items():
            if not _SOURCE_NAME.fullmatch(name) or name in ENGINE_SOURCES:
                raise ValueError(f"engine_mirrors: {name!r} cannot name a mirror: letters, digits, dots and dashes")
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"engine_mirrors: {url!r} of {name} is no http:// or https:// address")
        for name in self.engine_sources:
            if name not in ENGINE_SOURCES and name not in self.engine_mirrors:
                known = ", ".join((*ENGINE_SOURCES, *self.engine_mirrors))
                raise ValueError(f"engine_sources: there is no source {name!r}; there is {known}")
        return self

    @field_validator("tls_cert", "tls_key")
    @classmethod
    def _absolute_or_none(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("custom_engines")
    @classmethod
    def _custom_builds(cls, value: dict[str, dict[str, Path]]) -> dict[str, dict[str, Path]]:
        for builds in value.values():
            for name in builds:
                if not is_version(name):
                    raise ValueError(
                        f"{name[:60]!r} cannot be the name of a build: it has 1 to {MAX_VERSION} letters, digits "
                        "and characters . + _ -, and no .. in it, because it could be a part of a path otherwise"
                    )
                if not name[0].isalpha():
                    raise ValueError(
                        f"{name!r} cannot be the name of a build: it begins with a letter, so that nobody "
                        "takes it for a version, such as studio-4.5-patched"
                    )
        return {engine: {name: _whole(path) for name, path in builds.items()} for engine, builds in value.items()}

    @field_validator("engine_addons")
    @classmethod
    def _addons(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        return {engine: [_addon(one) for one in addons] for engine, addons in value.items()}

    @field_validator("engine_startup_scripts")
    @classmethod
    def _scripts(cls, value: dict[str, list[Path]]) -> dict[str, list[Path]]:
        return {engine: [_whole(path) for path in scripts] for engine, scripts in value.items()}

    @property
    def bind_host(self) -> str:
        """The address that the service really listens on."""
        return "0.0.0.0" if self.lan and self.host == "127.0.0.1" else self.host

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags before environment before file."""
        flags = init_settings()
        folder = flags.get("data_dir") or os.environ.get("ZORDON_DATA_DIR") or default_data_dir()
        return init_settings, env_settings, _SettingsFile(settings_cls, Path(folder) / "settings.yaml")


class _SettingsFile(YamlConfigSettingsSource):
    """``settings.yaml``."""

    def _read_file(self, file_path: Path | Traversable) -> dict[str, object]:
        found: dict[str, object] = super()._read_file(file_path)
        if isinstance(found, dict) and (odd := [key for key in found if not isinstance(key, str)]):
            raise ValueError(f"{odd[0]!r} is no name of a setting")
        return found


def _whole(path: Path) -> Path:
    """An absolute path; ``~`` is the user's home.

    Raises:
        ValueError: it depends on where the service was started.
    """
    whole = path.expanduser()
    if not whole.is_absolute():
        raise ValueError(f"{str(path)!r} must be an absolute path")
    return whole


def _addon(text: str) -> str:
    """An add-on: the name of a module as it is, a path made absolute.

    Raises:
        ValueError: it is neither.
    """
    if Path(text).expanduser().is_absolute():
        return str(_whole(Path(text)))
    if not _MODULE.match(text) or text.endswith((".py", ".zip")):
        raise ValueError(
            f"{text[:200]!r} must be the name of a module, such as io_scene_obj, or the absolute path of a .zip, "
            "a .py or a folder"
        )
    return text


def load_settings(**flags: object) -> Settings:
    """Read the settings; ``flags`` of value None count as not given.

    Raises:
        SettingsError: a value is wrong, a name is unknown, or the file cannot be read.
    """
    given: Mapping[str, object] = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # validated right there, by pydantic
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise SettingsError("; ".join(lines)) from error
    except SourceError as error:
        raise SettingsError(f"{error}: lists and mappings are written as JSON there") from error
    except (yaml.YAMLError, OSError, ValueError, TypeError) as error:
        raise SettingsError(f"settings.yaml cannot be read: {error}") from error
    if (settings.tls_cert is None) != (settings.tls_key is None):
        there, absent = ("tls_cert", "tls_key") if settings.tls_key is None else ("tls_key", "tls_cert")
        raise SettingsError(f"{there} is set without {absent}: HTTPS needs both, a certificate and its private key")
    if not settings.lan and settings.host not in ("127.0.0.1", "::1", "localhost"):
        raise SettingsError(
            f"host is {settings.host}, which other machines can reach: say --lan as well if that is what you want"
        )
    return settings
