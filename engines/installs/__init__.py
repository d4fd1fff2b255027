"""Which versions of the engines exist and where they are offered: what the pages and packages of others say, as data.

Nothing here opens a connection or starts a process; ``app.installs`` does.
"""
