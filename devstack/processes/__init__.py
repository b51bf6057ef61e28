"""The table of processes: what runs, as whom, with which secrets, and when it counts as ready."""
