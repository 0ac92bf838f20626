"""A client of Clipper's prediction REST, written against Clipper's documentation.

Its requests and its reading of answers are those of programs for Clipper; only the addresses are
Cutter's. Arguments: host:port, path of the Unix socket (not used here).
"""
import base64
import json
import sys
from datetime import datetime

import requests

HEADERS = {"Content-type": "application/json"}


def predict(addr, app, x, batch=False):
    url = "http://%s/%s/predict" % (addr, app)
    req_json = json.dumps({"input_batch": x}) if batch else json.dumps({"input": list(x)})
    start = datetime.now()
    r = requests.post(url, headers=HEADERS, data=req_json, timeout=20)
    latency_ms = (datetime.now() - start).total_seconds() * 1000.0
    assert r.status_code == requests.codes.ok, r.text
    answer = r.json()
    return answer if batch else (answer, latency_ms)


addr = sys.argv[1]

answer, _ = predict(addr, "sums", [1.1, 2.2, 3.3, 4.4])
assert isinstance(answer["query_id"], int)
assert abs(answer["output"] - 11.0) < 1e-5
assert answer["default"] is False and "default_explanation" not in answer

batch = predict(addr, "sums", [[1.0, 2.0, 3.0, 4.0], [0.5, 0.5, 0.5, 0.5]], batch=True)
assert [p["output"] for p in batch["batch_predictions"]] == [10.0, 2.0]
assert not any(p["default"] for p in batch["batch_predictions"])
ids = [p["query_id"] for p in batch["batch_predictions"]]
assert len(set(ids)) == 2

# A batch of one comes back as a single answer.
one = predict(addr, "sums", [[1.0, 2.0, 3.0, 4.0]], batch=True)
assert one["output"] == 10.0 and one["default"] is False

# The trailing slash of 0.4, a version, an old client's uid, and the keyword of requests.
url = "http://%s/sums/predict/" % addr
r = requests.post(url, json={"uid": 0, "input": [1.0, 2.0, 3.0, 4.0], "version": "1"}, timeout=20)
assert r.json()["output"] == 10.0, r.text

# Bytes travel as base64, strings as they are; a string that is JSON comes back as that.
encoded = base64.b64encode(b"\x00\xffclipper").decode()
r = requests.post("http://%s/bytes/predict" % addr, headers=HEADERS, data=json.dumps({"input": encoded}), timeout=20)
assert base64.b64decode(r.json()["output"]) == b"\x00\xffclipper"
r = requests.post("http://%s/texts/predict" % addr, json={"input": "[1, 2]"}, timeout=20)
assert r.json()["output"] == [1, 2]

# What Clipper answers to bad requests.
r = requests.post("http://%s/sums/predict" % addr, data="{", timeout=20)
assert r.status_code == 400 and r.json()["error"] == "Json error" and r.json()["cause"]
r = requests.post("http://%s/sums/predict" % addr, json={"input": [1.0, 2.0, 3.0, 4.0], "version": "9"}, timeout=20)
assert r.status_code == 400 and r.json()["error"] == "Query processing error" and r.json()["cause"]

print("all answers are as they should be")
