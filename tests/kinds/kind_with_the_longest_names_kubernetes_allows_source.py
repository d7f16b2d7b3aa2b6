"""A kind whose names are exactly as long as Kubernetes allows. tests/cluster runs it."""

from adapter.sdk import Event, Field, Listener, Request

_ZONE = ".".join(["b" * 63] * 3)


class KindWithTheLongestNamesKubernetesAllowsSource(Listener):
    """Turns each request into an event."""

    api_version = f"{'a' * 14}.{_ZONE}/v{'1' * 62}"  # group: 253 characters with "<plural>."
    short_name = "c" * 63

    size: int = Field(1, alias="d" * 253, description="A field with a long name.")

    async def receive(self, request: Request) -> Event:
        return Event(type="com.example.request", data={"path": request.path})
