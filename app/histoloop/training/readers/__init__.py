"""Data sets as they come on disk, one format a module: each lists its tiles, `tiles` reads their pixels."""
