"""Kills, failing disks, power cuts, damaged inputs and parallel writers: what a project survives. `make torture`."""
