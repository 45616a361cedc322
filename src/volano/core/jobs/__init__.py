"""The ledger of background work: one table, leases, fencing, fair shares between workspaces."""
