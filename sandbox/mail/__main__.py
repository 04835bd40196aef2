"""`python -m sandbox.mail --port N --smtp-port M`: the mail catcher on loopback."""

import argparse
import os
import signal
import sys
from pathlib import Path

import uvicorn

from sandbox.mail.app import create_app
from sandbox.mail.catcher import Catcher
from sandbox.stripe.safety import ALL_ADDRESSES, refusal


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.mail", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="for the pages")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--container", action="store_true", help="listen on all addresses of a container")
    parser.add_argument("--state", type=Path, help="keep the mails in this directory across restarts")
    options = parser.parse_args(arguments)
    host = ALL_ADDRESSES if options.container else options.host
    reason = refusal(host, os.environ, in_container=options.container)
    if reason is not None:
        print(f"The mail catcher does not start: {reason}", file=sys.stderr)
        return 2
    app = create_app(Catcher(options.state), host, options.smtp_port)
    config = uvicorn.Config(
        app, host=host, port=options.port, log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    # uvicorn shuts down on SIGTERM and then raises the signal again. A requested stop must exit with 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
