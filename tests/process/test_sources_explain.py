"""The commands that read a cluster, as processes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.process.harness import Start
from tests.process.silent_dns import silent_dns


def test_dns_that_does_not_answer_does_not_delay_the_end(start: Start, tmp_path: Path) -> None:
    """Python cannot stop a lookup. Here it takes more than two minutes, which is longer than the test may take."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example.com:6443"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    with silent_dns(start, tmp_path) as dns:
        words = ("sources_cli", "list", "--kubeconfig", str(file), "--timeout", "2s")
        process = dns.start(*words, RES_OPTIONS="timeout:30 attempts:5")
        dns.wait_for_query()
        assert process.ended() == 2, process.errors
    assert process.errors == ["sources: the API server does not answer within 1.0 s\n"]
