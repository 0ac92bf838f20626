//! What the surroundings of a server do to it: logs that cannot be written, signals at any moment,
//! few descriptors, addresses that are not free yet. It serves on, and its operator is told.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use cutter_tests::limits::STOP_TIME;
use cutter_tests::server::{Plan, cutter};
use cutter_tests::{
    Client, Metrics, Process, Server, application, binary, command, eventually, model, pause_ms,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

const FLOATS: &str = "type = \"floats\", shape = [4]";

fn sums() -> String {
    application("sums", FLOATS, 10_000, "sum", "") + &model("sum", &["sum"], "")
}

/// An address that nothing else of this machine comes by until it is used: each is on a loopback
/// address of its own, where the kernel gives ports to nobody.
fn free_address() -> SocketAddr {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    // Relaxed: it only counts.
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let [.., high, low] = std::process::id().to_be_bytes();
    TcpListener::bind((Ipv4Addr::new(127, count, high, low), 0)).unwrap().local_addr().unwrap()
}

/// A port that is free on all addresses, and that the kernel gives to nobody by itself.
fn free_port() -> u16 {
    let below_the_kernels = 20_000..30_000;
    let start = std::process::id() as usize % below_the_kernels.len();
    let mut ports = below_the_kernels.clone().skip(start).chain(below_the_kernels);
    ports.find(|port| TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).is_ok()).unwrap()
}

/// A server of which the log is not read, on addresses that are known beforehand.
struct Unread {
    folder: TempDir,
    query: SocketAddr,
    admin: SocketAddr,
    child: Child,
}

impl Unread {
    fn start(body: &str, stderr: Stdio) -> Unread {
        let (folder, query, admin) = (tempfile::tempdir().unwrap(), free_address(), free_address());
        let text = format!("[server]\nquery = [\"{query}\"]\nadmin = \"{admin}\"\n{body}");
        std::fs::write(folder.path().join("cutter.toml"), text).unwrap();
        let mut command = cutter(&["serve", "--config", "cutter.toml"]);
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(stderr).spawn().unwrap();
        Unread { folder, query, admin, child }
    }

    fn wait_ready(&self) {
        eventually("the server is ready", || {
            let mut client = Client::try_tcp(self.admin).ok()?;
            (client.get("/readyz").status == 200).then_some(())
        });
    }

    fn dropped(&self) -> f64 {
        let metrics = Metrics::parse(&Client::tcp(self.admin).get("/metrics").text());
        metrics.sum("cutter_log_lines_dropped_total", &[])
    }

    fn end(mut self) -> ExitStatus {
        Process::of(self.child.id()).unwrap().signal(Signal::TERM);
        let status = command::wait(&mut self.child, STOP_TIME).expect("it ends");
        let left = std::fs::read_dir(self.folder.path()).unwrap().count();
        assert_eq!(left, 1, "of the folder only the configuration is left");
        status
    }
}

/// The write end of a pipe into which nothing more goes, and its reader, which stands still.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'x'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

#[track_caller]
fn assert_serves_and_ends(server: Unread) {
    server.wait_ready();
    let mut client = Client::tcp(server.query);
    assert_eq!(client.predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
    assert_eq!(Client::tcp(server.admin).get("/healthz").status, 200);
    drop(client);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_log_on_a_full_disk_ends_nothing_and_its_lines_are_counted() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let server = Unread::start(&sums(), full.into());
    server.wait_ready();
    assert!(server.dropped() >= 1.0);
    assert_serves_and_ends(server);
}

#[test]
fn a_log_that_nobody_reads_any_more_ends_nothing() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    drop(reader);
    let server = Unread::start(&sums(), writer.into());
    server.wait_ready();
    assert!(server.dropped() >= 1.0);
    assert_serves_and_ends(server);
}

#[test]
fn a_log_whose_reader_stands_still_blocks_nothing() {
    let (_reader, writer) = full_pipe();
    assert_serves_and_ends(Unread::start(&sums(), writer.into()));
}

#[test]
fn a_log_that_is_read_again_says_how_many_lines_are_missing() {
    let (reader, writer) = full_pipe();
    let noisy = application("sums", FLOATS, 10_000, "sum", "")
        + &model("sum", &["hostile", "noisy"], "replicas = 8");
    let server = Unread::start(&noisy, writer.into());
    server.wait_ready();
    eventually("lines are dropped", || (server.dropped() > 0.0).then_some(()));
    let log = std::thread::spawn(move || {
        let mut text = Vec::new();
        File::from(reader).read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    pause_ms(500);
    assert_eq!(server.end().code(), Some(0));
    let log = log.join().unwrap();
    assert!(log.contains("the log could not be written for a while: lines were dropped lines="));
}

#[test]
fn a_reader_of_standard_output_who_has_gone_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cutter.toml"), sums()).unwrap();
    for (program, words) in [
        ("cutter", &["check", "--config", "cutter.toml"][..]),
        ("cutter", &["--help"]),
        ("cutter-bench", &["--version"]),
    ] {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(binary(program));
        let command = command.args(words).current_dir(folder.path()).stdin(Stdio::null());
        let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), said.as_ref()), (Some(0), ""), "{words:?}");
    }
}

#[test]
fn standard_output_on_a_full_disk_is_one_line_of_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cutter.toml"), sums()).unwrap();
    for (program, words) in [
        ("cutter", &["check", "--config", "cutter.toml"][..]),
        ("cutter", &["--help"]),
        ("cutter-bench", &["--version"]),
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(binary(program));
        let command = command.args(words).current_dir(folder.path()).stdin(Stdio::null());
        let ended = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        let due = format!("{program}: cannot write to standard output: No space left");
        assert_eq!((ended.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.starts_with(&due), "{said}");
    }
}

#[test]
fn a_hangup_is_told_and_the_server_goes_on() {
    let mut server = Server::start(&sums());
    for (signal, name) in [(Signal::HUP, "SIGHUP"), (Signal::USR1, "SIGUSR1")] {
        server.process.signal(signal);
        server.wait_log(&format!("{name}: nothing is done"));
    }
    assert_eq!(server.client().predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
    assert_eq!(server.stop().code(), Some(0));
    assert!(!server.query_socket().exists());
}

/// Starts a server with a large pool on Unix sockets, and ends it after a while. What it has left.
fn ended_after(ms: u64) -> (ExitStatus, Vec<std::ffi::OsString>, String) {
    let folder = tempfile::tempdir().unwrap();
    let text = "[server]\nquery = [\"127.0.0.1:0\", \"unix:q\"]\nadmin = \"127.0.0.1:0\"\n\
                socket = \"c\"\n"
        .to_owned()
        + &application("big", "type = \"bytes\", max_bytes = 65536", 1_000, "sum", "rows = 4096")
        + &model("sum", &["sum"], "");
    std::fs::write(folder.path().join("cutter.toml"), text).unwrap();
    let mut command = cutter(&["serve", "--config", "cutter.toml"]);
    command.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let process = Process::of(child.id());
    pause_ms(ms);
    process.iter().for_each(|process| process.signal(Signal::TERM));
    let status = command::wait(&mut child, STOP_TIME).expect("it ends");
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let left = std::fs::read_dir(folder.path()).unwrap().flatten();
    (status, left.map(|entry| entry.file_name()).collect(), log)
}

#[test]
fn a_sigterm_at_any_moment_of_the_start_leaves_nothing() {
    let _built = binary("cutter");
    for ms in [0, 1, 2, 3, 5, 8, 12, 20, 35, 60, 100, 180, 320] {
        let (status, left, log) = ended_after(ms);
        // Before there are handlers nothing is made, and the kernel ends the process.
        let is_early = status.signal() == Some(Signal::TERM.as_raw()) && log.is_empty();
        assert!(status.code() == Some(0) || is_early, "after {ms} ms: {status}\n{log}");
        assert_eq!(left, ["cutter.toml"], "after {ms} ms: {status}\n{log}");
        assert!(!log.contains("ERROR"), "after {ms} ms: {log}");
    }
}

/// Reads a log until a server takes queries.
fn wait_for_queries(stderr: &mut ChildStderr) -> bool {
    let mut log = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stderr.read(&mut piece) {
            Ok(0) | Err(_) => {
                eprintln!("{}", String::from_utf8_lossy(&log));
                return false;
            }
            Ok(bytes) => log.extend_from_slice(&piece[..bytes]),
        }
        if String::from_utf8_lossy(&log).contains("taking queries on") {
            return true;
        }
    }
}

#[test]
fn a_server_that_was_killed_can_be_started_again_at_once() {
    const RESTARTS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let (query, admin) = (free_address(), free_address());
    let text = format!(
        "[server]\nquery = [\"{query}\", \"unix:q\"]\nadmin = \"{admin}\"\nsocket = \"c\"\n\
         [[application]]\nname = \"alone\"\nrows = 16\ninput = {{ type = \"strings\" }}\n"
    );
    std::fs::write(folder.path().join("cutter.toml"), text).unwrap();
    let mut started = 0;
    for _ in 0..RESTARTS {
        let mut command = cutter(&["serve", "--config", "cutter.toml"]);
        command.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        started += usize::from(wait_for_queries(child.stderr.as_mut().unwrap()));
        // Connections that are open when it dies, and one that is not accepted yet.
        let mut clients = [Client::tcp(query), Client::unix(&folder.path().join("q"))];
        for client in &mut clients {
            assert_eq!(client.predict("alone", "?")["reason"], "no_model");
        }
        let _waiting = Client::tcp(query);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(started, RESTARTS);
}

#[test]
fn few_descriptors_are_told_and_health_is_answered_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (query, admin) = (free_address(), free_address());
    let text = format!("[server]\nquery = [\"{query}\"]\nadmin = \"{admin}\"\n{}", sums());
    std::fs::write(folder.path().join("cutter.toml"), text).unwrap();
    let mut command = Command::new("sh");
    let script = format!("ulimit -n 64; exec {} serve", binary("cutter").display());
    command.args(["-c", &script]).current_dir(folder.path()).env_remove("RUST_LOG");
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let process = Process::of(child.id()).unwrap();
    let stderr = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut text = String::new();
        let mut stderr = stderr;
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    eventually("it is ready", || {
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        let mut client = Client::try_tcp(admin).ok()?;
        (client.get("/readyz").status == 200).then_some(())
    });
    let _clients: Vec<Client> = (0..100).map(|_| Client::tcp(query)).collect();
    eventually("they have the places that there are", || {
        (process.descriptors() >= 40).then_some(())
    });
    for _ in 0..30 {
        assert_eq!(Client::tcp(admin).get("/healthz").status, 200);
        pause_ms(20);
    }
    process.signal(Signal::TERM);
    let status = command::wait(&mut child, STOP_TIME).expect("it ends");
    let log = log.join().unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    let warned = log.lines().find(|line| line.contains("descriptors may be needed"));
    assert!(warned.is_some_and(|line| line.contains("may have 64")), "{log}");
    assert!(log.matches("cannot accept").count() <= 20, "{log}");
}

#[test]
fn an_address_of_all_of_ipv4_and_one_of_all_of_ipv6_go_together() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let port = free_port();
    let body = format!(
        "[server]\nquery = [\"0.0.0.0:{port}\", \"[::]:{port}\"]\nadmin = \"127.0.0.1:0\"\n"
    ) + "[[application]]\nname = \"alone\"\nrows = 16\ninput = { type = \"strings\" }\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cutter.toml"), body).unwrap();
    let mut command = cutter(&["serve", "--config", "cutter.toml"]);
    command.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    assert!(wait_for_queries(child.stderr.as_mut().unwrap()));
    for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        let mut client = Client::tcp(address.parse().unwrap());
        assert_eq!(client.predict("alone", "?")["reason"], "no_model", "{address}");
    }
    Process::of(child.id()).unwrap().signal(Signal::TERM);
    assert_eq!(command::wait(&mut child, STOP_TIME).unwrap().code(), Some(0));
}

#[test]
fn a_burst_of_connections_finds_room_to_wait() {
    let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let burst = allowed.trim().parse::<usize>().unwrap().min(500);
    let server = Server::start(&sums());
    // A server that stands still accepts nothing: what connects waits for it.
    server.process.signal(Signal::STOP);
    let waiting: Vec<Client> = (0..burst).map(|_| Client::tcp(server.query)).collect();
    server.process.signal(Signal::CONT);
    for mut client in waiting {
        assert_eq!(client.predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
    }
}

/// What `/readyz` says of the only replica.
fn replica(server: &Server) -> Value {
    server.admin("/readyz").json()["models"][0]["replicas"][0].clone()
}

#[test]
fn a_model_that_loads_before_it_connects_is_waited_for() {
    let command = format!("sleep 4; exec {}", binary("sum").display());
    let body = application("sums", FLOATS, 1_000, "sum", "")
        + &format!("[[model]]\nname = \"sum\"\ncommand = [\"sh\", \"-c\", \"{command}\"]\n");
    assert_loads(&body);
}

#[test]
fn a_model_that_connects_and_then_loads_is_not_called_ready() {
    let body = application("sums", FLOATS, 1_000, "sum", "")
        + &model("sum", &["slow", "1", "0", "4000"], "batch_timeout_us = 500000");
    assert_loads(&body);
}

#[track_caller]
fn assert_loads(body: &str) {
    let server = Plan::new(body).start();
    let loading = eventually("it loads", || {
        let replica = replica(&server);
        (replica["state"] == "loading").then_some(replica)
    });
    assert!(loading["pid"].is_u64(), "{loading}");
    let answer = server.client().predict("sums", vec![1, 2, 3, 4]);
    assert_eq!(answer["reason"], "not_ready");
    server.wait_ready();
    assert_eq!(server.client().predict("sums", vec![1, 0, 0, 0])["output"], 1.0);
    assert_eq!(replica(&server)["incarnation"], 1);
}

#[test]
fn a_core_that_the_engine_does_not_get_degrades_the_server() {
    let server = Plan::new(&sums()).with("cpu = 1000").start_ready();
    server.wait_log("the engine thread is not pinned");
    let ready = server.admin("/readyz").json();
    assert_eq!(ready["status"], "degraded");
    let reason = ready["reasons"][0].as_str().unwrap();
    assert!(reason.starts_with("the engine thread is not pinned: core 1000"), "{reason}");
}

#[test]
fn a_socket_file_of_another_server_is_left_to_it() {
    let mut server = Server::start(&sums());
    let path = server.query_socket();
    std::fs::remove_file(&path).unwrap();
    let _others = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(server.stop().code(), Some(0));
    assert!(Path::new(&path).exists());
}

/// The sizes of the batches in which so many queries were that came at once: `synthetic` tells each
/// how many were in its batch.
fn batched(server: &Server, queries: usize) -> Vec<f64> {
    let body = json!({ "input_batch": vec![[0.0]; queries] });
    let answer = server.client().post("/app/predict", body.to_string()).json();
    let predictions = answer["batch_predictions"].as_array().unwrap();
    predictions.iter().map(|prediction| prediction["output"].as_f64().unwrap()).collect()
}

#[test]
fn how_batches_are_formed_is_changed_while_queries_run() {
    let more = "batch = { policy = \"fixed\", max = 16 }";
    let app = application("app", "type = \"floats\", shape = [1]", 10_000, "m", "");
    let server = Server::start(&(app + &model("m", &["synthetic", "1000", "0"], more)));
    assert_eq!(batched(&server, 16), [16.0; 16]);
    let order = |body: Value| {
        let response = server.order("/models/m/batch", &body);
        (response.status, response.json())
    };
    let now = |policy, max, wait_us| {
        let defer = false;
        json!({"model": "m", "policy": policy, "max": max, "wait_us": wait_us, "defer": defer})
    };
    assert_eq!(order(json!({ "max": 2 })), (200, now("fixed", 2, 0)));
    assert_eq!(batched(&server, 16), [2.0; 16]);
    assert_eq!(order(json!({ "max": 16, "wait_us": 300_000 })), (200, now("fixed", 16, 300_000)));
    let begun = Instant::now();
    assert_eq!(batched(&server, 3), [3.0; 3]);
    assert!(begun.elapsed() >= Duration::from_millis(250), "they wait for others");
    let adaptive = order(json!({ "policy": "aimd", "wait_us": 0 }));
    assert_eq!(adaptive, (200, now("aimd", 16, 0)));
    assert_eq!(batched(&server, 3)[0], 1.0, "its limit is found anew");

    let refused = [
        (json!({ "max": 17 }), "was made for batches of 1 to 16"),
        (json!({ "max": 0 }), "was made for batches of 1 to 16"),
        (json!({ "wait_us": 1_000_001 }), "expected 0 to 1000000"),
        (json!({ "policy": "best" }), "there are: aimd, quantile, fixed"),
        (json!({ "cost": "bytes" }), "send some of `policy`"),
    ];
    for (body, expected) in refused {
        let (status, said) = order(body);
        let said = said["error"].as_str().unwrap().to_owned();
        assert!(status == 400 && said.contains(expected), "{status} {said}");
    }
    assert_eq!(server.order("/models/n/batch", &json!({ "max": 1 })).status, 404);
    assert_eq!(order(json!({})), (200, now("aimd", 16, 0)));
}
