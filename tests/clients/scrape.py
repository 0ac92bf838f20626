"""Scrapes a server with both parsers of the Prometheus project. Argument: the URL of /metrics."""
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text


def scraped(accept):
    request = urllib.request.Request(sys.argv[1], headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.headers["Content-Type"], response.read().decode()


kind, text = scraped("text/plain;version=0.0.4")
assert kind.startswith("text/plain; version=0.0.4"), kind
assert scraped(None)[0] == kind
# What this parser calls a family has no suffix, in neither format.
plain = {family.name: family for family in plain_text(text)}
kind, text = scraped("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
assert kind.startswith("application/openmetrics-text"), kind
families = {family.name: family for family in open_metrics(text)}
described = lambda families: {(f.name, f.type, f.documentation) for f in families.values()}
assert described(plain) == described(families), described(plain) ^ described(families)
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
