//! Runs against small servers in threads of this process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use super::analysis::{Reading, WarmUpRule, analyse};
use super::*;
use crate::arrivals::{Arrivals, Schedule};
use crate::bodies::{self, BodyOptions, Input, Protocol};
use crate::result::load::PlanResult;
use crate::target::{Address, Target};

const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers every request on every connection, `answers_each` of them on each before it closes.
fn serve(answers_each: usize) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut received = Vec::new();
                let mut answered = 0;
                while answered < answers_each {
                    let mut piece = [0; 4_096];
                    let bytes = socket.read(&mut piece).ok().filter(|bytes| *bytes > 0)?;
                    received.extend_from_slice(&piece[..bytes]);
                    while let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
                        received.drain(..end + 4);
                        socket.write_all(REPLY).ok()?;
                        answered += 1;
                    }
                }
                Some(())
            });
        }
    });
    address
}

/// Requests without a body, so that a request is a head.
fn plan(address: SocketAddr, pace: Pace) -> Plan {
    let target: Target = format!("http://{address}/x").parse().unwrap();
    let options = BodyOptions::default();
    Plan {
        address: Address::Tcp(address),
        questions: bodies::build(&target, Protocol::Raw, &Input::None, &options).unwrap(),
        check: Protocol::Raw.check(),
        pace,
        connections: 20,
        pipeline: 1,
        time_limit_ns: 5_000_000_000,
        wait: Wait::Adaptive,
        cpu: None,
    }
}

fn open(rate_qps: f64, requests: u64) -> Pace {
    let arrivals = Arrivals::Constant { rate_qps };
    Pace::Open(Schedule::new(&arrivals, None, Some(requests), 1).unwrap())
}

fn outcomes(recording: &Recording, outcome: Outcome) -> usize {
    recording.samples.iter().filter(|sample| sample.outcome == outcome).count()
}

#[test]
fn each_request_of_a_schedule_is_sent_timed_and_answered_once() {
    let recording =
        run(&plan(serve(usize::MAX), open(10_000.0, 600)), &Progress::default()).unwrap();
    assert_eq!((recording.samples.len(), outcomes(&recording, Outcome::Answered)), (600, 600));
    let due: Vec<u64> = recording.samples.iter().map(|sample| sample.due_ns).collect();
    assert_eq!((due[0], due[1], due[599]), (0, 100_000, 59_900_000));
    assert!(recording.samples.iter().all(|sample| sample.lag_ns <= sample.latency_ns));
    assert!(recording.elapsed_ns >= 59_900_000);
    assert!(!recording.ended_early);
}

#[test]
fn a_closed_loop_sends_as_many_requests_as_it_was_asked_for() {
    for pipeline in [1, 4, 64] {
        let pace = Pace::Closed { requests: Some(1_000), duration_ns: None };
        let plan = Plan { connections: 3, pipeline, ..plan(serve(usize::MAX), pace) };
        let recording = run(&plan, &Progress::default()).unwrap();
        assert_eq!(outcomes(&recording, Outcome::Answered), 1_000);
    }
}

#[test]
fn a_closed_loop_ends_after_its_time() {
    let pace = Pace::Closed { requests: None, duration_ns: Some(100_000_000) };
    let recording = run(&plan(serve(usize::MAX), pace), &Progress::default()).unwrap();
    assert!(outcomes(&recording, Outcome::Answered) > 20);
    assert!(recording.samples.iter().all(|sample| sample.due_ns < 100_000_000));
}

#[test]
fn a_connection_that_closes_is_opened_again() {
    let recording = run(&plan(serve(1), open(2_000.0, 400)), &Progress::default()).unwrap();
    assert_eq!(recording.samples.len(), 400);
    let answered = outcomes(&recording, Outcome::Answered);
    // Some meet the end of their connection on their way.
    assert_eq!(answered + outcomes(&recording, Outcome::Broken), 400);
    assert!(answered >= 150, "{answered}");
}

#[test]
fn a_run_that_is_interrupted_sends_no_more() {
    let progress = Progress::default();
    progress.interrupt();
    let recording = run(&plan(serve(usize::MAX), open(1_000.0, 60_000)), &progress).unwrap();
    assert!(recording.samples.len() < 600, "{}", recording.samples.len());
    assert!(recording.ended_early);
}

#[test]
fn what_is_not_answered_in_time_is_given_up_and_so_is_what_could_not_be_sent() {
    // It takes connections, and never says a word.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let plan = Plan {
        connections: 2,
        time_limit_ns: 100_000_000,
        ..plan(silent.local_addr().unwrap(), open(100.0, 30))
    };
    let recording = run(&plan, &Progress::default()).unwrap();
    assert_eq!((recording.samples.len(), outcomes(&recording, Outcome::TimedOut)), (30, 30));
    assert!(recording.samples.iter().all(|sample| sample.latency_ns >= 100_000_000));
    assert!(recording.first_error.unwrap().contains("time limit"));
    assert!(recording.blocked > 0);
}

#[test]
fn a_server_that_is_not_there_is_told_before_anything_is_sent() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = run(&plan(address, open(10.0, 1)), &Progress::default()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot connect to {address}: ")), "{error}");
}

#[test]
fn a_core_that_cannot_be_had_is_told() {
    let plan = Plan { cpu: Some(1_023), ..plan(serve(1), open(10.0, 1)) };
    let error = run(&plan, &Progress::default()).unwrap_err().to_string();
    assert!(error.contains("core 1023"), "{error}");
}

fn reading() -> Reading {
    let plan = PlanResult {
        loop_kind: "open".to_owned(),
        arrivals: Some("constant".to_owned()),
        rate_qps: Some(1_000.0),
        seconds: None,
        requests: None,
        connections: 7,
        pipeline: 1,
        time_limit_ns: 1_000_000_000,
        seed: 1,
        protocol: "raw".to_owned(),
        input: "none".to_owned(),
        bodies: 1,
        request_bytes: 50,
        wait: "adaptive".to_owned(),
        cpu: None,
    };
    Reading { target: "x".to_owned(), plan, warm_up: WarmUpRule::None, slo_ns: Some(2_000_000) }
}

/// 1,000 requests a second for 10 s, each 1 ms, sent 10 µs late.
fn recording() -> Recording {
    let sample = |i: u64| Sample {
        due_ns: i * 1_000_000,
        lag_ns: 10_000,
        latency_ns: 1_000_000 + i % 7,
        question: 0,
        outcome: Outcome::Answered,
        correct: None,
    };
    Recording {
        samples: (0..10_000).map(sample).collect(),
        elapsed_ns: 10_000_000_000,
        ..Recording::default()
    }
}

#[test]
fn rates_and_goodput_count_what_was_due() {
    let mut recording = recording();
    for sample in recording.samples.iter_mut().step_by(10) {
        sample.latency_ns = 3_000_000;
    }
    for sample in recording.samples.iter_mut().skip(1).step_by(10) {
        sample.outcome = Outcome::Default;
    }
    let result = analyse(&recording, reading());
    let rates = [result.offered_qps, result.answered_qps, result.goodput_qps.unwrap()];
    assert_eq!(rates.map(f64::round), [1_000.0, 900.0, 800.0]);
    assert_eq!((result.counts.answered, result.counts.defaults), (9_000, 1_000));
    assert!(result.validity.valid, "{:?}", result.validity);
    let heat: u64 = result.slices.slices.iter().flat_map(|s| &s.heat).map(|(_, n)| n).sum();
    assert_eq!(heat, 10_000);
}

#[test]
fn a_lag_above_a_twentieth_of_the_latency_is_invalid_and_one_below_is_not() {
    let mut recording = recording();
    recording.samples.iter_mut().for_each(|sample| sample.lag_ns = 49_000);
    assert!(analyse(&recording, reading()).validity.valid);
    recording.samples.iter_mut().take(120).for_each(|sample| sample.lag_ns = 51_000);
    recording.blocked = 3;
    let validity = analyse(&recording, reading()).validity;
    assert!(!validity.valid);
    let reason = &validity.reasons[0];
    assert!(
        reason.contains("p99 of 51.0 µs, more than 5 % of the latency's 1000.0 µs"),
        "{reason}"
    );
    assert!(reason.contains("every one of the 7 connections was taken 3 times"), "{reason}");
}

/// What a run is told that was late, when others had its core for so long.
fn advice(wait: &str, delayed_ns: Option<u64>) -> String {
    let mut recording = recording();
    recording.samples.iter_mut().for_each(|sample| sample.lag_ns = 100_000);
    recording.generator.delayed_ns = delayed_ns;
    let mut reading = reading();
    (reading.plan.wait, reading.plan.cpu) = (wait.to_owned(), Some(1));
    analyse(&recording, reading).validity.reasons[0].clone()
}

#[test]
fn a_generator_that_shares_its_core_is_told_so_and_to_sleep_and_never_to_spin_there() {
    let (shared, alone) = (Some(2_500_000_000), Some(1_000_000));
    for wait in ["adaptive", "yield", "spin"] {
        let told = advice(wait, shared);
        assert!(told.contains("others ran on core 1 for 25 % of its time"), "{told}");
        assert!(told.ends_with("wait by --wait sleep"), "{told}");
        for delayed_ns in [alone, None] {
            assert!(advice(wait, delayed_ns).ends_with("lower the rate"));
        }
    }
    assert!(advice("sleep", shared).ends_with("(--cpu)"));
    assert!(advice("sleep", alone).contains("wait by --wait yield, or lower the rate"));
}

#[test]
fn a_run_that_was_on_time_on_a_shared_core_is_warned_and_one_alone_is_not() {
    let warned = |delayed_ns| {
        let mut recording = recording();
        recording.generator.delayed_ns = delayed_ns;
        analyse(&recording, reading()).validity.warnings
    };
    let told = warned(Some(20_000_000_000));
    assert!(told[0].starts_with("others ran on its core for 100 % of its time"), "{told:?}");
    assert_eq!([warned(Some(1_000_000)), warned(None)], [[""; 0], [""; 0]]);
}

#[test]
fn failed_requests_are_the_slowest_of_all() {
    let mut recording = recording();
    for sample in recording.samples.iter_mut().step_by(50) {
        (sample.outcome, sample.latency_ns) = (Outcome::Broken, 5);
    }
    let result = analyse(&recording, reading());
    let at = |quantile| {
        let all = &result.latency.quantiles;
        all.iter().find(|found| found.quantile == quantile).unwrap().value_ns
    };
    assert_eq!((at(0.99), at(0.5)), (None, Some(1_000_003)));
    assert_eq!(result.latency.failed, 200);
}

#[test]
fn a_warm_up_of_a_given_time_is_cut() {
    let reading =
        Reading { warm_up: WarmUpRule::Fixed { duration_ns: 2_000_000_000 }, ..reading() };
    let result = analyse(&recording(), reading);
    assert_eq!((result.warm_up.requests, result.counts.requests), (2_000, 8_000));
    assert_eq!(result.warm_up.duration_ns, 2_000_000_000);
    assert_eq!(result.offered_qps.round(), 1_000.0);
    let warm = result.slices.slices.iter().filter(|slice| slice.is_warm_up).count() as u64;
    assert_eq!(warm * result.slices.slice_ns / 100_000_000, 20 - 1);
}

#[test]
fn an_empty_recording_is_still_a_result() {
    let result = analyse(&Recording::default(), reading());
    assert_eq!((result.counts.requests, result.latency.count), (0, 0));
    assert!(result.to_string().contains("requests"), "{result}");
}
