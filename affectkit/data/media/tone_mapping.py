"""Tone mapping: HDR pictures, and those of wide gamut, as an SDR display shows them."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from struct import unpack
from typing import Any

import av
import cv2
import numpy as np

from affectkit.core.process import count_processors

SDR_WHITE = 203.0
"""Luminance of diffuse white of HDR, and peak of the SDR display, in cd/m2 (ITU-R BT.2408)."""
USUAL_PEAK = 1000.0
"""Peak luminance of HDR that states none, in cd/m2; that of the display which BT.2100 has in mind for HLG."""
PQ, HLG = 16, 18
"""Transfers by their code point of ITU-T H.273, as FFmpeg numbers them."""
HDR = {PQ: "PQ", HLG: "HLG"}
DEPTH = 65
"""Places of the look-up table along each axis: 99 in 100 pixels of little saturation are within 2.5 levels of 255 of
the formulas, on average within 0.15; what is clipped to BT.709 may be 20 levels off where a channel reaches its end."""
LARGE = 1920 * 1088
"""Pixels up to which one thread is used."""
MOST_THREADS = 4

PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""Chromaticities (x, y) of red, green and blue: BT.709, BT.2020 and P3 (D65), by their code point of H.273."""
WIDE = {9: "BT.2020", 12: "Display P3"}
D65 = (0.3127, 0.3290)
HLG_LUMA = (0.2627, 0.6780, 0.0593)

PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
PQ_C1, PQ_C2, PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
SDR_GAMMA = 2.4


class ToneMapper:
    """Mapping of pictures of one transfer, peak and gamut to SDR BT.709; made once, its table and filters kept.

    Light is what the reference display shows (``display_light``), its brightest channel is brought to the range of SDR
    (``compress_range``) and the others by the same factor, the gamut is BT.709 (what lies outside is clipped), and the
    result is coded by the inverse of BT.1886. The table is applied by FFmpeg's ``lut3d``, tetrahedrally.

    Args:
        transfer: code point of the transfer; of others than PQ and HLG the gamut alone is converted.
        peak: luminance in cd/m2 that is brought to SDR's white.
        primaries: code point of the primaries; those that are not in ``PRIMARIES`` are taken as BT.2020 for HDR.
    """

    def __init__(self, transfer: int, peak: float, primaries: int) -> None:
        self._table = table_text(transfer, peak, primaries)
        self._size: tuple[int, int] | None = None
        self._graph: Any = None

    def __call__(self, frame: Any) -> np.ndarray:
        """Return the pixels of a frame of gbrp16le, full range, mapped: uint8 (H, W, 3), RGB."""
        if self._size != (frame.width, frame.height):
            self._graph, self._size = self._built(frame), (frame.width, frame.height)
        self._graph.push(frame)
        green, blue, red = (_eight_bits(plane) for plane in self._graph.pull().planes)
        return cv2.merge([red, green, blue])

    def _built(self, frame: Any) -> Any:
        graph = av.filter.Graph()
        graph.threads = thread_count(frame)
        shape = f"{frame.width}x{frame.height}"
        color = {"colorspace": str(int(frame.colorspace)), "range": str(int(frame.color_range))}
        source = graph.add("buffer", video_size=shape, pix_fmt=frame.format.name, time_base="1/1000", **color)
        with tempfile.TemporaryDirectory(prefix="affectkit-") as folder:  # read when the filter is made
            path = Path(folder) / "table.cube"
            path.write_text(self._table)
            table = graph.add("lut3d", file=str(path), interp="tetrahedral")
        graph.link_nodes(source, table, graph.add("buffersink")).configure()
        return graph


def _eight_bits(plane: Any) -> np.ndarray:
    """Return uint8 (H, W) of a plane of 16 bits; faster than swscale by half."""
    levels = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width]
    return cv2.convertScaleAbs(levels, alpha=255 / 65535)


def thread_count(frame: Any) -> int:
    """Return how many threads work on a frame: one, but for large ones."""
    return min(MOST_THREADS, count_processors()) if frame.width * frame.height > LARGE else 1


def peak_luminance(frame: Any) -> float:
    """Return the peak luminance of an HDR frame in cd/m2: MaxCLL, else that of the mastering display, else 1000.

    HLG is relative to its display, so always 1000. What is out of the range of PQ is not believed.
    """
    if int(frame.color_trc) != PQ:
        return USUAL_PEAK
    found = []
    if (light := frame.side_data.get("CONTENT_LIGHT_LEVEL")) is not None:
        found.append(float(unpack("<I", bytes(light)[:4])[0]))
    if (display := frame.side_data.get("MASTERING_DISPLAY_METADATA")) is not None:
        # AVMasteringDisplayMetadata: 8 fractions of chromaticity, least and most luminance, two flags
        above, below, _, stated = unpack("<4i", bytes(display)[72:88])
        found.append(above / below if stated and below else 0.0)
    believed = [value for value in found if SDR_WHITE <= value <= 10_000]
    return believed[0] if believed else USUAL_PEAK


@functools.lru_cache(maxsize=4)
def table_text(transfer: int, peak: float, primaries: int) -> str:
    """Return the look-up table of ``sdr_code`` as the text of a .cube file, red fastest; kept, as it takes a while."""
    axis = np.linspace(0, 1, DEPTH)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    codes = np.stack([red, green, blue], axis=-1).reshape(-1, 3)
    made = sdr_code(codes, transfer, peak=peak, primaries=primaries)
    return f"LUT_3D_SIZE {DEPTH}\n" + "%.5f %.5f %.5f\n" * len(made) % tuple(made.ravel().tolist())


def sdr_code(code: np.ndarray, transfer: int, *, peak: float, primaries: int) -> np.ndarray:
    """Return R'G'B' (N, 3) of SDR BT.709 on [0, 1] for R'G'B' ``code`` (N, 3) of another; see ``ToneMapper``."""
    if transfer in HDR:
        light = display_light(code, transfer)
        brightest = light.max(axis=1, keepdims=True)
        share = compress_range(brightest, peak) / np.maximum(brightest, 1e-6) / SDR_WHITE
        linear, primaries = light * share, primaries if primaries in PRIMARIES else 9
    else:
        linear = code**SDR_GAMMA
    return np.clip(linear @ gamut_matrix(primaries).T, 0, 1) ** (1 / SDR_GAMMA)


def display_light(code: np.ndarray, transfer: int) -> np.ndarray:
    """Return the light in cd/m2 (N, 3) that R'G'B' ``code`` (N, 3) stands for.

    SMPTE ST 2084 for PQ; for HLG the inverse OETF of ARIB STD-B67 and the OOTF of ITU-R BT.2100 for a display of 1000
    cd/m2, whose gamma is 1.2.
    """
    if transfer == PQ:
        return pq_light(code)
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - HLG_C) / HLG_A) + HLG_B) / 12)
    return USUAL_PEAK * scene * np.maximum(scene @ np.array(HLG_LUMA), 1e-9)[:, None] ** 0.2


def pq_light(code: np.ndarray) -> np.ndarray:
    """Return the light in cd/m2 of codes of PQ on [0, 1] (SMPTE ST 2084)."""
    power = code ** (1 / PQ_M2)
    return 10_000 * (np.maximum(power - PQ_C1, 0) / (PQ_C2 - PQ_C3 * power)) ** (1 / PQ_M1)


def pq_code(light: np.ndarray | float) -> np.ndarray:
    """Return the code of PQ for ``light`` in cd/m2."""
    power = (np.maximum(light, 0) / 10_000) ** PQ_M1
    return ((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power)) ** PQ_M2


def compress_range(light: np.ndarray, peak: float) -> np.ndarray:
    """Return ``light`` in cd/m2 with [0, peak] brought to [0, SDR_WHITE], by the EETF of ITU-R BT.2390 (section 5.4.1):
    what is dark stays as it is, and above a knee a cubic in PQ levels off."""
    top = float(pq_code(peak))
    target = float(pq_code(SDR_WHITE)) / top
    if target >= 1:
        return light
    code, knee = np.minimum(pq_code(light) / top, 1), 1.5 * target - 0.5
    t = np.maximum(code - knee, 0) / (1 - knee)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * target
    return pq_light(np.where(code < knee, code, curve) * top)


def gamut_matrix(primaries: int) -> np.ndarray:
    """Return the matrix (3, 3) from linear RGB of ``primaries`` to that of BT.709, both with the white D65."""
    return np.linalg.inv(_to_xyz(1)) @ _to_xyz(primaries) if primaries in PRIMARIES else np.eye(3)


def _to_xyz(primaries: int) -> np.ndarray:
    """Return the matrix from linear RGB to CIE XYZ (SMPTE RP 177)."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in PRIMARIES[primaries]]).T
    white = np.array((D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]))
    return columns * np.linalg.solve(columns, white)
