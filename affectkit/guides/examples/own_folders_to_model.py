# %% [markdown]
# # From folders of your own to a model
#
# `faces/train/<class>/*.jpg`, `faces/valid/<class>` and `faces/test/<class>`: crops of faces with labels of your own.
# The cells look at the data, train, test on images that decided nothing, and predict new ones.
#
# Needs affectkit and pandas. Change the first cell and run the cells in their order, or the whole file. `run` types a
# command as in a terminal; in a notebook `!affectkit train ...` does the same.

# %%
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

import affectkit

FACES = Path("faces")
NEW = Path("images")
RUN, RESULTS = Path("runs/mine"), Path("results/mine")
EPOCHS = 10


def run(*arguments):
    """Run a command of affectkit; an error ends the program."""
    subprocess.run([sys.executable, "-m", "affectkit", *map(str, arguments)], check=True)


# %% [markdown]
# ## What is in the folders
#
# How many images a class has, what cannot be read, and copies that stand in two splits.

# %%
run("describe", FACES, "--results", "described", "--force", "--quiet")

# %% [markdown]
# ## Train
#
# From the built-in model, which knows faces. For other pictures: `--model resnet18 --image-size 112` in place of
# `--init builtin`. The epoch with the best validation loss is kept.

# %%
run("train", "--init", "builtin", "--data", FACES, "--output", RUN, "--epochs", EPOCHS, "--force")
history = pd.read_csv(RUN / "history.csv")
print(history.filter(regex="epoch|loss|accuracy").round(3).to_string(index=False))

# %% [markdown]
# ## Test
#
# The test split decided nothing. Beside the accuracy stands what always naming the largest class would reach.

# %%
run("test", "--checkpoint", RUN, "--data", FACES, "--results", RESULTS, "--force", "--quiet")
found = json.loads((RESULTS / "results.json").read_text())
low, high = found["intervals"]["accuracy"]
tested = pd.read_csv(RESULTS / "test_results.csv")
largest = tested["True Label"].value_counts(normalize=True).max()
print(f"accuracy {found['metrics']['accuracy']:.3f} (95% interval {low:.3f} to {high:.3f}) of {len(tested)} images")
print(f"the largest class alone: {largest:.3f}")

# %% [markdown]
# Which classes are taken for which, and the mistakes of which the model was surest: are their labels right?

# %%
print(pd.crosstab(tested["True Label"], tested["Predicted Label"]))
wrong = tested[tested["True Label"] != tested["Predicted Label"]].sort_values("Confidence", ascending=False)
print(wrong[["Image Name", "True Label", "Predicted Label", "Confidence"]].head(10).to_string(index=False))

# %% [markdown]
# ## New images
#
# Whole photographs here, of which faces are cut out first. Below a confidence of 0.5 there is no label.

# %%
model = affectkit.load(RUN)
rows = affectkit.predict(model, NEW, faces="yunet", min_confidence=0.5)
predicted = affectkit.to_pandas(rows)
predicted.to_csv("new_images.csv", index=False)
print(predicted[["Image Name", "Predicted Label", "Confidence", "Margin"]].to_string(index=False))
