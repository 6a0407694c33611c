"""One command of a submission, locked in and within limits: `isolate.start(box, command, limits, log)`."""
