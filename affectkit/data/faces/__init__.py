"""Detect faces in images, crop them, and follow them through a video as face tracks.

The network that recognises faces is in ``models``; what is drawn around a face is in ``reports``.

``DETECTORS`` names the detectors; importing it loads nothing heavy. A detector of one's own is one file::

    # retina.py
    class Retina:
        def __init__(self, file):                # of --faces retina:FILE, a Path; None without one
            self.network = load(file)

        def __call__(self, picture):             # uint8 (H, W, 3), RGB, upright; a copy of one's own
            return [
                ((face.left, face.top, face.width, face.height), face.score, face.landmarks)
                for face in self.network(picture)
            ]

``--faces retina`` finds it once a package is installed whose ``pyproject.toml`` has ::

    [project.entry-points."affectkit.face_detectors"]
    retina = "retina:Retina"

A script may register it with ``DETECTORS.add("retina", "retina:Retina", "RetinaFace of our laboratory")`` instead; this
holds in that process and those forked from it. Neither a checkpoint nor a table ever names code. See ``DetectorEntry``.
"""

from __future__ import annotations

from dataclasses import dataclass

from affectkit.core.entry_points import entry_points
from affectkit.core.registry import Entry, Registry

TRACK_GAP = 5.0
"""Seconds for which a face may be out of sight and keep its number, unless set otherwise."""
SEARCH_SIDE = 720
"""Pixels of the longer side at which a frame of a video is searched, at most, unless set otherwise."""
SEARCH_SIDES = (100, 1600)
"""Least and most of these; at the most, frames are searched as photographs are."""
LANDMARKS = ("right eye", "left eye", "nose", "right corner of the mouth", "left corner of the mouth")
"""Landmarks of a face in the order of detectors: right is the person's right, left in the picture."""
ENTRY_POINTS = "affectkit.face_detectors"
"""The group of entry points under which installed packages offer detectors."""
RESERVED = ("auto", "none")
"""What ``--faces`` takes beside names of detectors."""


@dataclass(frozen=True)
class DetectorEntry(Entry):
    """A face detector: called with its file (a ``Path``; None without one), it returns a function of a picture.

    The picture is uint8 (H, W, 3) RGB, upright; of a model of gray pictures its three channels are alike. (Detectors of
    affectkit get (H, W, 1) then.) The function returns a list of faces, each ``(box, score, landmarks)``:

    - box: left, top, width and height in pixels, (0, 0) being the picture's upper left corner; width and height above
      0. It may reach beyond the picture; a face whose centre lies outside is left out.
    - score: a finite number, higher is surer.
    - landmarks: ``LANDMARKS`` as five points (x, y), the first two alone, or none: ``()``.

    What else it returns is refused with a message that names the detector, and so is an exception that it raises.

    Attributes of the function that are read, each optional:

    - ``takes_sides``: between searched frames of a video it is given square regions about the faces of these. Where
      this is true it is then called with ``sides=(least, most)`` too, pixels of the sides of boxes in question; of
      others boxes of other sizes are left out afterwards.
    - ``takes_turns``: where this is true it is also called with ``turns``, degrees by which heads are turned clockwise:
      for a searched frame of a video those of tilted heads that are to be looked for beside upright ones, both ways
      ``(45.0, -45.0)``, or one, where the other is looked for in the next searched frame; for a region that of the face
      in the neighbouring frame, as ``(-12.5,)``, to be looked for first.
    - ``min_score``: where it exists, a lower ``--min-score`` is assigned to it before the first picture, so that a
      detector with a threshold of its own may find weaker faces; what is weaker than a higher one is left out, and
      counted, afterwards.

    Each worker makes a detector of its own, so that none is called by two threads.

    Attributes:
        file: ending of the file that it takes; empty where it takes none, ``*`` where any.
        file_optional: whether it goes without a file, too.
        score: what the score means, to be read after "score".
        bounds: least and greatest score; None where there are none.
        package: name and version of the package that brought it; empty of those that affectkit brings.
    """

    file: str = ""
    file_optional: bool = False
    score: str = "higher is surer"
    bounds: tuple[float, float] | None = None
    package: str = ""

    @property
    def is_own(self) -> bool:
        """Return whether it is one of affectkit's."""
        return self.target.startswith("affectkit.")


DETECTORS = Registry("face detector", entry=DetectorEntry)
DETECTORS.add(
    "haar",
    "affectkit.data.faces.haar:HaarDetector",
    "OpenCV's cascade",
    score="the weight of its last stage, no bounds",
)
DETECTORS.add(
    "yunet",
    "affectkit.data.faces.yunet:YuNetDetector",
    "YuNet, also of tilted faces",
    file=".onnx",
    file_optional=True,
    score="in [0, 1]",
    bounds=(0.0, 1.0),
)


def add_installed(registry: Registry) -> list[str]:
    """Add the detectors that installed packages offer to ``registry``; nothing of theirs is imported.

    Returns:
        What was left out and why, a sentence each: a name that is taken, or is none.
    """
    faults = []
    for found in entry_points(ENTRY_POINTS):
        plain = found.name.replace("-", "").replace("_", "").replace(".", "")
        if not (plain.isascii() and plain.isalnum()) or found.target.count(":") != 1:
            why = "a name has letters, digits, '-', '_' and '.', and stands for package.module:factory"
        elif found.name in registry or found.name in RESERVED:
            taken = registry[found.name].package if found.name in registry else ""
            why = f"that name is {f'of {taken}' if taken else 'one of affectkit'}"
        else:
            facts = {"file": "*", "file_optional": True, "package": found.package}
            registry.add(found.name, found.target, f"of the package {found.package}", **facts)
            continue
        faults.append(f"the face detector {found.name!r} of the package {found.package} is left out: {why}.")
    return faults


LEFT_OUT = tuple(add_installed(DETECTORS))
"""Detectors of installed packages that cannot be used, a sentence each."""


def detector_forms() -> list[str]:
    """List what ``--faces`` may name beside ``auto`` and ``none``: ``haar``, ``yunet[:FILE.onnx]``."""
    return [name + _file_form(entry) for name, entry in DETECTORS.items()]


def installed_names() -> str:
    """Return the detectors of installed packages for a list that goes on: ``, retina (of the package retina 1.0)``."""
    return "".join(f", {name} ({entry.summary})" for name, entry in DETECTORS.items() if entry.package)


def score_meanings() -> str:
    """Describe the scores of affectkit's own detectors: ``yunet: in [0, 1]; haar: ...``."""
    return "; ".join(f"{name}: {entry.score}" for name, entry in DETECTORS.items() if entry.is_own)


def _file_form(entry: DetectorEntry) -> str:
    form = f":FILE{entry.file.strip('*')}" if entry.file else ""
    return f"[{form}]" if entry.file_optional else form
