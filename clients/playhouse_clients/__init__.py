"""Python clients of playhouse: as a library and as commands.

    from playhouse_clients import Videochat, Chatroom, Packetchat

    with Videochat.connect("127.0.0.1", 10000, "anna") as anna:
        anna.wait_for("bob")
        anna.send("bob", "hello")
        print(anna.wait_message().text)

The commands are ``python3 -m playhouse_clients.videochat``, ``... .chatroom`` and ``... .packetchat``. The last
one needs nothing but Python; the others need the package `cryptography`.
"""

from __future__ import annotations

from typing import Any

# Looked up on first use: `python3 -m playhouse_clients.videochat` runs that module as the program, and
# importing it here beforehand would load it twice.
_WHERE = {
    "Videochat": "videochat",
    "Chatroom": "chatroom",
    "Packetchat": "packetchat",
    "Event": "people",
    "Message": "people",
    "File": "packetchat",
    "User": "packetchat",
    "Frame": "session",
    "Session": "session",
    "Summary": "session",
    "ClientError": "wire",
    "ConnectionLost": "wire",
    "ProtocolError": "wire",
    "ServerError": "wire",
    "WaitTimeout": "wire",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module("." + _WHERE[name], __name__), name)
    raise AttributeError(name)
