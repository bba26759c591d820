"""What the guide to films says of tables and of rows that are missing, against tables of a film."""

from __future__ import annotations

import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from films import write_film
from guide_blocks import blocks
from guide_scene import moving_face
from support import invoke

from affectkit.guides import FOLDER

GUIDE = FOLDER / "films.md"
EMPTY = range(10, 16)
"""Pictures of the film, ten a second, in which there is no face."""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder of a film of 2 s in which the one face is away for a while."""
    folder = tmp_path_factory.mktemp("films")
    gray = np.full((240, 320, 3), 100, np.uint8)
    write_film(folder / "talk.mp4", 20, fps=10, draw=lambda number: gray if number in EMPTY else moving_face(number))
    done = invoke("infer", folder / "talk.mp4", "--results", folder / "film", "--every", "0.2s")
    assert done.returncode == 0, done.stderr
    return folder / "film"


def test_the_columns_that_it_names_are_in_the_tables(results):
    text = GUIDE.read_text()
    rows, summary = text[text.index("## Rows") : text.index("## A timeline in R")], text[text.index("## The summary") :]
    for table, file in ((rows, "inference_results.csv"), (summary[: summary.index("\n## ")], "videos.csv")):
        named = {
            name
            for line in re.findall(r"^\| (`.+?) \|", table, re.M)
            for name in re.findall(r"`([^`]+)`", line)
        }  # fmt: skip
        there = list(pd.read_csv(results / file).columns)
        assert len(named) >= 4 and named <= set(there), file
    kinds, explained = ({re.sub("^(mean|time) .*", r"\1", name) for name in names} for names in (there, named))
    assert kinds - explained == {"Video Name", "Face"}


def test_every_sampled_frame_has_a_row_and_a_gap_stays_one(results):
    film = pd.read_csv(results / "inference_results.csv")
    empty = film[film["Face"].isna()]
    assert list(film["Time"]) == pytest.approx(np.arange(10) / 5)
    assert list(empty["Time"]) == pytest.approx([1.0, 1.2, 1.4])
    assert empty.dropna(axis=1, how="all").columns.tolist() == ["Video Name", "Frame", "Time"]
    (code,) = (block.text for block in blocks(GUIDE) if block.language == "python")
    matplotlib.use("agg")
    scope = {"film": film}
    exec(code, scope)
    share = scope["share"]
    assert list(share.index[share[1].isna()]) == pytest.approx([1.0, 1.2, 1.4]) and len(share) == 10
    whole, face = pd.read_csv(results / "videos.csv").to_dict("records")
    assert (face["From"], face["To"], face["Seconds Seen"]) == pytest.approx((0.0, 1.8, 1.4))
    assert (whole["To"], whole["Seconds Seen"], whole["Frames Without Face"]) == pytest.approx((2.0, 1.4, 3))
