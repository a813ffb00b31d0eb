"""Clients of KServe, Triton and TensorFlow Serving get what they expect; OpenAPI says what is so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from prometheus_client.parser import text_string_to_metric_families
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import BEARER, Server, spread

from sopan import usecases

TEXTS = ["The baker waters the roses", "gulls", ""]
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def test_v2_describes_itself(server: Server) -> None:
    assert server.client.get("/v2").json()["name"] == "sopan"
    about = server.client.get("/v2/models/bow").json()
    assert about["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert [output["name"] for output in about["outputs"]][:2] == ["label", "probabilities"]
    assert server.client.get("/v2/models/bow/ready").json() == {"name": "bow", "ready": True}
    assert server.client.get("/v2/models/zzz").status_code == 404


def test_v2_infers(server: Server, run_folder: Path) -> None:
    tensor = {"name": "text", "shape": [3], "datatype": "BYTES", "data": TEXTS}
    asked = {"id": "7", "inputs": [tensor], "outputs": [{"name": "probabilities"}, {"name": "label"}]}
    answer = server.client.post("/v2/models/bow/infer", json=asked).json()
    own = usecases.load(run_folder / "models" / "bow").predict_texts(TEXTS)
    probabilities, label = answer["outputs"]
    assert answer["id"] == "7"
    assert probabilities["shape"] == [3, 3]
    np.testing.assert_allclose(spread(probabilities["data"]).reshape(3, 3), own.probabilities, atol=1e-6)
    names = ["garden", "harbour", "kitchen"]
    assert label["data"] == [names[i] for i in own.probabilities.argmax(axis=1)]
    tensor["shape"] = [2]
    assert server.client.post("/v2/models/bow/infer", json=asked).status_code == 422


def test_tensorflow_serving_predicts(server: Server, run_folder: Path) -> None:
    asked = {"instances": [TEXTS[0], {"text": TEXTS[1]}]}
    answer = server.client.post("/v1/models/cbow:predict", json=asked).json()["predictions"]
    own = usecases.load(run_folder / "models" / "cbow").predict_texts(TEXTS[:2])
    np.testing.assert_allclose(spread([one["scores"] for one in answer]), own.probabilities, atol=1e-6)
    assert answer[0]["classes"] == ["garden", "harbour", "kitchen"]
    status = server.client.get("/v1/models/cbow").json()["model_version_status"][0]
    assert status["state"] == "AVAILABLE"


def test_metrics_are_prometheus_and_name_routes_only(server: Server) -> None:
    server.client.get("/made/up/path")
    families = {
        family.name: family for family in text_string_to_metric_families(server.client.get("/metrics").text)
    }
    routes = {sample.labels["route"] for sample in families["sopan_requests"].samples}
    assert "other" in routes
    assert not [route for route in routes if "made" in route]
    assert families["sopan_ready"].samples[0].value == 1


def test_openapi_has_examples_and_refusals(server: Server) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    for path in ("/predict", "/explain", "/fill", "/v2/models/{name}/infer", "/v1/models/{name}:predict"):
        responses = paths[path]["post"]["responses"]
        assert {"200", "400", "413", "415", "422", "429", "503"} <= set(responses)
        for status in ("400", "413", "415", "422", "429", "503"):
            assert responses[status]["content"]["application/json"]["example"]["error_type"]
    schemas = server.client.get("/openapi.json").json()["components"]["schemas"]
    for name in ("PredictRequest", "ExplainRequest", "InferRequest", "TfPredictRequest", "ShowRequest"):
        assert schemas[name]["examples"]


@pytest.mark.parametrize("with_token", [False, True])
def test_schemathesis_finds_nothing(server: Server, with_token: bool) -> None:
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    schema = schema.exclude(path="/room/events").exclude(path="/reload" if with_token else "/nothing")
    headers = BEARER if with_token else {}
    for found in schema.get_all_operations():
        operation = found.ok()
        if with_token and operation.path != "/room/show":
            continue

        @settings(
            max_examples=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        )
        def check(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=headers, checks=list(CHECKS))

        schemathesis_test(operation, check)


def schemathesis_test(operation: object, check: object) -> None:
    from hypothesis import given

    given(case=operation.as_strategy())(check)()
