"""The running programs as text, for terminals and scripts: what `haip-monitor --list` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from haip_sync.observe import ProgramInfo, on_one_line
from monitor_app.model.program_rows import rows_of
from monitor_app.model.text_table import aligned
from monitor_app.model.units import NONE

HOW_TO_BE_SEEN: Final = "start a script with HAIP_SYNC_MONITOR=1 in its environment, or HAIP_SYNC_MONITOR=steer to steer it too"
_HEADINGS: Final = ("NAME", "PID", "SINCE", "CLIENT", "STATE", "WORST CHANNEL", "STEERING", "SOCKET")
_PID: Final = _HEADINGS.index("PID")
_LEFT: Final = frozenset(range(len(_HEADINGS))) - {_PID}


def render_programs(programs: Sequence[ProgramInfo]) -> str:
    """Return one line for each client, with headings; under them why some programs say nothing.

    The socket's path comes last: it is what SSH is told to forward.
    """
    rows = rows_of(programs)
    cells = [tuple(cell or NONE for cell in (*row.cells, on_one_line(str(row.info.path)))) for row in rows]
    silent = [f"{row.program} ({row.pid}): {row.why}" for row in rows if row.why and not row.can_attach]
    return "\n".join([*aligned([_HEADINGS, *cells], to_the_left=_LEFT), *silent]) + "\n"
