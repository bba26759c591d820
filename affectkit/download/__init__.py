"""Download files of a Zenodo record or an address, resumed where cut and checked whole."""
