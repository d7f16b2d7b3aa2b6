"""Requests generated from ``/openapi.json``: no 5xx, and each response is one that the schema describes."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks

from hooks.app import create_app
from hooks.settings import Settings

schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(Settings(adapter_image="adapter:1")))
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


THOROUGH = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


# One test per path: Schemathesis gives the tests of one function the same id, and pytest-xdist runs one test per id.


@schema.include(path="/sync").parametrize()
@THOROUGH
def test_each_response_of_sync_conforms_to_openapi(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)


@schema.include(path="/customize").parametrize()
@THOROUGH
def test_each_response_of_customize_conforms_to_openapi(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)
