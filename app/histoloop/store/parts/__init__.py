"""The parts of an open project: each one reads and writes the tables of its subject, and nothing else does.

One word means one thing in all of them: `all` lists, oldest first unless it says otherwise; `get` is one by its id
(ValueError when there is none); `find` is one or None; `add` keeps a new one; `folder` is where files of it are.
"""
