"""The complete command line of a session. It can be copied into a terminal, where the events come on stdout.

Blender's arguments are positional: what is said after ``--python`` runs is too late, what is said before the file is
overwritten by it, and of ``-y`` and ``-Y`` the last one wins. All settings therefore go to the runner, behind ``--``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engines.blender.interpreters import interpreter_of
from engines.blender.options import EXTENSIONS, BlenderOptions
from engines.blender.stills import still_in
from engines.blender.versions import engine_id
from engines.contract import Chunk, Command, EngineVersion, Refusal, SessionRequest

RUNNER = Path(__file__).parent / "runner" / "runner.py"
FACTS = Path(__file__).parent / "runner" / "facts.py"
PROOF = Path(__file__).parent / "runner" / "proof.py"

EXIT_EXCEPTION = 70
"""The runner, or a script of the project, ended with a Python exception."""
EXIT_REPORTED = 71
"""The runner gave up and said why in its events."""
EXIT_LISTENER_GONE = 72
"""The runner ended because nobody reads its events any more."""

_CLOSED = ("--background", "--factory-startup")


def session_command(session: SessionRequest) -> Command:
    """The process that renders the chunks it is given.

    Raises:
        Refusal: no Python for this bpy, or raw arguments that would undo what keeps Blender closed.
    """
    if session.project is None:
        raise TypeError("a Blender session needs a project")
    environment = {} if session.threads is None else {"OMP_NUM_THREADS": str(session.threads)}
    if session.addons:
        # Whatever add-ons keep goes there, even where the command line is run by hand.
        environment["BLENDER_USER_SCRIPTS"] = str(_scripts(session))
    return Command((*_start(session), *_runner_arguments(session)), environment)


def assembly_command(session: SessionRequest, chunk: Chunk, parts: Path) -> Command:
    """The process that makes one still image of its parts, from the folder ``parts`` into that of the chunk.

    Raises:
        Refusal: as :func:`session_command`.
    """
    command = session_command(session)
    argv = (*command.argv, "--assemble", str(parts), "--parts", str(len(session.frames)), "--into", str(chunk.folder))
    return replace(command, argv=argv, takes_chunks=False)


def script_command(path: Path, flavour: str, script: Path, python: Path | None = None) -> tuple[str, ...]:
    """The command that runs one of our scripts without a project."""
    if is_module(path, flavour):
        return (str(python or interpreter_of(path)), "-I", "-S", str(script), "--bpy", str(path))
    return (
        str(path),
        *_CLOSED,
        "--disable-autoexec",
        "--python-exit-code",
        str(EXIT_EXCEPTION),
        "--python",
        str(script),
    )


def is_module(path: Path, flavour: str) -> bool:
    """Whether a copy is a folder with the module bpy rather than a program."""
    return flavour == "bpy" or (not flavour and path.is_dir())


def _start(session: SessionRequest) -> tuple[str, ...]:
    version, raw = session.version, session.raw_arguments
    if is_module(version.path, version.flavour):
        if raw:
            raise Refusal("raw_arguments", f"Blender {version.version} is installed as a module and takes none")
        return script_command(version.path, version.flavour, RUNNER)
    if "--" in raw:
        raise Refusal("raw_arguments", "'--' ends Blender's own arguments and cannot be one of them")
    threads = () if session.threads is None else ("--threads", str(session.threads))
    return (
        str(version.path),
        *_CLOSED,
        *raw,
        "--enable-autoexec" if session.autoexec else "--disable-autoexec",
        "--python-exit-code",
        str(EXIT_EXCEPTION),
        *threads,
        # Add-ons come before the project, and the runner enables them: it then opens the project as well.
        *(() if session.addons else (str(session.project),)),
        "--python",
        str(RUNNER),
        "--",
    )


def _runner_arguments(session: SessionRequest) -> list[str]:
    options = options_of(session)
    picture = session.output_format or "PNG"
    arguments = ["--project", str(session.project), f"--name={session.name}"]
    arguments += ["--format", picture, "--extension", EXTENSIONS[picture], "--device", options.device]
    # "=" because a name may begin with a dash.
    for flag, name in (("scene", options.scene), ("camera", options.camera), ("view-layer", options.view_layer)):
        if name is not None:
            arguments.append(f"--{flag}={name}")
    if options.render_engine is not None:
        arguments += ["--engine", engine_id(options.render_engine, session.version.number)]
    if options.samples is not None:
        arguments += ["--samples", str(options.samples)]
    if options.denoise is not None:
        arguments += ["--denoise", _switch(options.denoise)]
    if options.resolution_percentage is not None:
        arguments += ["--resolution-percentage", str(options.resolution_percentage)]
    if options.persistent_data is not None:
        arguments += ["--persistent-data", _switch(options.persistent_data)]
    if session.threads is not None:
        arguments += ["--threads", str(session.threads)]
    if (still := still_in(session.details)) is not None:
        arguments += ["--still", str(still)]
    if session.autoexec:
        arguments += ["--autoexec", "on"]
    if session.addons:
        arguments += ["--scripts", str(_scripts(session)), *(f"--addon={addon}" for addon in session.addons)]
    arguments += [f"--startup-script={script}" for script in session.startup_scripts]
    return arguments


def _scripts(session: SessionRequest) -> Path:
    """The folder that takes the place of the user's own scripts; the runner makes it."""
    return session.folder / "scripts"


def options_of(session: SessionRequest) -> BlenderOptions:
    """The session's options, which are this engine's own.

    Raises:
        TypeError: they are another engine's.
    """
    if not isinstance(session.options, BlenderOptions):
        raise TypeError(f"a Blender session has BlenderOptions, not {type(session.options).__name__}")
    return session.options


def _switch(on: bool) -> str:
    return "on" if on else "off"


def help_command(version: EngineVersion) -> tuple[str, ...]:
    """The command that prints Blender's own help; the module has none."""
    return () if is_module(version.path, version.flavour) else (str(version.path), "--background", "--help")
