"""The data API as a process; it exits with status 2 if the data set cannot be had."""

import sys

from ops.run import run_http
from services.data.api import create_app

if __name__ == "__main__":
    sys.exit(2 if run_http("data", create_app).state.service.failure else 0)
