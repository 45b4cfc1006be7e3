"""In which order the files of a layer lie: what starts touch first, at the front, so that a lazy pull fetches little else."""
