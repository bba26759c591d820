#!/usr/bin/env bash
# safetensors 0.8.0
#
# One would guess: the same tensors with the same metadata give the same file, so that its SHA-256 names a checkpoint.
#
# What happens: with two or more metadata entries the order of the entries in the header changes from process to process,
# and the bytes and the hash with it; tensors stay in order. Within one process the order can also change from call to
# call. With a single entry (all metadata as one JSON text) the bytes are the same every time.
#
# Why it matters: checkpoints are compared, cached and cited by their hash, and "the same command gives the same bytes" is
# how a resumed training is proved equal to one that was not stopped. Whoever writes model name, classes and version as
# entries of their own gets other hashes for equal models.
#
# Seen (29 November 2026, Python 3.11): several: 6 different files of 6; one: 1 different files of 6
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.3.5
cat > "$place/save.py" <<'PY'
import hashlib
import json
import sys

import numpy as np
from safetensors.numpy import save

entries = {f"entry{number}": str(number) for number in range(8)}
metadata = entries if sys.argv[1] == "several" else {"all": json.dumps(entries)}
written = save({"weights": np.arange(4, dtype=np.float32), "bias": np.zeros(2, dtype=np.float32)}, metadata=metadata)
print(hashlib.sha256(written).hexdigest()[:12])
PY
for kind in several one; do
    for _ in 1 2 3 4 5 6; do "$place/venv/bin/python" "$place/save.py" "$kind"; done > "$place/$kind"
    echo "$kind: $(sort -u "$place/$kind" | wc -l) different files of 6"
done
test "$(sort -u "$place/several" | wc -l)" -gt 1
test "$(sort -u "$place/one" | wc -l)" -eq 1
