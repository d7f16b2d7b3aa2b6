"""The files that `sources new` writes, with placeholders: ``$kind``, ``$module``, ``$type``, ``$image``."""

from __future__ import annotations

from string import Template

TIMER = '''\
"""The kind $kind: the fields of the class are the fields of ``spec``."""

from adapter.sdk import Event, EventType, Field, Timer


class $kind(Timer):
    """Sends a greeting at each interval."""

    api_version = "example.com/v1alpha1"
    event_types = (EventType("$type", "A greeting and its sequence number."),)

    greeting: str = Field("hello", min_length=1, max_length=63, description="The text to send.")

    def tick(self, n: int) -> Event:
        return Event(type="$type", data={"sequence": n, "greeting": self.greeting})
'''

TIMER_TEST = '''\
"""Tests of $kind: which events it sends, and that the sink gets them."""

from adapter.sdk import Outcome
from adapter.testing import Deliver, Run, Sink

from kinds.$module import $kind


def test_each_tick_sends_the_greeting_and_its_sequence_number(run: Run) -> None:
    events = run($kind(greeting="hi"), ticks=3)
    assert [event.data for event in events] == [{"sequence": n, "greeting": "hi"} for n in range(3)]


def test_a_failed_event_is_retried_with_the_same_id(deliver: Deliver, sink: Sink) -> None:
    sink.answer(503)
    assert deliver($kind(), sink, ticks=1) == [Outcome.DELIVERED]
    failed, retried = sink.events
    assert failed["id"] == retried["id"]
'''

POLL = '''\
"""The kind $kind: the fields of the class are the fields of ``spec``."""

from collections.abc import Iterable
from typing import Any

from adapter.sdk import Event, EventType, Field, Poller


class $kind(Poller):
    """Fetches a list at each interval, and sends each new item."""

    api_version = "example.com/v1alpha1"
    event_types = (EventType("$type", "An item of the list."),)

    url: str = Field(pattern="^https?://", description="URL of the list.", examples=["http://127.0.0.1:8000/list.json"])

    async def poll(self, client: Any) -> Iterable[Event]:
        response = await client.get(self.url)
        response.raise_for_status()
        return [Event(type="$type", id=str(item["id"]), data=item) for item in response.json()]
'''

POLL_TEST = '''\
"""Tests of $kind: which events it makes from a response."""

from adapter.testing import Poll

from kinds.$module import $kind


def test_each_item_becomes_an_event_with_the_id_of_the_item(poll: Poll) -> None:
    events = poll($kind(url="https://example.com/list"), [{"id": 1}, {"id": 2}])
    assert [(event.id, event.data) for event in events] == [("1", {"id": 1}), ("2", {"id": 2})]
'''

LISTEN = '''\
"""The kind $kind: the fields of the class are the fields of ``spec``."""

from adapter.sdk import Event, EventType, Field, Listener, Request


class $kind(Listener):
    """Sends an event for each HTTP request."""

    api_version = "example.com/v1alpha1"
    event_types = (EventType("$type", "Path and body of a request."),)

    id_header: str = Field("X-Request-Id", alias="idHeader", description="Request header that holds the event id.")

    async def receive(self, request: Request) -> Event:
        data = {"path": request.path, "body": request.body.decode("utf-8", "replace")}
        return Event(type="$type", id=request.headers.get(self.id_header.lower()), data=data)
'''

LISTEN_TEST = '''\
"""Tests of $kind: which event it makes from a request."""

from adapter.testing import Receive

from kinds.$module import $kind


def test_a_request_becomes_an_event_with_the_id_of_its_header(receive: Receive) -> None:
    event = receive($kind(), "hello", path="/door", headers={"X-Request-Id": "42"})
    assert (event.id, event.data) == ("42", {"path": "/door", "body": "hello"})
'''

README = """\
# $kind

`kinds/$module.py` defines the kind. Its fields are the fields of `spec`, and `kubectl explain` shows their
descriptions.

## Run it on this machine

```console
$$ python -m pytest tests
$$ sources manifests kinds/$module.py -o manifests/$module --image $image
$$ sources lint --package kinds manifests/$module/sample.yaml
$run
`sink.yaml` is a sink that prints the events. Run `sources manifests` again after each change of the class; do not edit
the files in `manifests/$module/`.

## Install it in a cluster

The cluster needs the hook. Before the first source, replace `example.com` in `api_version` with your own domain. Push
the image to your registry before `kubectl apply`.

```console
$$ sources image > Dockerfile
$$ docker build -t $image .
$$ kubectl apply -k manifests/$module
$$ kubectl wait --for=condition=Established -f manifests/$module/crd.yaml
$$ kubectl apply -f sink.yaml -f manifests/$module/sample.yaml
```
$cluster"""

_ONCE = "$$ sources run --package kinds --once sink.yaml manifests/$module/sample.yaml\n"
RUNS = {  # the commands that show a first event on this machine
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

It prints the URL on which the source listens. Call it from a second terminal; the first terminal shows the event. Stop
it with Ctrl-C.

```console
$$ curl --include --data hello http://127.0.0.1:PORT/
```
""",
}
CLUSTERS = {  # notes about the sample in a cluster
    "timer": "",
    "poll": "\nIn a cluster, nothing answers at the `url` of the sample: apply a copy with the URL of your list.\n",
    "listen": "\nIn a cluster, callers use the URL in `status.address.url`.\n",
}

LIST = """\
[{"id": 1, "name": "first"}, {"id": 2, "name": "second"}]
"""

SINK = """\
# A sink that prints the events. Start it with `sources run`, or in a cluster with `kubectl apply -f`.
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
