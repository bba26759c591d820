"""Print the matrix of videos: ``python tests/video_matrix.py [CONDITION...]``."""

import sys
import tempfile
from pathlib import Path

from video_conditions import CONDITIONS
from video_judge import judge, table
from video_zoo import KINDS, Zoo


def main() -> None:
    """Make and judge the cells of all containers and the conditions asked for, or all."""
    with tempfile.TemporaryDirectory() as folder:
        zoo = Zoo(Path(folder), CONDITIONS)
        chosen = sys.argv[1:] or list(CONDITIONS)
        print(table({(kind, one): judge(zoo.cell(kind, one)) for one in chosen for kind in KINDS}))


if __name__ == "__main__":
    main()
