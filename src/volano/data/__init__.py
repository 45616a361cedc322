"""The shelves: records, labels and snapshots that every stage takes from and puts on."""
