"""The commands of services with videos: list them, watch one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, List, Optional, Tuple

from .console import Console
from .frames import Frame
from .terminal import Input, Terminal
from .viewing import FrameFolder, Report, Window, by_video
from .wire import ClientError


class VideoConsole(Console):
    purpose = "Talk and watch videos"
    more_help = """\
  /videos               what there is to watch
  /watch 2              watch number 2 of that list (or its name)"""
    hint = "/videos, /watch"

    def __init__(self, service: str, options: Any, terminal: Terminal, typed: Input) -> None:
        super().__init__(service, options, terminal, typed)
        self._names: List[Tuple[str, str, List[str]]] = []
        self._window: Optional[Window] = None if options.headless else Window(f"playhouse {service}")
        self._folder = FrameFolder(Path(options.save)) if options.save else None
        self._commands.update({"/videos": self._videos, "/watch": self._watch})

    @classmethod
    def add_options(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--save", metavar="DIR", help="write the frames of videos there: frame_00001.jpg ...")
        parser.add_argument("--headless", action="store_true", help="show no window")

    def _videos(self, _: str) -> None:
        self._not_while_busy()
        self._names = by_video(self.session.videos(self.options.timeout))
        width = max((len(video) for video, _, _ in self._names), default=0)
        for number, (video, _, qualities) in enumerate(self._names, 1):
            self.terminal.say(f"{number:3}  {video:{width}}  {' '.join(qualities)}".rstrip())
        if not self._names:
            self.terminal.say("There are no videos.")
        self.terminal.tell(
            "videos",
            videos=[
                {"number": number, "video": video, "choice": choice, "qualities": qualities}
                for number, (video, choice, qualities) in enumerate(self._names, 1)
            ],
        )

    def _watch(self, wanted: str) -> None:
        self._not_while_busy()
        if not wanted:
            raise ClientError("write /watch and a number or a name (/videos lists them)")
        if not self._names:
            self._names = by_video(self.session.videos(self.options.timeout))
        video, choice = self._find(wanted)
        self.terminal.tell("watching", video=video, choice=choice)
        report = Report(self.terminal, "video", video)
        if self.typed.interactive and self._window is not None and self._window.why_not:
            self.terminal.say(f"No window: {self._window.why_not}.")

        def on_frame(frame: Frame) -> None:
            if self._folder is not None:
                self._folder.add(frame)
            if self._window is not None:
                self._window.show(frame)
            report.add(frame)
            if self.typed.interactive:  # a script goes on when the video is over
                self._obey_meanwhile()

        self._busy = video
        try:
            summary = self.session.watch(choice, on_frame, self.options.timeout)
        finally:
            self._busy = ""
            self.terminal.status("")
            if self._window is not None:
                self._window.close()
        report.finish("watched", summary)

    def _find(self, wanted: str) -> Tuple[str, str]:
        """(video, the name to ask for) of a number, a video or a file; the server judges anything else."""
        if wanted.isdigit() and 0 < int(wanted) <= len(self._names):
            video, choice, _ = self._names[int(wanted) - 1]
            return video, choice
        for video, choice, _ in self._names:
            if wanted == video:
                return video, choice
        return wanted, wanted
