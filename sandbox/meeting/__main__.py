"""`python -m sandbox.meeting --port N --webhook URL`: the meeting sandbox, which stands in for a Jitsi server.

It shares the API's secrets, which it reads from the environment: `HOLDFAST_JITSI_APP_ID`, `HOLDFAST_JITSI_SECRET` and
`HOLDFAST_MEETING_WEBHOOK_SECRET`.
"""

import argparse
import os
import signal
import sys

import httpx
import uvicorn

from sandbox.meeting.app import create_app
from sandbox.stack.ports import LOOPBACK
from sandbox.stripe.safety import refusal


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.meeting", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--webhook", required=True, help="where to report who came and left")
    options = parser.parse_args(arguments)
    reason = refusal(LOOPBACK, os.environ)
    if reason is not None:
        print(f"The meeting sandbox does not start: {reason}", file=sys.stderr)
        return 2
    app = create_app(
        app_id=os.environ["HOLDFAST_JITSI_APP_ID"],
        secret=os.environ["HOLDFAST_JITSI_SECRET"],
        webhook_url=options.webhook,
        webhook_secret=os.environ["HOLDFAST_MEETING_WEBHOOK_SECRET"],
        http=httpx.AsyncClient(trust_env=False, timeout=10),
    )
    # No access log: the URL has a token.
    config = uvicorn.Config(app, host=LOOPBACK, port=options.port, log_level="warning", access_log=False)
    # uvicorn shuts down on SIGTERM and then raises the signal again. A requested stop must exit with 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
