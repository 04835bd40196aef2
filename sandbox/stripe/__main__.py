"""`python -m sandbox.stripe --port N`: the sandbox as a server, on loopback or in a container."""

import argparse
import os
import signal
import sys
from pathlib import Path

import uvicorn

from sandbox.stripe.app import create_app
from sandbox.stripe.safety import ALL_ADDRESSES, refusal


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.stripe", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--log", type=Path, help="write each API request and its answer as a JSON line")
    parser.add_argument("--state", type=Path, help="keep the state in this file across restarts")
    parser.add_argument("--strict-version", action="store_true", help="refuse other API versions than the pinned one")
    parser.add_argument("--container", action="store_true", help="listen on all addresses of a container")
    parser.add_argument("--public-url", help="how browsers reach it, if not by the address that its clients use")
    parser.add_argument("--deliver-to", help="the API that gets all events; its secrets are in the environment")
    options = parser.parse_args(arguments)
    host = ALL_ADDRESSES if options.container else options.host
    reason = refusal(host, os.environ, in_container=options.container)
    if reason is not None:
        print(f"The Stripe sandbox does not start: {reason}", file=sys.stderr)
        return 2
    app = create_app(
        options.log,
        options.state,
        strict_version=options.strict_version,
        public_url=options.public_url,
        deliver_to=options.deliver_to,
    )
    config = uvicorn.Config(
        app, host=host, port=options.port, log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    # uvicorn shuts down on SIGTERM and then raises the signal again. A requested stop must exit with 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
