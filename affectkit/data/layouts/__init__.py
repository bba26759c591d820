"""Find out how a dataset lies on the disk and read its tables: classes, distributions, ratings, clips."""
