"""The trainer as a process."""

from ops.run import run_loop
from services.trainer.loop import Trainer

if __name__ == "__main__":
    run_loop("trainer", Trainer)
