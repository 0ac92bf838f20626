//! Changes of a running server, with real processes and under load: applications and model versions
//! come, are linked, and go, and no query is lost, nor anything left behind.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cutter_server::config::{self, Config};
use cutter_server::control::changes::Changes;
use cutter_server::control::plan::ChangeError;
use cutter_server::server::{Host, Server};
use cutter_tests::{Client, Load, Process, application, eventually, model};
use serde_json::{Value, json};

const FLOATS: &str = "type = \"floats\", shape = [4]";
/// So much may the allocator keep. What is counted of one application, left behind in each round,
/// would be five times as much.
const SPARE_KIB: u64 = 8 << 10;

/// One server at a time: what this process holds is measured.
static ALONE: Mutex<()> = Mutex::new(());

/// A server in this process, with one application and one model.
struct World {
    server: Server,
    folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl World {
    fn start() -> World {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!(
            "[server]\nquery = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n{}{}",
            application("steady", FLOATS, 2_000, "m", "rows = 64"),
            model("m", &["slow", "0"], "version = \"0\""),
        );
        let folder = tempfile::tempdir().expect("temporary files can be made");
        let config = parsed(&text, folder.path());
        let server = Server::start(config, Host::default()).expect("it starts");
        World { server, folder, _alone: alone }
    }

    fn changes(&self) -> &Changes {
        self.server.changes()
    }

    /// One model, read as in a configuration.
    fn model(&self, version: u32) -> config::Model {
        let text = model("m", &["slow", "0"], &format!("version = \"{version}\""));
        parsed(&text, self.folder.path()).models.remove(0)
    }

    /// A model that says which inputs it takes.
    fn pairs(&self) -> config::Model {
        let text = model("pairs", &["echo", "floats", "2"], "");
        parsed(&text, self.folder.path()).models.remove(0)
    }

    /// One application, read as in a configuration.
    fn application(&self, name: &str, input: &str) -> config::Application {
        let text = format!(
            "[[application]]\nname = \"{name}\"\ninput = {{ {input} }}\nrows = 64\n\
             slo_us = 2000000\ndefault_output = \"-1\"\n"
        );
        parsed(&text, self.folder.path()).applications.remove(0)
    }

    fn client(&self) -> Client {
        let config::Listen::Tcp(address) = self.server.addresses()[0] else { unreachable!() };
        Client::tcp(address)
    }

    fn load(&self, clients: u32) -> Load {
        let config::Listen::Tcp(address) = self.server.addresses()[0] else { unreachable!() };
        Load::start(address, "steady", clients)
    }

    fn admin(&self, path: &str) -> Value {
        Client::tcp(self.server.admin()).get(path).json()
    }

    fn wait_ready(&self) {
        eventually("every model is ready", || {
            (self.admin("/readyz")["status"] == "ready").then_some(())
        });
    }

    /// A drain waits for idle connections for a while: they are closed before.
    fn end(mut self) {
        self.server.stop();
        self.server.join().expect("it ends in good order");
    }
}

fn parsed(text: &str, folder: &Path) -> Config {
    Config::from_toml(text, folder, "test").expect("it is right").0
}

/// What the process holds: descriptors, mappings of shared memory, children, KiB of memory.
fn held() -> (usize, usize, usize, u64) {
    let process = Process::of(std::process::id()).expect("it runs");
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    let kib = resident.trim().trim_end_matches(" kB").parse().expect("a number");
    (process.descriptors(), process.mappings("memfd:"), process.children().len(), kib)
}

/// One more application comes, is asked and goes, and every fifth time the model's version is
/// another one and goes there and back first. Says how many changes that were.
fn round(world: &World, client: &mut Client, number: u32) -> usize {
    let changes = world.changes();
    let (before, after) = (format!("m:{}", number / 5), format!("m:{}", number / 5 + 1));
    let mut count = 0;
    let mut done = |result: Result<(), ChangeError>| {
        result.expect("what is in order is done");
        count += 1;
    };
    let name = format!("extra{number}");
    done(changes.add_application(world.application(&name, FLOATS), 2));
    done(changes.link(&name, &[&before]));
    assert_eq!(client.predict(&name, json!([number, 0, 0, 0]))["output"], f64::from(number));
    if number % 5 == 4 {
        done(changes.add_model(world.model(number / 5 + 1)));
        world.wait_ready();
        for version in [&after, &before, &after] {
            done(changes.link("steady", &[version]));
        }
        done(changes.link(&name, &[&after, &before]));
        assert_eq!(client.predict(&name, json!([3, 0, 0, 0]))["output"], 3.0);
        done(changes.link(&name, &[&after]));
        done(changes.remove_model(&before));
    }
    done(changes.remove_application(&name));
    let gone = client.post(&format!("/{name}/predict"), "{\"input\": [1, 0, 0, 0]}");
    assert_eq!(gone.status, 404, "{}", gone.text());
    count
}

#[test]
fn a_thousand_changes_under_load_lose_no_query_and_leave_nothing_behind() {
    let world = World::start();
    world.wait_ready();
    let load = world.load(8);
    let mut client = world.client();
    // Once round all that happens, so that what is taken once is taken.
    let mut rounds = 0..;
    let mut count = 0;
    for number in rounds.by_ref().take(20) {
        count += round(&world, &mut client, number);
    }
    let before = held();
    while count < 1_000 {
        for number in rounds.by_ref().take(5) {
            count += round(&world, &mut client, number);
        }
        load.wait_answered(1);
    }
    let after = eventually(&format!("what was taken is given back, to {before:?}"), || {
        let now = held();
        ((now.0, now.1, now.2) == (before.0, before.1, before.2)).then_some(now)
    });
    assert!(after.3 < before.3 + SPARE_KIB, "{before:?} {after:?}");
    let tally = load.stop();
    tally.assert_all_answered();
    assert_eq!(tally.defaulted(), 0, "{tally:?}");
    assert!(tally.predictions > 1_000, "{tally:?}");
    let stats = world.admin("/stats");
    let (applications, models) = (stats["applications"].as_array(), stats["models"].as_array());
    assert_eq!((applications.unwrap().len(), models.unwrap().len()), (1, 1));
    assert_eq!(stats["models"][0]["restarts"], 0);
    drop(client);
    world.end();
}

#[test]
fn an_application_that_goes_answers_what_it_was_asked() {
    let world = World::start();
    world.wait_ready();
    let gone = AtomicBool::new(false);
    let settings = world.application("going", FLOATS);
    world.changes().add_application(settings, 1).unwrap();
    world.changes().link("going", &["m"]).unwrap();
    std::thread::scope(|scope| {
        let asks = || {
            let mut client = world.client();
            let mut answered = 0;
            loop {
                let was_gone = gone.load(Ordering::SeqCst);
                let response = client.post("/going/predict", "{\"input\": [7, 0, 0, 0]}");
                if response.status == 404 {
                    return answered;
                }
                assert!(!was_gone, "answered by an application that is removed");
                assert_eq!(response.json()["output"], 7.0, "{}", response.text());
                answered += 1;
            }
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(asks)).collect();
        std::thread::sleep(std::time::Duration::from_millis(100));
        world.changes().remove_application("going").unwrap();
        gone.store(true, Ordering::SeqCst);
        clients.into_iter().for_each(|client| assert!(client.join().unwrap() > 0));
    });
    world.end();
}

#[test]
fn what_cannot_be_done_is_refused_with_its_reason_and_changes_nothing() {
    let world = World::start();
    world.wait_ready();
    let changes = world.changes();
    changes.add_model(world.model(2)).unwrap();
    changes.add_model(world.pairs()).unwrap();
    world.wait_ready();
    changes.add_application(world.application("words", "type = \"strings\""), 1).unwrap();
    let refused = |result: Result<(), ChangeError>| result.unwrap_err().to_string();
    let table = [
        (
            refused(changes.add_model(world.model(0))),
            "there is a model m of version 0 already; give another version",
        ),
        (
            refused(changes.add_application(world.application("steady", FLOATS), 1)),
            "there is an application steady already; remove it first",
        ),
        (
            refused(changes.link("nobody", &["m:0"])),
            "there is no application nobody; there are: steady, words",
        ),
        (
            refused(changes.link("steady", &["n"])),
            "there is no model n; there are: m:0, m:2, pairs:1",
        ),
        (
            refused(changes.link("steady", &["pairs"])),
            "model pairs:1 takes float32[2], but application steady sends float32[4]; link it to \
             another model",
        ),
        (
            refused(changes.link("steady", &["m"])),
            "there are several versions of model m; name one of them: m:0, m:2",
        ),
        (
            refused(changes.link("steady", &["m:0", "m:2"])),
            "application steady was made for 1 models at most, and 2 are named; add it anew for \
             more (at most 32)",
        ),
        (
            refused(changes.remove_model("m:0")),
            "model m:0 is linked to application steady; link that elsewhere first",
        ),
        (
            refused(changes.remove_application("nobody")),
            "there is no application nobody; there are: steady, words",
        ),
    ];
    for (found, expected) in table {
        assert_eq!(found, expected);
    }
    let mut client = world.client();
    assert_eq!(client.predict("steady", json!([5, 0, 0, 0]))["output"], 5.0);
    assert_eq!(client.predict("words", "five")["default"], true);
    drop(client);
    world.end();
}
