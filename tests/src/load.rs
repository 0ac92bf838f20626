//! Many clients, each asking as soon as it is answered, and a record of every answer.
//!
//! Each query is a vector of four floats that nobody else sends, `[n, 0, 0, 0]`, for applications
//! that answer with `n`. So an answer that went to the wrong client does not go unnoticed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::eventually;
use crate::http::{Client, Response, post};

/// The first query of the first client: beyond all numbers that mean something to a model.
const FIRST: u32 = 10_000;
/// Distance between the first queries of two clients. All are floats without loss.
const STEP: u32 = 100_000;

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Tally>>,
}

/// What the clients were answered.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Predictions, each for the query that was asked.
    pub predictions: usize,
    /// Default outputs, by reason.
    pub defaults: BTreeMap<String, usize>,
    /// Everything else that came back.
    pub wrong: Vec<String>,
    /// Queries that were sent and not answered.
    pub unanswered: Vec<String>,
    /// Clients that were told, with an answer, that the connection ends.
    pub told_to_close: usize,
}

impl Tally {
    /// Queries that were answered with the default output.
    pub fn defaulted(&self) -> usize {
        self.defaults.values().sum()
    }

    /// Every query was answered, with its prediction or with a reason why not.
    #[track_caller]
    pub fn assert_all_answered(&self) {
        assert_eq!(self.unanswered, [""; 0]);
        assert_eq!(self.wrong, [""; 0]);
    }

    fn add(&mut self, other: Tally) {
        self.predictions += other.predictions;
        for (reason, count) in other.defaults {
            *self.defaults.entry(reason).or_default() += count;
        }
        self.wrong.extend(other.wrong);
        self.unanswered.extend(other.unanswered);
        self.told_to_close += other.told_to_close;
    }

    fn take(&mut self, query: u32, response: &Response) {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let prediction = body["default"] == false && body["output"] == f64::from(query);
        match (response.status, body["reason"].as_str()) {
            (200, None) if prediction => self.predictions += 1,
            (200, Some(reason)) if body["default"] == true => {
                *self.defaults.entry(reason.to_owned()).or_default() += 1;
            }
            _ => self.wrong.push(format!("{query}: {} {}", response.status, response.text())),
        }
        self.told_to_close += usize::from(response.closes());
    }
}

impl Load {
    /// Connects the clients and lets them ask. A client ends when it is told to.
    #[track_caller]
    pub fn start(address: SocketAddr, application: &str, clients: u32) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let path = format!("/{application}/predict");
        let start = |number| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let (client, path) = (Client::tcp(address), path.clone());
            std::thread::spawn(move || ask(client, &path, FIRST + STEP * number, &stop, &answered))
        };
        let clients = (0..clients).map(start).collect();
        Load { stop, answered, clients }
    }

    /// Waits until so many more queries are answered.
    #[track_caller]
    pub fn wait_answered(&self, more: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + more;
        let answered = || self.answered.load(Ordering::Relaxed) >= wanted;
        eventually(&format!("{more} more answers"), || answered().then_some(()));
    }

    /// Ends the asking and gives the record of it.
    #[track_caller]
    pub fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for client in self.clients {
            sum.add(client.join().expect("a client does not panic"));
        }
        sum
    }
}

fn ask(
    mut client: Client,
    path: &str,
    first: u32,
    stop: &AtomicBool,
    answered: &AtomicUsize,
) -> Tally {
    let mut tally = Tally::default();
    // Once around would take longer than a server runs.
    for query in (first..first + STEP).cycle() {
        if stop.load(Ordering::Relaxed) || tally.told_to_close > 0 {
            break;
        }
        let request = post(path, &format!("{{\"input\": [{query}, 0, 0, 0]}}"));
        let asked = client.try_send(request.as_bytes()).and_then(|()| client.try_response());
        match asked {
            Ok(response) => tally.take(query, &response),
            Err(error) => {
                tally.unanswered.push(format!("{query}: {error}"));
                break;
            }
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    tally
}
