"""What every room stands on: names, seeds, files, input specification, progress. Imports nothing heavy at the top."""
