"""The templates of `sources new` and `sources image`, read from ``files``. They have placeholders like ``$kind``."""

from __future__ import annotations

from pathlib import Path
from string import Template

FILES = Path(__file__).with_name("files")


def read(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")


README, DOCKERFILE = read("README.md.txt"), read("Dockerfile.txt")
SINK, LIST, LINES = read("sink.yaml"), read("list.json"), read("lines.py")
# Template of a kind -> its module and its test.
MODULES = {
    name: (read(f"{name}.py.txt"), read(f"test_{name}.py.txt")) for name in ("timer", "poll", "listen", "stream")
}

_ONCE = "$$ sources run --package kinds --once sink.yaml manifests/$module/sample.yaml\n"
RUNS = {  # template -> the commands that show a first event on this machine
    "timer": f"{_ONCE}```\n",
    "poll": f"""\
$$ python -m http.server --bind 127.0.0.1 8000 &
{_ONCE}$$ kill %1
```

The `url` of the sample points to `list.json`, which `http.server` serves.
""",
    "listen": """\
$$ sources run --package kinds sink.yaml manifests/$module/sample.yaml
```

It prints the URL on which the source listens: port 8888, or the next one that is free. Call it from a second terminal;
the first terminal shows the event. Stop it with Ctrl-C.

```console
$$ curl --include --data hello http://127.0.0.1:8888/
```
""",
    "stream": f"""\
$$ python lines.py &
{_ONCE}$$ kill %1
```

The `server` of the sample is `lines.py`. The source is not ready until it is connected.
""",
}
CLUSTERS = {  # template -> a note about the sample in a cluster
    "timer": "",
    "poll": "\nIn a cluster, no server runs at the `url` of the sample: apply a copy with the URL of your list.\n",
    "listen": "\nIn a cluster, callers use the URL in `status.address.url`.\n",
    "stream": "\nIn a cluster, no server runs at the `server` of the sample: apply a copy with the address of yours.\n",
}


def filled(text: str, **values: str) -> str:
    return Template(text).substitute(values)
