"""A client with `requests`. Arguments: host:port, and the path of the Unix socket (not used here)."""
import base64
import sys

import requests

server = "http://" + sys.argv[1]
with requests.Session() as session:
    for n in range(200):
        answer = session.post(server + "/sums/predict", json={"input": [n, 0.5, 0, 0]}, timeout=20)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json()["output"] == n + 0.5 and answer.json()["default"] is False

    batch = session.post(server + "/sums/predict", json={"input_batch": [[n, 0, 0, 0] for n in range(100)]}, timeout=20)
    assert [item["output"] for item in batch.json()["batch_predictions"]] == list(range(100))

    blob = bytes(range(256)) * 4096
    answer = session.post(server + "/bytes/predict", json={"input": base64.b64encode(blob).decode()}, timeout=20)
    assert base64.b64decode(answer.json()["output"]) == blob

    text = "grüße \U0001f600 \"quoted\"\n"
    assert session.post(server + "/texts/predict", json={"input": text}, timeout=20).json()["output"] == text

    # A generator is sent in chunks.
    pieces = iter([b'{"input":', b" [1, 2,", b" 3, 4]}"])
    assert session.post(server + "/sums/predict", data=pieces, timeout=20).json()["output"] == 10

    for body, status in [({"input": [1]}, 400), ({"input": "text"}, 400), ({}, 400)]:
        answer = session.post(server + "/sums/predict", json=body, timeout=20)
        assert answer.status_code == status and answer.json()["cause"], answer.text
    assert session.post(server + "/nothing/predict", json={"input": [1]}, timeout=20).status_code == 404
    assert session.get(server + "/sums/predict", timeout=20).status_code == 405
print("all answers are as they should be")
