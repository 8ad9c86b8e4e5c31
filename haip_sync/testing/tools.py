"""The tools that a server offers, as its user registers them. No state, no thread."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from haip_sync.config import check_function, told
from haip_sync.errors import ConfigError
from haip_sync.testing import wire
from haip_sync.testing.agent import answer_to

if TYPE_CHECKING:
    from haip_sync.testing.invocation import ToolInvocation

ToolFunction = Callable[[Any, "ToolInvocation"], Any]
"""`function(params, call)`: what it returns is the result, what it raises makes it an ERROR. It runs on a thread of the
server's and may wait, but should look at `call.cancelled`."""


@dataclass(frozen=True)
class Tool:
    """A tool that clients may call. Immutable."""

    function: ToolFunction
    description: str = ""
    """What TOOL_LIST says of it."""
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "object"})
    """What TOOL_SCHEMA says of its parameters, as JSON can carry it; nobody checks them."""


def _echo(params: Any, call: ToolInvocation) -> Any:
    """Answers each message with itself."""
    del call
    return params


def _agent(params: Any, call: ToolInvocation) -> str:
    """Says what it heard."""
    del call
    return answer_to(str(params))


DEFAULT_TOOLS: Final[Mapping[str, Tool]] = MappingProxyType(
    {"echo": Tool(_echo, "Answers each message with itself."), "agent": Tool(_agent, "Says what it heard.")}
)
"""What every transaction may be begun with."""


def check_tools(tools: object) -> Mapping[str, Tool] | None:
    """Return the tools that `DevServer` was given, each as a `Tool`; None stays None. Raises `ConfigError`."""
    if tools is None:
        return None
    if not isinstance(tools, Mapping):
        raise ConfigError(f"tools must be a mapping of name to function, not {told(tools)}")
    return MappingProxyType({_check_name(name): _check_tool(name, tool) for name, tool in tools.items()})


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"a tool's name must be a text that is not empty, not {told(name)}")
    return name


def _check_tool(name: object, tool: object) -> Tool:
    if isinstance(tool, Tool):
        try:
            wire.freeze({"description": tool.description, "schema": tool.schema})
        except wire.WireError as error:
            raise ConfigError(f"tool {told(name)}: its description or schema {error}") from error
        check_function(f"tool {told(name)}: its function", tool.function)
        return tool
    if not callable(tool):
        raise ConfigError(f"tool {told(name)} must be a function of (params, call) or a Tool, not {told(tool)}")
    return Tool(tool, (inspect.getdoc(tool) or "").partition("\n")[0])
