"""How sure a number is: intervals, tests and power of metrics, over items or over clusters of items.

Metrics themselves stand in ``metrics``; here every one is a function of sums of per-item terms (``measures``), so that
a resample, a group, a cluster left out or two models exchanged cost sums alone. What is compared with what, and how it
is shown, does not live here.
"""
