"""Submit commands as Slurm jobs and run them there until they are done.

The job runs affectkit as a child process and knows nothing of what the command does.
"""
