//! What the world found, each as a scripted scenario that passes when the defect is absent.

use super::script::{Ask, GARBAGE, LARGE, QUICK, Reading, Request, S, Script, Step};
use super::{MS, Plan, START_NS, START_UNIX_S, World};
use crate::limits::{BULK_RECEIVES_MAX, SILENCE_NS, STALLED_INPUT_BYTES_MAX};
use crate::port::http::ledger::Bounds;

const KIB: usize = 1 << 10;
const PLENTY: Bounds = Bounds { share: 16 << 20, pool: 0, connection: 16 << 20 };

/// An answer of about 60 KiB.
fn large() -> Request {
    Request::large(30_000)
}

fn drips(bytes: usize, times: usize) -> Vec<Step> {
    (0..times).flat_map(|_| [Step::Pause(S), Step::Send(bytes)]).collect()
}

#[test]
fn a_late_client_whose_answer_cannot_go_out_is_refused_once() {
    let steps = vec![Step::SendRequests(1), Step::Send(7)];
    let script = Script::new(vec![large(), Request::predict(QUICK)], steps);
    let script = script.reading(Reading::Never).window(KIB);
    let world = Plan::new(vec![script]).run();
    assert!(world.stats.engine.http_errors(408).get() <= 1);
}

#[test]
fn decoded_bodies_count_as_held() {
    let script = || {
        let request = Request::predict(LARGE).padded(400 * KIB).chunked(4 * KIB);
        Script::new(vec![request], vec![Step::Send(390 * KIB), Step::Pause(2 * S), Step::Leave])
    };
    Plan::new((0..6).map(|_| script()).collect()).run();
}

#[test]
fn decoded_bodies_go_with_their_connections() {
    let script = |start_ns| {
        let request = Request::predict(LARGE).padded(300 * KIB).chunked(4 * KIB);
        let steps = vec![Step::Send(290 * KIB), Step::Pause(100 * MS), Step::Break];
        Script::new(vec![request], steps).after(start_ns)
    };
    Plan::new((0..6).map(|number| script(number * S)).collect()).run();
}

#[test]
fn who_holds_too_much_is_refused_and_nobody_else() {
    let hoarder = || {
        let request = Request::predict(LARGE).padded(200 * KIB);
        let mut steps = vec![Step::Send(150 * KIB)];
        steps.extend(drips(2 * KIB, 10));
        Script::new(vec![request], steps)
    };
    let innocent = Script::innocent(8, S).after(500 * MS);
    Plan::new(vec![hoarder(), hoarder(), innocent.clone(), innocent]).run();
}

#[test]
fn a_send_has_a_bound() {
    let requests = vec![large(); 8];
    let steps = vec![Step::SendRequests(1), Step::Pause(100 * MS), Step::SendRequests(7)];
    let script = Script::new(requests, [steps, vec![Step::Await(S), Step::Leave]].concat());
    Plan::new(vec![script.window(32 * KIB)]).run();
}

#[test]
fn bytes_owed_have_a_bound() {
    let ask = Ask::Predict { application: LARGE, inputs: 15, batch: true, size: 30_000 };
    let steps = (0..16).flat_map(|_| [Step::SendRequests(1), Step::Pause(100 * MS)]);
    let script = Script::new(vec![Request::of(ask); 16], steps.collect());
    let script = script.reading(Reading::Never).window(KIB);
    Plan::new(vec![script]).run();
}

#[test]
fn nothing_behind_a_closing_answer_is_executed() {
    let requests = [Request::of(Ask::BadJson), Request::predict(QUICK), Request::predict(QUICK)];
    Plan::new(vec![Script::at_once(requests.to_vec())]).run();
}

#[test]
fn a_bad_request_that_is_well_framed_keeps_its_connection() {
    let steps = vec![Step::SendRequests(1), Step::Await(S), Step::SendRequests(1), Step::Await(S)];
    let requests = vec![Request::of(Ask::BadJson), Request::predict(QUICK)];
    Plan::new(vec![Script::new(requests, [steps, vec![Step::Leave]].concat())]).run();
}

#[test]
fn a_client_that_pipelines_and_does_not_read_ends() {
    let script = Script::at_once([vec![large()], vec![Request::predict(QUICK); 40]].concat());
    Plan::new(vec![script.reading(Reading::Never).window(KIB)]).run();
}

#[test]
fn a_client_that_stops_reading_one_answer_ends() {
    let script = Script::at_once(vec![large()]);
    let world = Plan::new(vec![script.reading(Reading::Never).window(KIB)]).run();
    assert_eq!(world.stats.engine.connections.get(), 0);
}

#[test]
fn a_half_closed_client_gets_the_answer_that_is_in_flight() {
    let steps = vec![Step::SendRequests(1), Step::Pause(200 * MS), Step::Finish];
    let reading = Reading::Paced { bytes: 8 * KIB, every_ns: 250 * MS };
    let script = Script::new(vec![large()], steps).reading(reading).window(8 * KIB);
    Plan::new(vec![script]).run();
}

#[test]
fn a_half_closed_client_gets_all_that_it_pipelined() {
    let steps = vec![Step::SendRequests(20), Step::Finish];
    Plan::new(vec![Script::new(vec![Request::predict(QUICK); 20], steps)]).run();
}

#[test]
fn an_answer_that_is_read_slowly_is_not_idle() {
    let ask = Ask::Predict { application: LARGE, inputs: 16, batch: true, size: 60_000 };
    let reading = Reading::Paced { bytes: 4 * KIB, every_ns: 250 * MS };
    let script = Script::at_once(vec![Request::of(ask)]).reading(reading).window(8 * KIB);
    Plan::new(vec![script]).run();
}

#[test]
fn flow_control_holds_when_a_cancel_ends_with_enobufs() {
    let requests = vec![Request::predict(QUICK).padded(4 * KIB); 200];
    let script = Script::new(requests, vec![Step::SendRequests(200)]);
    let script = script.reading(Reading::Never).window(KIB / 2);
    let mut plan = Plan::new(vec![script]);
    plan.kernel.cancels_with_nobufs = true;
    plan.input = PLENTY;
    plan.bytes_in_max = usize::MAX;
    let buffers = plan.kernel.receive_buffers * plan.kernel.receive_buffer_bytes;
    let mut world = World::new(plan);
    while world.state.borrow().clock.peek_ns() < START_NS + 2 * S {
        world.step();
        let held = world.thread.frontend.memory().held;
        assert!(held <= 2 * (STALLED_INPUT_BYTES_MAX + buffers), "{held} bytes are held");
    }
}

#[test]
fn a_turn_has_a_budget() {
    let body = Request::predict(LARGE).padded(3 << 20);
    let ask = Ask::Predict { application: LARGE, inputs: 16, batch: true, size: 60_000 };
    let leaves = |request| {
        Script::new(vec![request], vec![Step::SendRequests(1), Step::Await(60 * S), Step::Leave])
    };
    let mut plan = Plan::new(vec![leaves(body), leaves(Request::of(ask))]);
    plan.input = PLENTY;
    plan.bytes_in_max = usize::MAX;
    plan.run();
}

#[test]
fn a_client_that_vanishes_amid_a_head_is_missed_soon() {
    let steps = vec![Step::Send(6), Step::Pause(MS), Step::Break];
    let clients = vec![Script::new(vec![Request::predict(QUICK)], steps); 8];
    let mut plan = Plan::new(clients);
    plan.kernel.loses_resets = true;
    let world = plan.run();
    let state = world.state.borrow();
    assert!(state.kernel.met.lost_resets > 0);
    let closed = state.kernel.sockets.iter().filter_map(|socket| socket.closed_ns);
    let latest_ns = closed.max().expect("all are closed") - START_NS;
    assert!(latest_ns <= 2 * SILENCE_NS, "{latest_ns} ns");
}

#[test]
fn a_request_does_not_wait_for_the_large_body_of_another() {
    let body = Request::predict(LARGE).padded(8 << 20);
    let steps = vec![Step::SendRequests(1), Step::Await(60 * S), Step::Leave];
    let ask = || [Step::Pause(300_000), Step::SendRequests(1), Step::Await(S)];
    let asks = (0..20).flat_map(|_| ask());
    let asks = [Step::Pause(3 * MS)].into_iter().chain(asks).chain([Step::Leave]).collect();
    let small = Script::new(vec![Request::predict(QUICK); 20], asks);
    let mut plan = Plan::new(vec![Script::new(vec![body], steps), small]);
    // Half of the body is in the socket at once, and would fill all buffers.
    plan.kernel.inbound_bytes_max = 4 << 20;
    plan.kernel.receive_buffers = 512;
    plan.input = PLENTY;
    plan.bytes_in_max = usize::MAX;
    let world = plan.run();
    let parse = &world.stats.applications[QUICK].parse;
    assert_eq!(parse.count(), 20);
    let turn_ns = (BULK_RECEIVES_MAX * 4 * KIB) as u64;
    assert!(parse.max() <= 4 * turn_ns, "{} ns", parse.max());
}

#[test]
fn queries_that_were_reaped_together_arrived_together() {
    let asks = |application| {
        let steps = vec![Step::Pause(10 * MS), Step::SendRequests(1), Step::Await(S), Step::Leave];
        Script::new(vec![Request::predict(application)], steps)
    };
    let world = Plan::new(vec![asks(QUICK), asks(LARGE)]).run();
    let state = world.state.borrow();
    let arrived: Vec<u64> = state
        .deadlines
        .iter()
        .map(|(application, deadline_ns)| deadline_ns - super::SLO_NS[*application])
        .collect();
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[0], arrived[1]);
}

#[test]
fn end_to_end_ends_when_the_answer_is_handed_over() {
    let requests = vec![Request::predict(LARGE), Request::predict(QUICK)];
    let steps = vec![Step::SendRequests(2), Step::Await(S), Step::Leave];
    let mut plan = Plan::new(vec![Script::new(requests, steps)]);
    plan.service_ns[LARGE] = 30 * MS;
    let world = plan.run();
    // The quick answer waits for the large one before it.
    let quick = &world.stats.applications[QUICK].end_to_end;
    assert_eq!(quick.count(), 1);
    assert!(quick.sum() >= 15 * MS, "{} ns", quick.sum());
}

#[test]
fn only_the_listener_that_failed_is_armed_again() {
    let script = |listener| Script { listener, ..Script::innocent(1, 0).after(10 * MS) };
    let mut plan = Plan::new(vec![script(0), script(0)]);
    plan.no_descriptors = Some((MS, 150 * MS));
    plan.run();
}

/// A drain that begins within the pause after an accept that failed: nobody accepts again.
#[test]
fn an_engine_that_drains_does_not_spin_for_a_listener_that_had_failed() {
    let stays = Script { listener: 0, ..Script::innocent(1, S) };
    let comes_late = Script { listener: 0, ..Script::innocent(1, 0).after(10 * MS) };
    let mut plan = Plan::new(vec![stays, comes_late]);
    plan.no_descriptors = Some((MS, 150 * MS));
    plan.drain_ns = Some(50 * MS);
    plan.run();
}

#[test]
fn a_refusal_has_the_date_of_now() {
    let (bytes, status) = GARBAGE[0];
    for offset_ns in (0..3 * S).step_by(10_000_000) {
        // Activity of another renews the date out of step with the looks at slow clients.
        let asks = |pause_ns, request| {
            let steps = vec![Step::Pause(pause_ns), Step::SendRequests(1), Step::Await(S)];
            Script::new(vec![request], steps).after(350 * MS)
        };
        let other = asks(offset_ns, Request::predict(QUICK));
        let refused = asks(offset_ns + 620 * MS, Request::of(Ask::Garbage(bytes, status)));
        let plan = Plan { keeps_answers: true, ..Plan::new(vec![other, refused]) };
        let world = plan.run();
        let state = world.state.borrow();
        let answers = state.answers.iter().flatten();
        let refusals: Vec<_> = answers.filter(|(_, _, answer)| answer.status == status).collect();
        let [(_, at_ns, refusal)] = &refusals[..] else { panic!("one refusal") };
        let least_s = START_UNIX_S + (at_ns - START_NS).saturating_sub(500 * MS) / S;
        let second: u64 = refusal.date[23..25].parse().expect("a second");
        assert!(second >= least_s % 60, "{} at {at_ns}, {offset_ns}", refusal.date);
    }
}

/// A receive that ended for want of buffers is begun again for a client that is refused: what it
/// goes on sending, unread, would have the kernel reset the connection, and the refusal with it.
#[test]
fn a_refusal_is_read_by_who_goes_on_sending_when_buffers_are_short() {
    let ask = Ask::Predict { application: LARGE, inputs: 3, batch: true, size: 750 };
    let refused = || {
        let mut requests = vec![Request::of(Ask::Garbage(GARBAGE[0].0, GARBAGE[0].1))];
        requests.extend(vec![Request::of(ask).chunked(294); 6]);
        let reading = Reading::Paced { bytes: 16 * KIB, every_ns: 250 * MS };
        Script::new(requests, vec![Step::SendRequests(7)]).reading(reading)
    };
    let mut plan = Plan::new((0..4).map(|_| refused()).collect());
    (plan.kernel.receive_buffers, plan.kernel.receive_buffer_bytes) = (1, 512);
    plan.run();
}
