"""Scrapes a server with the parser of the Prometheus project. Argument: the URL of /metrics."""
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

with urllib.request.urlopen(sys.argv[1], timeout=20) as response:
    assert response.headers["Content-Type"].startswith("application/openmetrics-text"), response.headers
    text = response.read().decode()

families = {family.name: family for family in text_string_to_metric_families(text)}
assert len(families) > 20, sorted(families)
for family in families.values():
    assert family.name.startswith("cutter_"), family.name
    assert family.documentation and family.type in ("counter", "gauge", "histogram"), family
    assert family.samples or family.name, family


def value(family, name, **labels):
    found = [s.value for s in families[family].samples if s.name == name and labels.items() <= s.labels.items()]
    assert len(found) == 1, (name, labels, found)
    return found[0]


assert value("cutter_queries", "cutter_queries_total", application="sums") == 10
assert value("cutter_predictions", "cutter_predictions_total", application="sums") == 10
assert value("cutter_defaults", "cutter_defaults_total", application="alone", reason="no_model") == 1
assert value("cutter_http_errors", "cutter_http_errors_total", status="400") == 1
seconds = "cutter_end_to_end_seconds"
assert value(seconds, seconds + "_count", application="sums") == 10
assert value(seconds, seconds + "_bucket", application="sums", le="+Inf") == 10
assert 0 < value(seconds, seconds + "_sum", application="sums") < 100
assert value("cutter_replica_up", "cutter_replica_up", model="sum", version="7.1", replica="1") == 1
print("all samples are as they should be")
