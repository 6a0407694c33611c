"""One run of a submission, from the archive to the score: `runner.execute(job)`."""
