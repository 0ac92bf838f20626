//! Clients that come and go as they like, among others that do not.

use cutter_tests::http::post;
use cutter_tests::{Client, Load, Server, application, eventually, model};

const INPUT: &str = "{\"input\": [1, 2, 3, 4.5]}";
const CLIENTS: usize = 4;
const ROUNDS: usize = 250;

fn served() -> Server {
    Server::start(
        &(application("sums", "type = \"floats\", shape = [4]", 10_000, "sum", "")
            + &model("sum", &["sum"], "replicas = 2")),
    )
}

fn request() -> String {
    post("/sums/predict", INPUT)
}

/// The ways in which a client can treat a server.
const WAYS: [fn(Client); 8] = [
    // It has second thoughts.
    drop,
    // It breaks off in the middle of a request.
    |mut client| client.send(&request()[..60]),
    // It does not wait for its answer.
    |mut client| client.send(request()),
    // Nor does it say good-bye.
    |mut client| {
        client.send(request());
        client.reset();
    },
    // It takes some of its answers.
    |mut client| {
        client.send(request().repeat(20));
        assert_eq!(client.response().json()["output"], 10.5);
        assert_eq!(client.response().json()["output"], 10.5);
    },
    // It says that it has no more to say, and listens.
    |mut client| {
        client.send(request());
        client.end_sending();
        assert_eq!(client.response().json()["output"], 10.5);
        client.expect_end();
    },
    // It talks nonsense.
    |mut client| {
        assert_eq!(client.request("EHLO cutter\r\n\r\n").status, 400);
        client.expect_end();
    },
    // It is as it should be.
    |mut client| assert_eq!(client.predict("sums", vec![1, 2, 3, 4])["output"], 10.0),
];

#[test]
fn clients_that_break_off_in_every_way_harm_nobody_and_leave_nothing() {
    let server = served();
    server.client().predict("sums", vec![1, 2, 3, 4]);
    wait_alone(&server);
    let descriptors = server.process.descriptors();
    let load = Load::start(server.query, "sums", 2);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || {
                let connect = [Server::client, Server::unix_client][number % 2];
                // Each in an order of its own, in which all ways meet all others.
                let steps = (0..ROUNDS).map(|round| (round * (2 * number + 1) + round / 8) % 8);
                steps.for_each(|way| WAYS[way](connect(server)));
            });
        }
    });
    let tally = load.stop();
    tally.assert_all_answered();
    assert_eq!(tally.defaulted(), 0);
    wait_alone(&server);
    // A descriptor is closed a moment after its connection is gone from the figures; and the end of
    // the one before may have been under way still when they were counted first.
    eventually("their descriptors are closed", || {
        (server.process.descriptors() <= descriptors).then_some(())
    });
    assert_eq!(server.client().predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
}

/// Waits until all clients are gone, and everything that was held for them.
#[track_caller]
fn wait_alone(server: &Server) {
    eventually("nothing of the clients is left", || {
        let metrics = server.metrics();
        let connections = metrics.sum("cutter_connections", &[]);
        let rows = metrics.sum("cutter_input_pool_rows_in_use", &[]);
        (connections + rows == 0.0).then_some(())
    });
}

/// A number that one connection had is soon another's: what ends the one must not end the other.
#[test]
fn a_connection_that_ends_never_ends_another() {
    let server = served();
    for _ in 0..10 {
        let mut old: Vec<Client> = (0..50).map(|_| server.client()).collect();
        old.iter_mut().for_each(|client| _ = client.predict("sums", vec![1, 2, 3, 4]));
        let closing = std::thread::spawn(move || drop(old));
        let mut new: Vec<Client> = (0..50).map(|_| server.unix_client()).collect();
        new.iter_mut().for_each(|client| client.send(request()));
        for client in &mut new {
            assert_eq!(client.response().json()["output"], 10.5);
        }
        closing.join().unwrap();
    }
}
