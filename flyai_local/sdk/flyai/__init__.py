"""Stand-in for the platform's SDK, generations 1.x and 2.0.

Old submissions import these names and run unchanged; docs/sdk.md lists the surface and what is local policy. Importing
any module of this package opens no connection and loads nothing outside Python's standard library.
"""
