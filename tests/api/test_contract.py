"""The API is what its pages say: ours, and the reference page where it is at hand. The OpenAPI document agrees."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.api import build_api
from app.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "docs" / "api.md"
REFERENCE = Path(os.environ.get("ZORDON_REFERENCE") or ROOT.parent / "shared/reference/zordon-api-reference.md")
UNDESCRIBED = {("GET", "/api/openapi.json")}
"""Routes that the OpenAPI document does not describe: itself."""

PAGES = [OURS, *([REFERENCE] if REFERENCE.is_file() else [])]


@dataclass(frozen=True)
class Documented:
    """One route as a page describes it."""

    method: str
    path: str
    parameters: dict[str, bool]  # name: required
    in_body: bool

    @property
    def key(self) -> tuple[str, str]:
        """As in the OpenAPI document, but for the names of path parameters."""
        return self.method, re.sub(r"<[^>]+>", "{}", self.path)


def read_page(page: Path) -> list[Documented]:
    """Every route of a page, by its headings."""
    text = page.read_text(encoding="utf-8")
    routes = []
    for match in re.finditer(r"^### `(GET|POST|PATCH|DELETE) (\S+)`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL):
        rows = re.findall(r"^\| `([^`]+)` \| (Yes|No) \|", match[3], re.MULTILINE)
        parameters = {name: required == "Yes" for name, required in rows}
        routes.append(Documented(match[1], match[2], parameters, "JSON body:" in match[3]))
    return routes


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The OpenAPI document, made without a service."""
    document: dict[str, Any] = build_api(load_settings(data_dir=tmp_path_factory.mktemp("none"), debug=True)).openapi()
    return document


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Every operation by method and path."""
    return {
        (method.upper(), re.sub(r"\{[^}]+\}", "{}", path)): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema, or the one that it points to."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_heading_is_a_registered_route(page: Path, operations: dict[tuple[str, str], dict[str, Any]]) -> None:
    documented = {route.key for route in read_page(page)}
    assert len(documented) >= 33
    assert documented - UNDESCRIBED - set(operations) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_required_parameters_are_required_and_no_others(
    page: Path, document: dict[str, Any], operations: dict[tuple[str, str], dict[str, Any]]
) -> None:
    checked = 0
    for route in read_page(page):
        for name, required in route.parameters.items():
            operation = operations[route.key]
            if route.in_body:
                content = operation["requestBody"]["content"]["application/json"]
                schema = resolved(document, content["schema"])
                assert name in schema["properties"], (route, name)
                assert (name in schema.get("required", ())) is required, (route, name)
            else:
                found = {item["name"]: item for item in operation.get("parameters", []) if item["in"] == "query"}
                assert name in found, (route, name)
                # The reference marks a parameter with a default as required in its table but not in its words.
                assert found[name].get("required", False) is required, (route, name)
            checked += 1
    assert checked > 20


def test_every_route_and_query_parameter_is_on_our_page(operations: dict[tuple[str, str], dict[str, Any]]) -> None:
    documented = {route.key: route for route in read_page(OURS)}
    assert set(operations) | UNDESCRIBED == set(documented)
    for key, operation in operations.items():
        named = {item["name"] for item in operation.get("parameters", []) if item["in"] == "query"}
        assert named <= set(documented[key].parameters), key


def test_fields_of_add_job_are_on_our_page(document: dict[str, Any]) -> None:
    text = OURS.read_text(encoding="utf-8")
    for name in document["components"]["schemas"]["AddJob"]["properties"]:
        assert f"`{name}`" in text


def test_operation_ids_are_unique(operations: dict[tuple[str, str], dict[str, Any]]) -> None:
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(ids) == len(set(ids))


def test_every_route_declares_both_forms_of_its_errors(operations: dict[tuple[str, str], dict[str, Any]]) -> None:
    for key, operation in operations.items():
        errors = {status: told for status, told in operation["responses"].items() if int(status) >= 400}
        assert {"400", "401", "403", "500"} <= set(errors), key
        assert "422" not in errors, key
        for status, told in errors.items():
            if status != "416":
                assert list(told["content"]) == ["text/plain", "application/problem+json"], (key, status)


def test_uploads_and_downloads_are_binary(
    document: dict[str, Any], operations: dict[tuple[str, str], dict[str, Any]]
) -> None:
    form = operations["POST", "/api/add_job"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    file = resolved(document, form)["properties"]["file"]
    assert (file["type"], file["format"]) == ("string", "binary")
    for name, media_type in (("download", "application/octet-stream"), ("download_all", "application/zip")):
        answer = operations["GET", f"/api/jobs/{{}}/{name}"]["responses"]["200"]["content"]
        assert answer == {media_type: {"schema": {"type": "string", "format": "binary"}}}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    targets = set(re.findall(r'"\$ref": ?"#/components/schemas/([^"]+)"', __import__("json").dumps(document)))
    assert {"Problem", "Job", "AddJob", "AddJobUpload"} <= targets
    assert targets <= set(document["components"]["schemas"])


def test_debug_routes_are_there_with_debug_only(tmp_path: Path, document: dict[str, Any]) -> None:
    paths = build_api(load_settings(data_dir=tmp_path)).openapi()["paths"]
    assert not [path for path in paths if "_debug" in path]
    assert set(document["paths"]) - set(paths) == {"/api/_debug/detected_clients", "/api/_debug/clear_history"}
