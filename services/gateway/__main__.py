"""The gateway as a process."""

from ops.run import run_http
from services.gateway.api import create_app

if __name__ == "__main__":
    run_http("gateway", create_app)
