"""Statistics of a video: sampled frames, faces, mean predictions, shares of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from affectkit.inference.table_layout import FIRST
from affectkit.inference.video.sampled_frames import TrackedFace
from affectkit.metrics.emotion_norms import DIMENSIONS, EmotionNorms, column_names, mean_column
from affectkit.tasks.base import Task
from affectkit.tasks.decision import ABSTAINED


@dataclass(frozen=True)
class Columns:
    """Name the task's columns.

    Attributes:
        names: all of them.
        shares: numbers of those that are shares of classes; none where the task has no class a column. Of a row with
            shares the label is the class with the largest.
        abstained: number of the column that says that there is no label; None: each row has one.
        norms: by which rows have valence and arousal; None: they have none.
    """

    names: tuple[str, ...]
    shares: tuple[int, ...]
    abstained: int | None = None
    norms: EmotionNorms | None = None

    @classmethod
    def of(cls, task: Task) -> Columns:
        """Return the columns of ``task``."""
        names = task.columns()
        classes = task.spec.classes
        shares = tuple(names.index(name) for name in classes) if set(classes) <= set(names) else ()
        abstained = names.index(ABSTAINED) if names[-1] == ABSTAINED else None
        return cls(tuple(names), shares, abstained, task.decision.norms)

    def label(self, row: Sequence[Any]) -> str | None:
        """Return the class of ``row``; None where there are none, or where it has no label."""
        if self.abstains(row):
            return None
        return self.names[max(self.shares, key=lambda column: row[column])] if self.shares else None

    def of_means(self, means: dict[str, float]) -> dict[str, float]:
        """Return the means of several rows, with valence and arousal of the mean shares: their range and disagreement
        are of all that was seen, where the mean of the rows' would leave out how these differ.
        """
        if self.norms is None or not means:
            return means
        (values,) = self.norms.values([[means[self.names[place]] for place in self.shares]])
        return {**means, **dict(zip(column_names(), values.tolist(), strict=True))}

    def affect(self, means: dict[str, float]) -> dict[str, float]:
        """Return the mean valence and arousal of ``of_means`` by the dimension's name; empty where there are none."""
        found = {name.lower(): mean_column(name) for name in DIMENSIONS}
        return {} if self.norms is None else {name: means[column] for name, column in found.items()}

    def abstains(self, row: Sequence[Any]) -> bool:
        """Return whether the label of ``row`` was held back."""
        return self.abstained is not None and bool(row[self.abstained])


@dataclass
class FaceStatistics:
    """Add up what was seen of one face, or of all together.

    Attributes:
        first, last: seconds at which it was seen.
        frames: sampled frames in which it was seen; of all together each face of a frame counts.
        seconds: how long it was seen.
        sums: of the columns.
        labels: seconds by label.
        abstained: of the frames, those without a label.
    """

    first: float
    last: float = 0.0
    frames: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    labels: dict[str, float] = field(default_factory=dict)
    abstained: int = 0

    def summary(self) -> dict[str, Any]:
        """Return means over frames, and shares of the time, the largest first."""
        total = sum(self.labels.values())
        shares = sorted(self.labels.items(), key=lambda item: -item[1])
        found: dict[str, Any] = {
            "seconds_seen": self.seconds,
            "mean": {name: value / self.frames for name, value in self.sums.items()},
        }
        return found | ({"time": {name: value / total for name, value in shares}} if total else {})


class VideoStatistics:
    """Add up what was seen in a video, frame by frame.

    A sampled frame stands for the time until the next one, the last one for that until the end of the video. Means are
    over all faces of all sampled frames.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.frames = self.without_face = 0
        self.all, self.faces = FaceStatistics(0.0), dict[int, FaceStatistics]()
        self._before: tuple[float, list[TrackedFace]] | None = None

    def add(self, time: float, faces: list[TrackedFace]) -> None:
        """Add the frame at ``time``."""
        self._account(time)
        self._before = (time, faces)
        self.frames += 1
        self.without_face += not faces
        for one in faces:
            own = self.faces.setdefault(one.number, FaceStatistics(time))
            for entry in (own, self.all):
                entry.frames += 1
                entry.last = time
                entry.abstained += self.columns.abstains(one.row)
                for name, value in zip(self.columns.names, one.row, strict=True):
                    if not isinstance(value, str) and name != ABSTAINED:
                        entry.sums[name] = entry.sums.get(name, 0.0) + value

    def summary(self, end: float, *, timed: bool = True) -> dict[str, Any]:
        """Return the summary of the video.

        Args:
            end: its length in seconds.
            timed: whether frames have times; pages have not, and their shares are of frames.
        """
        self._account(end)
        self._before = None
        by_face = [
            {"face": number, "sampled_frames": one.frames, "from": one.first, "to": one.last, **self._of(one)}
            for number, one in sorted(self.faces.items())
        ]
        counts = {"sampled_frames": self.frames, "frames_without_face": self.without_face, "faces": len(by_face)}
        found = {**counts, "seconds": end, **self._of(self.all), "by_face": by_face}
        if timed:
            return found
        by_face = [{**one, "seconds_seen": None, "from": None, "to": None} for one in by_face]
        return {**found, "seconds": None, "seconds_seen": None, "by_face": by_face}

    def _of(self, one: FaceStatistics) -> dict[str, Any]:
        counts = {} if self.columns.abstained is None else {"abstained": one.abstained}
        found = one.summary()
        return {**found, "mean": self.columns.of_means(found["mean"]), **counts}

    def _account(self, until: float) -> None:
        """Assign the time from the last frame to ``until`` to what was seen in it."""
        if self._before is None:
            return
        passed = max(until - self._before[0], 0.0)
        self.all.seconds += passed if self._before[1] else 0.0
        for one in self._before[1]:
            label = self.columns.label(one.row)
            self.faces[one.number].seconds += passed
            for entry in (self.faces[one.number], self.all):
                if label is not None:
                    entry.labels[label] = entry.labels.get(label, 0.0) + passed


def longest(faces: list[dict[str, Any]], most: int = FIRST) -> list[dict[str, Any]]:
    """Return the ones of ``faces`` that were seen the longest, in the order of their numbers."""
    by_length = sorted(faces, key=lambda one: -(one["seconds_seen"] or one["sampled_frames"]))
    return sorted(by_length[:most], key=lambda one: one["face"])
