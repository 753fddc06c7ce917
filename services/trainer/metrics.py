"""What /metrics of a trainer tells. The training thread touches none of it in an ordinary step."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

LEADING = Gauge("inkling_trainer_leading", "Whether this trainer holds the lease: 1, else 0")
TRAINING = Gauge("inkling_trainer_training", "Whether it trains: 1; 0 if it rests or stands by")
ITERATION = Gauge("inkling_trainer_iteration", "Iteration that the run has reached")
LOSS = Gauge("inkling_trainer_loss", "Loss of the last batch, in nats")
ITERATIONS = Counter("inkling_trainer_iterations", "Iterations trained")
SAMPLES = Counter("inkling_trainer_samples", "Examples trained on")
WAIT_SECONDS = Counter(
    "inkling_trainer_data_wait_seconds", "Time in which training waited for data"
)
QUEUE_LENGTH = Gauge(
    "inkling_trainer_queue_length",
    "Items in a list in Redis: tickets that no worker has taken, batches that wait for training",
    ["queue"],
)
TICKETS, BATCHES = QUEUE_LENGTH.labels("tickets"), QUEUE_LENGTH.labels("batches")
TICKET_AGE = Gauge(
    "inkling_trainer_ticket_age_seconds",
    "Age of the ticket whose batch is to be trained next; 0 if that is here, or nothing trains",
)
REISSUED = Counter("inkling_trainer_tickets_reissued", "Lost tickets that were issued again")
DUPLICATES = Counter("inkling_trainer_duplicate_batches", "Batches that came twice, used once")
DATA_WORKERS = Gauge("inkling_trainer_data_workers", "Data workers that live")
CHECKPOINTS = Counter("inkling_trainer_checkpoints", "Checkpoints saved")
LEASES_LOST = Counter("inkling_trainer_leases_lost", "Times that another trainer took the lease")


def stand_by() -> None:
    """Tell that this trainer does not lead: what it last knew of the run is not its to tell."""
    for gauge in (LEADING, TRAINING, TICKETS, BATCHES, TICKET_AGE, DATA_WORKERS):
        gauge.set(0)
