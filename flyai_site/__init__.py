"""A contest for a class or a small group: a site, a queue, workers. `docs/hosting.md` says how to run one.

`python -m flyai_local host` starts it. The rooms: `pages` (what people see), `api` (what programs ask), `worker` (runs
submissions; needs no Django and talks to the site by HTTP alone), `commands` (the organiser's command line). Beside
them: models, queue, limits of a try, standings, what may be shown before the reveal, storage, backup.
"""
