"""What `sources new` writes; filled in are ``$kind``, ``$module``, ``$type``, ``$image`` and a README's parts."""

from __future__ import annotations

from string import Template

TIMER = '''\
"""The kind $kind: one class; its fields are what stands in ``spec``."""

from adapter.sdk import Event, EventType, Field, Timer


class $kind(Timer):
    """Sends a greeting every interval."""

    api_version = "example.com/v1alpha1"
    event_types = (EventType("$type", "A greeting, and how many there were before it."),)

    greeting: str = Field("hello", min_length=1, max_length=63, description="What is said.")

    def tick(self, n: int) -> Event:
        return Event(type="$type", data={"sequence": n, "greeting": self.greeting})
'''

TIMER_TEST = '''\
"""What $kind sends, and that it arrives."""

from adapter.sdk import Outcome
from adapter.testing import Deliver, Run, Sink

from kinds.$module import $kind


def test_each_tick_sends_the_greeting_with_the_next_number(run: Run) -> None:
    events = run($kind(greeting="hi"), ticks=3)
    assert [event.data for event in events] == [{"sequence": n, "greeting": "hi"} for n in range(3)]


def test_an_event_the_sink_fails_on_is_sent_again_with_the_same_id(deliver: Deliver, sink: Sink) -> None:
    sink.answer(503)
    assert deliver($kind(), sink, ticks=1) == [Outcome.DELIVERED]
    failed, taken = sink.events
    assert failed["id"] == taken["id"]
'''

POLL = '''\
"""The kind $kind: one class; its fields are what stands in ``spec``."""

from collections.abc import Iterable
from typing import Any

from adapter.sdk import Event, EventType, Field, Poller


class $kind(Poller):
    """Asks for a list every interval, and sends each item that is new."""

    api_version = "example.com/v1alpha1"
    event_types = (EventType("$type", "An item of the list."),)

    url: str = Field(pattern="^https?://", description="The list's URL.", examples=["http://127.0.0.1:8000/list.json"])

    async def poll(self, client: Any) -> Iterable[Event]:
        answer = await client.get(self.url)
        answer.raise_for_status()
        return [Event(type="$type", id=str(item["id"]), data=item) for item in answer.json()]
'''

POLL_TEST = '''\
"""What $kind makes of an answer."""

from adapter.testing import Poll

from kinds.$module import $kind


def test_each_item_is_an_event_with_the_items_id(poll: Poll) -> None:
    events = poll($kind(url="https://example.com/list"), [{"id": 1}, {"id": 2}])
    assert [(event.id, event.data) for event in events] == [("1", {"id": 1}), ("2", {"id": 2})]
'''

LISTEN = '''\
"""The kind $kind: one class; its fields are what stands in ``spec``."""

from adapter.sdk import Event, EventType, Field, Listener, Request


class $kind(Listener):
    """Sends an event for each request it gets."""

    api_version = "example.com/v1alpha1"
    event_types = (EventType("$type", "A request: its path and body."),)

    id_header: str = Field("X-Request-Id", alias="idHeader", description="The header with the caller's own id.")

    async def receive(self, request: Request) -> Event:
        data = {"path": request.path, "body": request.body.decode("utf-8", "replace")}
        return Event(type="$type", id=request.headers.get(self.id_header.lower()), data=data)
'''

LISTEN_TEST = '''\
"""What $kind makes of a request."""

from adapter.testing import Receive

from kinds.$module import $kind


def test_a_request_is_an_event_with_the_callers_id(receive: Receive) -> None:
    event = receive($kind(), "hello", path="/door", headers={"X-Request-Id": "42"})
    assert (event.id, event.data) == ("42", {"path": "/door", "body": "hello"})
'''

README = """\
# $kind

`kinds/$module.py` is the kind: its fields are the `spec`, its docstrings what `kubectl explain` says. From there:

```console
$$ python -m pytest tests
$$ sources manifests kinds/$module.py -o manifests/$module --image $image
$$ sources lint --package kinds manifests/$module/sample.yaml
$run
For a cluster that has the hook; push the image where it pulls from before it is asked for it:

```console
$$ sources image > Dockerfile
$$ docker build -t $image .
$$ kubectl apply -k manifests/$module
$$ kubectl wait --for=condition=Established -f manifests/$module/crd.yaml
$$ kubectl apply -f sink.yaml -f manifests/$module/sample.yaml
```

$cluster`manifests/$module/` is made from the class: make it anew after each change, and do not edit it.
`api_version` is yours to choose, before the first source is applied; `example.com` is nobody's. `sink.yaml` shows what
arrives, here and in a cluster.
"""

_ONCE = "$$ sources run --package kinds --once sink.yaml manifests/$module/sample.yaml\n"
RUNS = {  # how a first event is seen on a laptop
    "timer": f"{_ONCE}```\n",
    "poll": f"""\
$$ python -m http.server --bind 127.0.0.1 8000 &
{_ONCE}$$ kill %1
```

Until it is killed, `http.server` serves `list.json`, which the sample's `url` names.
""",
    "listen": """\
$$ sources run --package kinds sink.yaml manifests/$module/sample.yaml
```

It says where it listens. Call it there from a second terminal: the first one shows the event, and Ctrl-C ends it.

```console
$$ curl --include --data hello http://127.0.0.1:PORT/
```
""",
}
CLUSTERS = {  # what is to be known of the sample there
    "timer": "",
    "poll": """\
There, nothing answers at the sample's `url`: apply a copy that names where your list is.

""",
    "listen": """\
There, `status.address.url` is where it is called from inside the cluster.

""",
}

LIST = """\
[{"id": 1, "name": "first"}, {"id": 2, "name": "second"}]
"""

SINK = """\
# Shows what arrives: `sources run` starts it here, `kubectl apply -f` in a cluster.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: event-display
  namespace: default
spec:
  replicas: 1
  selector:
    matchLabels: {app: event-display}
  template:
    metadata:
      labels: {app: event-display}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext:
        runAsNonRoot: true
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: display
          image: registry.local/sample-source:dev
          command: [python, -m, adapter.display]
          env:
            - name: PORT
              value: "8080"
          ports:
            - name: http
              containerPort: 8080
          readinessProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 1
          resources:
            requests: {cpu: 10m, memory: 48Mi}
            limits: {memory: 128Mi}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
---
apiVersion: v1
kind: Service
metadata:
  name: event-display
  namespace: default
spec:
  selector: {app: event-display}
  ports:
    - name: http
      port: 80
      targetPort: 8080
"""

MODULES = {"timer": (TIMER, TIMER_TEST), "poll": (POLL, POLL_TEST), "listen": (LISTEN, LISTEN_TEST)}

DOCKERFILE = """\
FROM $image
COPY $directory $directory
ENV SOURCES_PACKAGE=$package
"""


def filled(text: str, **values: str) -> str:
    return Template(text).substitute(values)
