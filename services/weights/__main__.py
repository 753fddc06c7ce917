"""The weights service as a process."""

from ops.run import run_http
from services.weights.api import create_app

if __name__ == "__main__":
    run_http("weights", create_app)
