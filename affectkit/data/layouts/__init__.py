"""Find out how a dataset lies on the disk, and read its tables: classes, distributions, ratings, prepared clips.

The result is a ``data.split.Split``; no image is decoded here, and nothing is written but caches.

``LAYOUTS`` names the layouts in the order in which a folder is tried for them; importing it loads nothing heavy.
"""

from __future__ import annotations

from affectkit.core.registry import Registry

LAYOUTS = Registry("layout")
"""Each is a function of a ``discovery.Search`` that returns a ``discovery.Source``, or None where the folder is of
another layout. The summary says what is searched for; it is empty where an option alone leads there."""
for _name, _target, _summary in (
    ("prepared clips", "find_clips", "manifest.json and store/, as of affectkit prep cremad"),
    ("labels", "find_labelled", ""),
    ("OASIS or IAPS", "find_stimuli", "OASIS.csv or AllSubjects_1-20.txt, and the pictures that it names"),
    ("tables", "find_tables", "train.csv, valid.csv or test.csv, or one CSV file, with a 'filename' column"),
    ("RAF-DB", "find_rafdb", "EmoLabel/list_patition_label.txt and Image/aligned, or DATASET's train/1 to train/7"),
    ("AffectNet", "find_affectnet", "train_set/ and val_set/ with images/ and annotations/*_exp.npy"),
    ("AffectNetFused", "find_affectnet_fused", "the same with annotations/*_prob_rank.txt"),
    ("AFEW-VA or EMOTIC", "refuse_unprepared", ""),
    (
        "Tiny-ImageNet",
        "find_tiny_imagenet",
        "train/<class>/images/*.JPEG, val/images/*.JPEG with val/val_annotations.txt",
    ),
    (
        "class folders",
        "find_class_folders",
        "train/<class>/*.jpg, valid/<class>/*.jpg, test/<class>/*.jpg, or <class>/*.jpg (two or more)",
    ),
):
    LAYOUTS.add(_name, f"affectkit.data.layouts.discovery:{_target}", _summary)
