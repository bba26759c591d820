"""Download files of a Zenodo record or an address, resumed where cut and checked whole.

Knows nothing of what the files hold; weights that a model downloads by itself come through models.external.
"""
