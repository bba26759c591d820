"""Submit commands as Slurm jobs and run them there until they are done."""
