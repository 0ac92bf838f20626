mod support;
use cutter_protocol::wait::WaitStrategy;
use cutter_protocol::container::Next;
use support::*;
#[test]
fn stop_then_gone() {
    for wait in WaitStrategy::ALL {
        let mut gone = 0;
        for _ in 0..3000 {
            let r = Setup::new(exact_bytes(24)).wait(wait).run(
                |mut end| loop {
                    match end.next(Some(20_000)) { Ok(Next::Idle) => {}, other => return other.map(|_| ()) }
                },
                |engine| engine.end.stop(),
            );
            gone += usize::from(r.is_err());
        }
        eprintln!("{wait:?}: {gone} of 3000 stops seen as EngineGone");
    }
    for wait in WaitStrategy::ALL {
        let mut gone = 0;
        for _ in 0..3000 {
            let r = Setup::new(exact_bytes(24)).wait(wait).run(
                |mut end| end.next(None).map(|_| ()),
                |engine| engine.end.stop(),
            );
            gone += usize::from(r.is_err());
        }
        eprintln!("no limit {wait:?}: {gone} of 3000 stops seen as EngineGone");
    }
}
#[test]
fn spin_overflow() {
    let t = std::time::Instant::now();
    let r = Setup::new(exact_bytes(24)).wait(WaitStrategy::Spin).run(
        |mut end| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| end.next(None).map(|_| ()))).is_err(),
        |engine| { std::thread::sleep(std::time::Duration::from_secs(90)); engine.end.stop() },
    );
    eprintln!("panicked: {r} {:?}", t.elapsed());
}
