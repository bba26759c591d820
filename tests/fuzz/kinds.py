"""The kinds of input, each with what makes it, the commands that read it, and what these may change."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

from fuzz import corpus
from fuzz.cases import Kind
from fuzz.mutators import NUMBERS, OTHERS, TEXTS

INFER = "--workers 0 --batch-size 4 --results out"
OUT = ("out/*", "out", "cache/*", "cache", ".out.lock", "*.lock")


@contextlib.contextmanager
def server() -> Iterator[None]:
    """Zenodo's interface on this machine, which answers with what lies in the case."""
    from web import serving

    from affectkit.download import transfer

    transfer.PAUSE = 0
    with serving() as web:
        there = [path for path in map(Path, ("record.json", "other.json")) if os.path.lexists(path)]
        record = max(there, key=lambda path: path.lstat().st_mtime_ns)  # the one that was changed
        web.record = record.read_bytes().replace(b"{url}", web.url.encode()) if record.is_file() else b""
        web.files = {path.name: path.read_bytes() for path in Path("files").iterdir()}
        os.environ |= {"AFFECTKIT_ZENODO": web.url, "NO_PROXY": "127.0.0.1"}
        yield


TRIED = {
    "quantiles": "quantiles p.csv",
    "infer": f"infer images --checkpoint run.safetensors {INFER}",
    "datasplit": "datasplit faces --dry-run --workers 1",
    "train": "train --data votes --output new --print-config",
    "test": "test --checkpoint run.safetensors --data votes --workers 0",
    "media-info": "media-info a.mp4",
    "corruptions": "corruptions",
    "models": "models resnet1*",
    "cache": "cache",
    "eval-corruptions": "eval-corruptions --checkpoint run.safetensors --data votes --corruptions contrast "
    "--severities 1 --workers 0",
    "convert": "convert run.safetensors out.safetensors --half",
    "doctor": "doctor",
    "download": "download zenodo:x",
}  # fmt: skip
"""Commands whose options are drawn, without those that a machine or much work stand behind."""
LEFT_OUT = {
    "slurm",
    "track",
    "camera",
    "device",
    "help",
    "config",
    "debug",
    "workers",
    "repeat",
    "compile",
    "clip_weights",
}


def draw_options(rng: random.Random) -> list[str]:
    """A command and one to three of its options, with extreme values; options that name a file to write left out."""
    import typer

    from affectkit.cli.app import app

    name = rng.choice(sorted(TRIED))
    words, command = TRIED[name].split(), typer.main.get_command(app).commands[name]
    options = [one for one in command.params if one.param_type_name == "option" and one.name not in LEFT_OUT]
    options = [one for one in options if "Path" not in type(one.type).__name__]
    for one in rng.sample(options, min(len(options), rng.choice([1, 1, 2, 3]))):
        words.append(max(one.opts, key=len))
        if not getattr(one, "is_flag", False):
            new = rng.choice(rng.choice([NUMBERS, TEXTS, OTHERS]))
            words.append(str(new)[:3000].replace("\0", "").encode("utf-8", "replace").decode())
    return words


KINDS = (
    Kind(
        "images", corpus.make_images,
        (f"infer images --checkpoint run.safetensors {INFER}",
         f"infer images --checkpoint run.safetensors {INFER} --faces none --all-frames",
         "media-info images", f"infer images --checkpoint run.safetensors {INFER} --annotate out/drawn"),
        {"images/*": "bytes"}, 14, OUT,
    ),
    Kind(
        "image folders", corpus.make_faces,
        ("datasplit jpegs --output-path out --balance --workers 1 --on-error skip",
         "datasplit faces --output-path out --workers 1", "datasplit faces --dry-run --workers 1"),
        {"*.png": "bytes", "*.jpg": "bytes"}, 8, OUT,
    ),
    Kind(
        "videos and sound", corpus.make_videos,
        ("media-info videos", "media-info videos --decode",
         f"infer videos --checkpoint run.safetensors {INFER} --faces none --every 2"),
        {"videos/*": "bytes"}, 10, OUT,
    ),
    Kind(
        "checkpoints", corpus.make_checkpoints,
        ("models --checkpoint run.safetensors", "models --checkpoint vca.safetensors",
         "models --checkpoint av.safetensors", "models --checkpoint classes.safetensors",
         *(f"infer face.png --checkpoint {name}.safetensors {INFER}" for name in ("run", "vca", "classes")),
         "convert run.safetensors out/half.safetensors --half"),
        {"*.safetensors": "tensors"}, 16, OUT,
    ),
    Kind(
        "published files", corpus.make_published,
        ("convert p.pth out.safetensors --clip-weights keep", "convert q.pth out.safetensors --clip-weights keep",
         "models --checkpoint p.pth", f"infer face.png --checkpoint p.pth {INFER}"),
        {"p.pth": "zip", "q.pth": "bytes"}, 10, (*OUT, "out.safetensors"),
    ),
    Kind(
        "onnx files", corpus.make_onnx,
        (f"infer face.png --checkpoint graph.onnx --faces none {INFER}",), {"graph.onnx": "bytes"}, 5, OUT,
    ),
    Kind(
        "run folders", corpus.make_run,
        ("train --resume run", "models --checkpoint run", f"infer face.png --checkpoint run {INFER}",
         "test --checkpoint run --data votes --workers 0"),
        {"run/*.json": "json", "run/*.jsonl": "lines", "run/*.yaml": "yaml", "run/*.csv": "table",
         "run/*.safetensors": "tensors", "run/*.pt": "zip"}, 12, (*OUT, "run/*", "run"),
    ),
    Kind(
        "configurations", corpus.make_configs,
        ("train --config train.yaml --output new --print-config", "train --config train.yaml --output out",
         f"infer votes/images --config infer.yaml {INFER}", "datasplit faces --config split.yaml"),
        {"*.yaml": "yaml"}, 14, (*OUT, "new", "new/*"), ("faces/*",),
    ),
    Kind(
        "label tables", corpus.make_tables,
        ("test --checkpoint run.safetensors --data votes --workers 0",
         "test --checkpoint vca.safetensors --data data/images --labels data/ratings.csv --workers 0",
         "train --data data/images --labels labels.csv --output out --model test_resnet --no-pretrained --epochs 1 "
         "--workers 0 --image-size 24",
         f"infer data/images --checkpoint vca.safetensors --labels data/ratings.csv {INFER}"),
        {"votes/*.csv": "table", "data/*.csv": "table", "labels.csv": "table"}, 12, OUT,
    ),
    Kind(
        "quantiles", corpus.make_quantiles, ("quantiles p.csv q.csv", "quantiles p.csv --bins 4 --results out"),
        {"*.csv": "table"}, 8, OUT,
    ),
    Kind(
        "compared results", corpus.make_compared,
        ("compare classification/a classification/b --draws 100 --metrics all --results out",
         "compare classification/a classification/older --draws 100", "compare ratings/a ratings/b --draws 100"),
        {"*/b/outputs.safetensors": "tensors", "*/b/results.json": "json", "*/older/*.csv": "table",
         "*/older/results.json": "json"}, 10, OUT,
    ),
    Kind(
        "path lists", corpus.make_list, (f"infer - --checkpoint run.safetensors {INFER}", "media-info -"),
        {"list.txt": "names"}, 6, OUT, stdin="list.txt",
    ),
    Kind(
        "split journals", corpus.make_split,
        ("datasplit faces --undo", "datasplit out --undo", "datasplit killed --undo", "datasplit killed --workers 1",
         "datasplit faces --undo --force", "datasplit out --undo --force", "datasplit faces --balance --workers 1",
         "datasplit jpegs --output-path out --workers 1", "datasplit killed --undo --force --dry-run"),
        {"*journal.jsonl": "lines", "*.json": "json", "out/*.csv": "table"}, 14,
        (*OUT, "*/.affectkit*", "faces", "killed", "faces/t*.csv", "killed/t*.csv", "*-aug*", "*/manifest.json"),
        ("faces/*", "killed/*"),
    ),
    Kind(
        "relabel journals", corpus.make_relabelled,
        ("relabel faces --undo", "relabel killed --undo", "relabel faces --undo --force",
         "relabel killed --labels-csv labels.csv", "relabel jpegs --labels-csv more.csv",
         "relabel jpegs --labels-csv more.csv --output-path out"),
        {"*journal.jsonl": "lines", "*.csv": "table"}, 10, (*OUT, "*/.affectkit*"), ("faces/*", "killed/*", "jpegs/*"),
    ),
    Kind(
        "shards of prep", corpus.make_prep_shards,
        ("merge parts", "merge parts --remove-shards", "merge parts --force"),
        {"*.json": "json", "*.jsonl": "lines", "*.csv": "table", "*.yaml": "yaml"}, 10,
        (*OUT, "parts/*.csv", "parts/*.json", "parts/*shard-*"), ("parts/*",),
    ),
    Kind(
        "shards of infer", corpus.make_shards,
        ("merge results", "merge results --remove-shards", "merge results --force"),
        {"results/*.json": "json", "results/*.jsonl": "lines", "results/*.csv": "table"}, 10, (*OUT, "results/*"),
    ),
    Kind(
        "growing tables", corpus.make_growing,
        tuple(f"infer {what} --checkpoint run.safetensors --workers 0 --resume --results {name}" for what, name in
              (("images", "cut"), ("images", "results"), ("video/a.mp4 --every 2 --faces none", "seen"))),
        {"cut/*.json": "json", "cut/*.jsonl": "lines", "cut/*": "table", "results/*.json": "json",
         "results/*.csv": "table", "results/*.jsonl": "lines", "seen/*.json*": "lines", "seen/*.csv": "table"},
        14, (*OUT, "cut/*", "results/*", "seen/*"),
    ),
    Kind(
        "feature stores", corpus.make_features,
        (f"train {corpus.VCA} --output out", "cache", "cache --clear"),
        {"cache/*.npy": "bytes", "cache/*.json": "json"}, 5, OUT,
    ),
    Kind(
        "clip stores", corpus.make_clips,
        ("test --checkpoint av.safetensors --data clips --workers 0",
         "reconstruct --checkpoint av.safetensors --data clips --results out --workers 0",
         f"train --data clips --output out --workers 0 {corpus.AV}"),
        {"clips/*.npy": "bytes", "clips/*.json": "json", "clips/*.csv": "table", "clips/*.jsonl": "lines",
         "clips/*.safetensors": "tensors"}, 9, OUT,
    ),
    Kind(
        "clip data sets", corpus.make_cremad_source,
        ("prep cremad CREMA-D --output out --size 16 --workers 1 --on-error skip",),
        {"*.csv": "table", "*.flv": "bytes"}, 5, OUT,
    ),
    Kind(
        "shared features", corpus.make_features_source,
        ("prep av-features source --output out --workers 1",
         "prep av-features source --output out --workers 1 --on-error skip"),
        {"*.csv": "table", "*.npz": "zip", "*.safetensors": "tensors"}, 6, OUT,
    ),
    Kind(
        "image data sets", corpus.make_sources,
        ("prep ferplus ferplus --output out", "prep ferplus pixels --output out",
         "prep affectnet-fused affectnet --output out"),
        {"*.csv": "table", "*.txt": "names", "*.png": "bytes"}, 8, OUT,
    ),
    Kind(
        "sweeps", corpus.make_sweep,
        tuple(f"eval-corruptions --checkpoint run.safetensors --data votes --corruptions contrast --severities 1,2 "
              f"--workers 0 --results {name}" for name in ("sweep", "out --baseline baseline.csv")),
        {"sweep/*.json": "json", "baseline.csv": "table"}, 8, (*OUT, "sweep/*"),
    ),
    Kind(
        "pipelines", corpus.make_pipeline,
        ("pipeline show mine.yaml",
         "datasplit faces --output-path out --balance --workers 1 --pipeline-yaml mine.yaml"),
        {"mine.yaml": "yaml"}, 8, OUT,
    ),
    Kind(
        "download records", corpus.make_record,
        ("download zenodo:7", "download zenodo:7 --list", "download zenodo:7 --output out --force"),
        {"record.json": "json", "other.json": "json"}, 8, (*OUT, "zenodo-7/*", "zenodo-7"), around=server,
    ),
    Kind("options", corpus.make_everything, ("quantiles p.csv",), {}, 20, (*OUT, "out.safetensors", "new/*", "new"),
         arguments=draw_options),
)  # fmt: skip
