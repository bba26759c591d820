"""Compare models on the same items: what was tested is read or tested here, matched item by item, and told apart.

How a difference is estimated and tested stands in statistics, what a test is in evaluation.
"""
