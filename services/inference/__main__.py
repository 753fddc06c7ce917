"""The inference service as a process."""

from ops.run import run_http
from services.inference.api import create_app

if __name__ == "__main__":
    run_http("inference", create_app)
