"""A client with `httpx`, over TCP and over a Unix socket. Arguments: host:port, path of the socket."""
import sys
import threading

import httpx

over_unix = httpx.HTTPTransport(uds=sys.argv[2])
failures = []


def ask(client, server, first):
    try:
        for n in range(first, first + 40):
            answer = client.post(server + "/sums/predict", json={"input": [n, 0, 0, 0]}, timeout=20)
            assert answer.status_code == 200 and answer.json()["output"] == n, answer.text
    except Exception as error:
        failures.append(error)


with httpx.Client() as tcp, httpx.Client(transport=over_unix) as unix:
    clients = [(tcp, "http://" + sys.argv[1]), (unix, "http://cutter")]
    threads = [
        threading.Thread(target=ask, args=(*client, 1000 * n)) for n, client in enumerate(clients * 4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures

    def pieces():
        yield b'{"input": [1,'
        yield b" 2, 3, 4]}"

    for client, server in clients:
        answer = client.post(server + "/sums/predict", content=pieces(), timeout=20)
        assert answer.http_version == "HTTP/1.1" and answer.json()["output"] == 10, answer.text
        answer = client.post(server + "/sums/predict", content=b"not JSON", timeout=20)
        assert answer.status_code == 400 and answer.json()["error"] == "Json error", answer.text
print("all answers are as they should be")
