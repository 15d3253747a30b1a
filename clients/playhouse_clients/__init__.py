"""Python clients of playhouse: as a library and as commands.

    from playhouse_clients import Videochat, Chatroom, Packetchat, Tumip, LanFile, LanChat, LanAudio, LanVideo

    with Videochat.connect("127.0.0.1", 10000, "anna") as anna:
        anna.wait_for("bob")
        anna.send("bob", "hello")
        print(anna.wait_message().text)

The commands are ``python3 -m playhouse_clients.videochat``, ``... .chatroom`` and so on, like the folder's
executables. Those two need the package `cryptography`. The others need nothing but Python, except that tumip and
lan_video read pictures with OpenCV, and lan_audio plays through whatever is here to play sound.
"""

from __future__ import annotations

from typing import Any

# Looked up on first use: `python3 -m playhouse_clients.videochat` runs that module as the program, and
# importing it here beforehand would load it twice.
_WHERE = {
    "Videochat": "videochat",
    "Chatroom": "chatroom",
    "Packetchat": "packetchat",
    "Tumip": "tumip",
    "LanAudio": "lan_audio",
    "LanChat": "lan_chat",
    "LanFile": "lan_file",
    "LanMessage": "lan_chat",
    "LanVideo": "lan_video",
    "NothingOffered": "lan_file",
    "Received": "lan_file",
    "TransferBroken": "lan_file",
    "BotFailed": "tumip",
    "Rejected": "tumip",
    "Event": "people",
    "Message": "people",
    "File": "packetchat",
    "User": "packetchat",
    "Frame": "frames",
    "Session": "session",
    "Summary": "frames",
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
