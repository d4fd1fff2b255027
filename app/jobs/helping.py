"""What a person can do about a job, each thing in two ways: for a terminal, with its commands, and for the page, which
has a button for it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from client.models import HelpAction, HelpStep
from engines.contract import FailureCause


@dataclass(frozen=True, slots=True)
class Help:
    """One thing that would help."""

    text: str  # a sentence, for whoever reads it on the page
    shell: str = ""  # for a terminal, if it is said otherwise there; {job} stands for the id
    action: HelpAction | None = None  # what the page does about it

    def in_shell(self, job_id: str) -> str:
        """The sentence for a terminal."""
        return (self.shell or self.text).replace("{job}", job_id)

    @property
    def step(self) -> HelpStep:
        """As it is on the wire, for the page."""
        return HelpStep(text=self.text, action=self.action)


_LOOK: Final = Help(
    "Look at the last lines of the log.", "Look at the last lines of the log: zordon logs {job}.", HelpAction.LOG
)

MEANINGS: Final[Mapping[FailureCause, tuple[str, tuple[Help, ...]]]] = {
    FailureCause.CRASH: (
        "The engine crashed.",
        (
            _LOOK,
            Help(
                "If it is always the same frame, open the project there; another version of the engine may do better."
            ),
        ),
    ),
    FailureCause.ERROR: (
        "The engine said that it cannot render it.",
        (Help("Mend what it names in the project, and submit that again.", action=HelpAction.SUBMIT),),
    ),
    FailureCause.MISSING_FRAME: ("The engine said that all was well, but wrote no file.", (_LOOK,)),
    FailureCause.BAD_FRAME: (
        "The engine wrote files that are damaged or have the wrong size.",
        (_LOOK, Help("Check the disk and the memory of the machine.")),
    ),
    FailureCause.MISSING_ASSET: (
        "A file that the project needs is missing; trying again would not bring it.",
        (Help("Pack it into the project, or submit a zip of the project's folder.", action=HelpAction.SUBMIT),),
    ),
    FailureCause.BAD_OPTION: (
        "An option or a setting of the project is one that the engine does not take; trying again would not mend it.",
        (
            Help(
                "Submit it again with another value; the options of the engine are shown there.",
                "Submit it again with another value; zordon engines --full lists the options.",
                HelpAction.SUBMIT,
            ),
        ),
    ),
    FailureCause.OUT_OF_MEMORY: (
        "The machine ran out of memory.",
        (
            Help("Render less at a time (the setting slots), or smaller: textures, samples, resolution."),
            Help(
                "Or use a machine with more memory, and retry then what is missing.",
                "Or use a machine with more memory, and then: zordon retry {job}.",
                HelpAction.NODES,
            ),
        ),
    ),
    FailureCause.DISK: (
        "A file could not be written or read.",
        (Help("Check the disk of the data folder: space, rights, damage (zordon doctor)."),),
    ),
    FailureCause.STALL: (
        "The engine stopped without a word and did nothing more.",
        (_LOOK, Help("If it was at work all the same, give it more time with the setting stall_seconds.")),
    ),
    FailureCause.MACHINE: (
        "The engine could not be started on this machine, or was ended from outside.",
        (
            Help(
                "On the machine itself, the command zordon doctor says what is missing there.",
                "zordon doctor says what is missing on this machine.",
            ),
        ),
    ),
}
"""What a cause means, and what would help against it."""

FETCHED: Final = Help(
    "Nothing: it is fetched by itself, and the job goes on then. How far it is stands with the engines.",
    "Nothing: it is fetched by itself, and the job goes on then. zordon engines shows how far it is.",
    HelpAction.ENGINES,
)
WITHOUT_START: Final = Help(
    "To render it at once, submit it again without a time to start at.", action=HelpAction.SUBMIT
)
MEMORY_AND_TAGS: Final = Help(
    "Which tags and what memory this node has stands with the nodes; its tags can be changed there.",
    "zordon tags shows and sets the tags of this node; zordon status what memory it has.",
    HelpAction.NODES,
)
RESUME: Final = Help(
    "A pause is ended where the nodes are; a schedule says when the node may render (zordon schedule).",
    "zordon resume ends a pause; zordon schedule shows and sets when the node may render.",
    HelpAction.NODES,
)
URGENT: Final = Help(
    "Give what is urgent a higher priority, and cancel what is not needed.",
    "Submit what is urgent with a higher priority; cancel what is not needed.",
    HelpAction.JOBS,
)
MORE_SLOTS: Final = Help("The setting slots lets more render at a time, if the machine has the memory.")
ROOM: Final = (
    Help(
        "Fetch the outputs of old jobs and delete them, or make room otherwise.",
        "Fetch the outputs of old jobs and delete them (zordon get, zordon delete), or make room otherwise.",
        HelpAction.JOBS,
    ),
    Help(
        "Remove fetched engines that are not used.",
        "zordon engines prune removes fetched engines that are not used.",
        HelpAction.ENGINES,
    ),
)
SUBJOBS: Final = Help(
    "Open a subjob to see more of that one.",
    "zordon explain with the id of a subjob says more of that one.",
    HelpAction.DETAILS,
)
LOST: Final = Help(
    "If files were lost or damaged since, a retry renders just these again.",
    "If files were lost or damaged since, zordon retry {job} renders just these again.",
    HelpAction.RETRY,
)
MISSING: Final = Help(
    "A retry renders the frames that are missing.",
    "zordon retry {job} renders the frames that are missing.",
    HelpAction.RETRY,
)
MISSING_IN_SUBJOBS: Final = Help(
    "A retry renders what is missing in its subjobs.",
    "zordon retry {job} renders what is missing in its subjobs.",
    HelpAction.RETRY,
)
WHEN_MENDED: Final = Help(
    "When that is mended: a retry renders the frames that are missing, and no others.",
    "When that is mended: zordon retry {job} renders the frames that are missing, and no others.",
    HelpAction.RETRY,
)
MEND_DISK: Final = Help("Mend the disk of the data folder: zordon doctor says what is wrong with it.")


def install(engine: str, title: str, version: str) -> tuple[Help, ...]:
    """How an engine version comes here that nobody fetches by itself.

    Args:
        version: empty: which one is not known.
    """
    return (
        Help(
            f"Install {title} {version}".rstrip() + " where the engines are, or on the machine yourself.",
            f"zordon engines install {engine} {version or 'VERSION'}, or install it on the machine yourself.",
            HelpAction.ENGINES,
        ),
        Help(
            "What can be fetched is listed there too.",
            f"zordon engines available {engine} lists what can be fetched.",
            HelpAction.ENGINES,
        ),
    )


def slots(engine: str) -> Help:
    """How a node renders with an engine again that its settings give no slot."""
    return Help(f"Set slots of {engine} to 1 or more and start the service again.")
