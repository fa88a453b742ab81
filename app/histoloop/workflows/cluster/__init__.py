"""Work of many like parts, spread over processes of this machine or the workers of a Dask cluster."""
