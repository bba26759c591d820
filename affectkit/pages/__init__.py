"""Make one self-contained HTML page of a result folder. ``make.make_report`` does it; ``kinds.KINDS`` lists the kinds.

What lives here reads files that runs have written, by their names and columns, and small pictures of the originals
where these still are; no model is loaded and nothing is predicted. Figures as PNG files are drawn in ``reports``.
"""
