"""`sweep submit` and `sweep job`: a study as a job of a Ray cluster that is somewhere else."""
