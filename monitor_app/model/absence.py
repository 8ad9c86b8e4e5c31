"""Why nothing is heard of a program: it was left, has stopped answering, cannot be reached, or has closed its client."""

from __future__ import annotations

from typing import Final

from haip_sync.observe import ProgramLink, on_one_line
from monitor_app.model.remedies import ATTACH, ATTACH_AGAIN
from monitor_app.model.source import Failure

DETACHED: Final = "Detached"
_COMES_BACK: Final = "It is shown again as soon as it answers."
_RUN_AGAIN: Final = "Attach to it anew once it is there again."
_OTHERS: Final = "Others of its clients may be there to attach to."


def absence_of(link: ProgramLink, client: str, *, is_detached: bool, is_withdrawn: bool) -> Failure | None:
    """Return why nothing is heard of the client; None while something is."""
    if is_detached:
        text = "The script was left as it was. File, Attach again (Ctrl+Shift+O) looks at it again."
        return Failure(title=DETACHED, text=text, is_ours=True, offer=ATTACH_AGAIN)
    trouble = link.trouble
    if trouble is not None:
        text, advice = on_one_line(sentence(trouble, link.program.name)), _RUN_AGAIN if link.has_ended else _COMES_BACK
        return Failure(title=_title_of(link), text=text, advice=advice, offer=ATTACH)
    if is_withdrawn:
        text = f"{link.program.name} has no client {client} any more."
        return Failure(title="The script has closed this client", text=on_one_line(text), advice=_OTHERS, offer=ATTACH)
    return None


def refusal_of(absence: Failure) -> str:
    """Return the sentence for what cannot be steered meanwhile."""
    return "We have detached from the script." if absence.title == DETACHED else f"{absence.title}."


def _title_of(link: ProgramLink) -> str:
    if not link.has_ended:
        return "The script has stopped answering"
    return "The script cannot be reached any more" if link.is_forwarded else "The script is not there any more"


def told_of(absence: Failure | None, before: str, name: str) -> str:
    """Return what to write down of an absence that begins, or of the end of the one with the title `before`."""
    if absence is None:
        return f"Attached to {name} again." if before == DETACHED else f"{name} answers again."
    return f"Detached from {name}, which was left as it was." if absence.title == DETACHED else absence.text


def sentence(text: str, name: str = "") -> str:
    """Return a text of the program's or the link's as a sentence; one that begins with the name of the program keeps it."""
    capital = text if name and text.startswith(name) else text[:1].upper() + text[1:]
    return capital if capital.endswith((".", "!", "?")) else f"{capital}."
