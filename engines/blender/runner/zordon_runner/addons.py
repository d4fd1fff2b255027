"""Enables the add-ons and runs the start-up scripts that the studio's settings name.

An add-on that is given as a path is copied into a folder of the session first: it may write beside itself, and nothing
of it is left behind. Whatever goes wrong here goes wrong in every attempt, so it ends the session as a wrong option.
"""

from __future__ import annotations

import shutil
import sys
import traceback
import zipfile
from pathlib import Path

import addon_utils

from zordon_runner.events import Fatal

_NOT_COPIED = shutil.ignore_patterns("__pycache__", ".git")


def enable(addons: list[str], scripts: str | None) -> None:
    """Enable add-ons, in this order.

    Args:
        addons: names of modules, or absolute paths of a .py, a .zip or a folder.
        scripts: folder of this session; the copies go below it.

    Raises:
        Fatal: one of them cannot be enabled; the message names it.
    """
    for addon in addons:
        module = addon
        if Path(addon).is_absolute():
            module = _copied(Path(addon), Path(scripts or ".").absolute() / "addons")
        _enable(addon, module)


def run_scripts(scripts: list[str]) -> None:
    """Run scripts one after the other, in the open project.

    Raises:
        Fatal: one of them cannot be read or fails; the message names it.
    """
    for script in scripts:
        try:
            code = compile(Path(script).read_bytes(), script, "exec")
            # A namespace of its own, kept alive by the handlers that the script leaves behind.
            exec(code, {"__name__": "__main__", "__file__": script})
        except SystemExit as error:
            if error.code not in (None, 0):
                raise Fatal(f"the start-up script {script} ended with {error.code!r}", "bad_option") from error
        except Exception as error:
            traceback.print_exc()
            raise Fatal(f"the start-up script {script} failed: {_said(error)}", "bad_option") from error


def _enable(addon: str, module: str) -> None:
    if addon_utils.check(module)[1]:
        return  # comes enabled, as cycles does
    problems: list[BaseException] = []
    try:
        enabled = addon_utils.enable(module, default_set=True, persistent=True, handle_error=problems.append)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it becomes the reason
        problems.append(error)
        enabled = None
    if enabled is not None:
        return
    for problem in problems:
        traceback.print_exception(type(problem), problem, problem.__traceback__)
    reason = _said(problems[0]) if problems else "Blender refuses it, as one that was made for an older Blender"
    raise Fatal(f"the add-on {addon} cannot be enabled: {reason}", "bad_option")


def _copied(path: Path, folder: Path) -> str:
    """Copy an add-on into the folder and have Python look there; the name of its module."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, folder / path.name, ignore=_NOT_COPIED)
            module = path.name
        elif path.suffix == ".zip":
            module = _unpacked(path, folder)
        else:
            shutil.copyfile(path, folder / path.name)
            module = path.stem
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise Fatal(f"the add-on {path} cannot be copied: {_said(error)}", "bad_option") from error
    files = (folder / module / "__init__.py", folder / f"{module}.py")
    if "." in module or not any(file.is_file() for file in files):
        raise Fatal(
            f"the add-on {path} is none: it must be a .py, or a folder with an __init__.py and no dot in its name",
            "bad_option",
        )
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return module


def _unpacked(path: Path, folder: Path) -> str:
    """Unpack a .zip with one add-on: a folder, a .py, or (as extensions are) the content of the folder."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
        if "__init__.py" in names:
            archive.extractall(folder / path.stem, names)
            return path.stem
        modules = {name.split("/")[0] for name in names if name.count("/") == 1 and name.endswith("/__init__.py")}
        modules |= {name[:-3] for name in names if "/" not in name and name.endswith(".py")}
        if len(modules) != 1:
            found = ", ".join(sorted(modules)) or "none"
            raise Fatal(f"the add-on {path} must hold exactly one add-on; it holds {found}", "bad_option")
        archive.extractall(folder, names)
        return modules.pop()


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
