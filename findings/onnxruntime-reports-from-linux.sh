#!/bin/bash
# onnxruntime 1.32.0, the wheel of the package index, on Linux (telemetry there since 1.29).
#
# One would guess: importing ONNX Runtime and running a model touches no file and no network; telemetry is a matter of its
# Windows builds, and disable_telemetry_events() switches it off.
#
# What happens: the import alone writes an identifier of the device and a database of events, of the process first, below
# ~/.cache/Microsoft/DeveloperTools/.onnxruntime, to be sent to Microsoft's collector. By the time Python code can call
# disable_telemetry_events() both are there. Only ORT_DISABLE_TELEMETRY=1 in the environment before the import keeps the
# folder from being made; setting it afterwards does nothing.
#
# Why it matters: a tool that promises to work offline, or runs on participants' data, phones home as soon as one of its
# dependencies imports onnxruntime (torch.onnx, rembg, insightface and others do); on clusters the home folder fills with
# a database that all jobs share.
#
# Seen:
#   import alone: deviceid, onnxruntime.db kept
#   disable_telemetry_events() right after it: deviceid, onnxruntime.db kept
#   ORT_DISABLE_TELEMETRY=1 before it: nothing kept
set -eu
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT; cd "$here"
python3 -m venv env
env/bin/pip install --quiet onnxruntime==1.32.0 numpy==2.2.6

kept() {  # what python -c "$1" leaves below an empty home; nothing is sent: the proxy leads nowhere
    rm -rf home && mkdir home
    env -i HOME="$here/home" HTTPS_PROXY=http://127.0.0.1:9 HTTP_PROXY=http://127.0.0.1:9 ${2:-} env/bin/python -c "$1"
    found=$(cd home && find . -type f -printf '%f\n' | grep -v -e '-shm$' -e '-wal$' | sort | paste -sd, | sed 's/,/, /g')
    echo "${found:-nothing}"
}
one=$(kept "import onnxruntime")
two=$(kept "import onnxruntime; onnxruntime.disable_telemetry_events()")
three=$(kept "import onnxruntime" ORT_DISABLE_TELEMETRY=1)
echo "import alone: $one kept"
echo "disable_telemetry_events() right after it: $two kept"
echo "ORT_DISABLE_TELEMETRY=1 before it: $three kept"
[ "$one" = "deviceid, onnxruntime.db" ] && [ "$two" = "deviceid, onnxruntime.db" ] && [ "$three" = nothing ]
