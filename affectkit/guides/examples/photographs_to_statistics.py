# %% [markdown]
# # From photographs to statistics
#
# Are the faces in photographs of one condition happier than in those of another? A folder a condition:
# `photographs/alone/*.jpg`, `photographs/together/*.jpg`. The numbers are what raters of FER+ would have answered to a
# face: how it looks to people, not what the person feels.
#
# Needs affectkit and pandas. Change the first cell and run the cells in their order, or the whole file.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import affectkit

PHOTOGRAPHS = Path("photographs")
OUTPUT = Path("statistics")
EMOTION = "happiness"

conditions = sorted(path.name for path in PHOTOGRAPHS.iterdir() if path.is_dir())
OUTPUT.mkdir(exist_ok=True)
print(f"{len(conditions)} conditions: {', '.join(conditions)}")

# %% [markdown]
# ## One row a face
#
# Each photograph is searched for faces; one without a face has a row with nothing in it. What cannot be read is left
# out, with a warning.

# %%
model = affectkit.load("builtin")
classes = list(model.spec.classes)
tables = []
for name in conditions:
    rows = affectkit.predict(model, PHOTOGRAPHS / name, on_error="skip", valence_arousal=True)
    tables.append(affectkit.to_pandas(rows).assign(condition=name))
faces = pd.concat(tables, ignore_index=True)
faces.to_csv(OUTPUT / "faces.csv", index=False)

empty = faces["Confidence"].isna()
print(f"{(~empty).sum()} faces; {empty.sum()} photographs without a face")
faces = faces[~empty]

# %% [markdown]
# ## Look before you count
#
# A small margin means that the label hardly won. Look at these photographs: does a person agree?

# %%
columns = ["condition", "Image Name", "Predicted Label", "Confidence", "Margin"]
print(faces.sort_values("Margin")[columns].head(10).to_string(index=False))

# %% [markdown]
# ## One value a photograph
#
# Faces in one photograph are alike and are not independent. The mean of a photograph's faces is one value, and so would
# be the mean of a person's photographs, if a person has several.

# %%
photographs = faces.groupby(["condition", "Image Name"])[classes].mean().reset_index()
summary = photographs.groupby("condition")[EMOTION].agg(["count", "mean", "std"])
print(summary.round(3))
summary.to_csv(OUTPUT / "summary.csv")

# %% [markdown]
# ## Is the difference more than chance?
#
# A permutation test of the first two conditions, and an interval of the difference of their means by the bootstrap.


# %%
def difference(a, b, axis=-1):
    """Return the difference of the means, second minus first."""
    return np.mean(b, axis=axis) - np.mean(a, axis=axis)


first, second = (photographs.loc[photographs["condition"] == name, EMOTION].to_numpy() for name in conditions[:2])
test = stats.permutation_test((first, second), difference, n_resamples=9999, vectorized=True, rng=0)
interval = stats.bootstrap((first, second), difference, n_resamples=9999, method="basic", rng=0).confidence_interval
print(
    f"{EMOTION}, {conditions[1]} minus {conditions[0]}: {test.statistic:.3f} "
    f"(95% interval {interval.low:.3f} to {interval.high:.3f}, p {test.pvalue:.3f}, n {len(first)} and {len(second)})"
)

# %% [markdown]
# ## A figure

# %%
means = photographs.groupby("condition")[classes].mean()
figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
means.T.plot.bar(ax=axes, rot=0)
axes.set_ylabel("mean share")
figure.savefig(OUTPUT / "emotions.png", dpi=150)
print(f"written: {', '.join(sorted(path.name for path in OUTPUT.iterdir()))}")
