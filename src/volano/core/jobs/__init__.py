"""The ledger of background work: one table, leases, fencing, fair shares between workspaces."""

from volano.core.jobs.handlers import Handlers, Job
from volano.core.jobs.ledger import Ledger
from volano.core.jobs.worker import Worker

__all__ = ["Handlers", "Job", "Ledger", "Worker"]
