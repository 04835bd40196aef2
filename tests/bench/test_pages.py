"""What `./run bench --pages` makes of its samples."""

import json
from pathlib import Path

from bench import checks
from bench.pages import Pages, server_seconds


def test_a_page_may_take_half_as_long_again_as_its_calls() -> None:
    calls = [0.01] * 100
    run = Pages(
        page={"/quick": [0.014] * 100, "/slow": [0.01] * 98 + [0.02] * 2}, calls={"/quick": calls, "/slow": calls}
    )
    assert [check.ok for check in checks.of_pages(run)] == [True, False]


def test_the_servers_log_has_the_time_of_each_request(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    lines = [{"message": "request", "request_id": "a", "duration_ms": 12.5}, {"message": "another", "request_id": "a"}]
    log.write_text("Started\n" + "".join(json.dumps(line) + "\n" for line in lines))
    assert server_seconds(log) == {"a": 0.0125}
