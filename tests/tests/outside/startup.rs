//! What a server does with what it is given: bad configurations, addresses that are taken, models
//! that do not start, containers started by hand.

use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cutter_tests::command::{self, Ended};
use cutter_tests::server::{Plan, cutter};
use cutter_tests::{Client, Process, Server, application, binary, model, pause_ms};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

const FLOATS: &str = "type = \"floats\", shape = [4]";
/// User and group of nobody.
const NOBODY: u32 = 65534;

fn sums() -> String {
    application("sums", FLOATS, 10_000, "sum", "") + &model("sum", &["sum"], "")
}

/// Runs `cutter WORD --config` on a text, in a folder of its own.
fn ended(word: &str, text: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cutter.toml"), text).unwrap();
    command::run(cutter(&[word, "--config", "cutter.toml"]).current_dir(folder.path()))
}

/// The text of a server that cannot start is one line, without a panic, and the code is 1.
#[track_caller]
fn assert_refused(ended: &Ended, parts: &[&str]) {
    let last = ended.stderr.trim_end().lines().last().unwrap_or_default();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(last.starts_with("cutter: "), "{}", ended.stderr);
    assert!(parts.iter().all(|part| last.contains(part)), "{last:?} should hold {parts:?}");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let told = |line: &&str| line.contains("cannot") && !line.contains(" WARN ");
    let errors = ended.stderr.lines().filter(told).count();
    assert!(errors <= 1, "{}", ended.stderr);
}

#[test]
fn a_bad_configuration_is_refused_with_its_place_by_serve_and_by_check() {
    let unknown_model = "[[application]]\nname = \"a\"\ninput = { type = \"strings\" }\n\
                         models = [\"sofmax\"]\n[[model]]\nname = \"softmax\"\ncommand = [\"x\"]\n";
    let unknown_version = &unknown_model.replace("sofmax", "softmax:2");
    for (text, due) in [
        ("[server]\ncpu =", "cutter.toml:2:6: not valid TOML"),
        ("[server]\nquerry = []", "cutter.toml:2:1: unknown key \"querry\""),
        ("[server]\nquery = 7", "cutter.toml:2:9: found integer `7`; expected a list of strings"),
        ("[server]\nwait = \"nap\"", "cutter.toml:2:8: `wait` of [server] is \"nap\"; expected"),
        (unknown_model, "cutter.toml:4:11: unknown model \"sofmax\" (application \"a\"); expected"),
        (unknown_version, "cutter.toml:4:11: model \"softmax\" has no version \"2\" (application"),
    ] {
        for word in ["serve", "check"] {
            let ended = ended(word, text);
            assert_eq!(ended.code(), 1, "{}", ended.stderr);
            assert!(ended.stderr.starts_with("cutter: "), "{}", ended.stderr);
            assert!(ended.stderr.contains(due), "{:?} should hold {due:?}", ended.stderr);
            assert_eq!(ended.stdout, "");
        }
    }
}

#[test]
fn a_configuration_that_is_not_there_or_a_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["nothing.toml", "."] {
        let ended = command::run(cutter(&["serve", "--config", path]).current_dir(folder.path()));
        assert_refused(&ended, &[path, "cannot be read"]);
    }
}

#[test]
fn check_prints_the_resolved_configuration_every_limit_and_every_sum() {
    let ended = ended("check", &sums());
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    for part in [
        "application sums\n  input           float32[4]\n  slo             10 s\n",
        "\nmodel sum\n",
        "\n  rows            4096, one every 64 bytes\n",
        "\n  CONNECTIONS_MAX                   4096 connections",
        "\n  HEAD_BYTES_MAX                    16384 bytes (16.0 KiB)",
        "\n  input pool      262144 bytes (256.0 KiB)\n",
        "\nsum: descriptors = ",
        "\nsum: memory at start = ",
        " warning",
    ] {
        assert!(ended.stdout.contains(part), "{part:?} is missing in {}", ended.stdout);
    }
}

#[test]
fn a_port_in_use_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let query = format!("[server]\nquery = [\"{address}\"]\nadmin = \"127.0.0.1:0\"\n");
    assert_refused(&ended("serve", &query), &["cannot listen on", &address, "in use"]);
    let admin = format!("[server]\nquery = [\"127.0.0.1:0\"]\nadmin = \"{address}\"\n");
    assert_refused(&ended("serve", &admin), &["cannot listen on", &address, "in use"]);
}

#[test]
fn an_address_of_another_machine_is_one_line() {
    // From a range that is for documentation only.
    let text = "[server]\nquery = [\"192.0.2.1:1337\"]\nadmin = \"127.0.0.1:0\"\n";
    assert_refused(&ended("serve", text), &["192.0.2.1:1337", "an address of this machine"]);
}

/// A folder that everybody may look into, with a locked one in it and a copy of `cutter`: where
/// the tests run as root, the server must not.
fn folder_without_rights() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // By a process of its own: what another test starts meanwhile holds the files that are open
    // here until its `exec`, and a program that somebody may write cannot be run.
    command::succeed(Command::new("cp").arg(binary("cutter")).arg(folder.path().join("cutter")));
    std::fs::create_dir(folder.path().join("locked")).unwrap();
    set_mode(&folder.path().join("locked"), 0o555);
    set_mode(folder.path(), 0o755);
    folder
}

/// Has a program run without the rights of root, where the tests have them.
fn without_rights(command: &mut Command) -> &mut Command {
    if rustix::process::geteuid().is_root() { command.uid(NOBODY).gid(NOBODY) } else { command }
}

#[test]
fn a_socket_in_a_folder_without_permission_is_one_line() {
    for keys in [
        "query = [\"unix:locked/query.sock\"]",
        "query = [\"127.0.0.1:0\"]\nsocket = \"locked/containers.sock\"",
    ] {
        let folder = folder_without_rights();
        let text = format!("[server]\nadmin = \"127.0.0.1:0\"\n{keys}\n");
        std::fs::write(folder.path().join("cutter.toml"), text).unwrap();
        let mut command = Command::new(folder.path().join("cutter"));
        command.args(["serve", "--config", "cutter.toml"]).current_dir(folder.path());
        let ended = command::run(without_rights(&mut command));
        assert_refused(&ended, &["cannot listen on unix:", "locked/", "may write"]);
    }
}

#[test]
fn a_second_server_on_the_same_unix_socket_is_refused_and_the_first_serves_on() {
    let server = Server::start(&sums());
    let path = server.query_socket();
    let text =
        format!("[server]\nquery = [\"unix:{}\"]\nadmin = \"127.0.0.1:0\"\n", path.display());
    assert_refused(&ended("serve", &text), &["cannot listen on unix:", "cutter.sock", "in use"]);
    assert_eq!(server.unix_client().predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
}

#[test]
fn a_socket_that_an_ended_server_left_is_replaced() {
    let plan = Plan::new(&sums()).with_container_socket();
    let paths = ["cutter.sock", "containers.sock"].map(|name| plan.folder().join(name));
    for path in &paths {
        drop(UnixListener::bind(path).unwrap());
        assert!(path.exists());
    }
    let mut server = plan.start_ready();
    assert_eq!(server.unix_client().predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
    assert!(server.stop().success());
    assert!(paths.iter().all(|path| !path.exists()));
}

#[test]
fn a_file_or_a_link_in_the_way_of_a_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    std::fs::write(&file, "precious").unwrap();
    symlink(&file, &link).unwrap();
    for path in [&file, &link] {
        let path = path.display();
        let text = format!("[server]\nquery = [\"unix:{path}\"]\nadmin = \"127.0.0.1:0\"\n");
        assert_refused(&ended("serve", &text), &["cannot listen on unix:", "not a socket"]);
    }
    assert_eq!(std::fs::read(&link).unwrap(), b"precious");
}

/// What `/readyz` says of the first replica of a model, as text.
fn last_error(server: &Server, name: &str) -> String {
    let ready = server.admin("/readyz").json();
    let models = ready["models"].as_array().unwrap();
    let model = models.iter().find(|model| model["name"] == name).unwrap();
    model["replicas"][0]["last_error"].as_str().unwrap_or_default().to_owned()
}

/// A server with a model that cannot serve, beside one that does: the fault is named in the log and
/// in `/readyz`.
#[track_caller]
fn assert_named(bad: &str, parts: &[&str]) {
    let bad = application("bad", FLOATS, 10_000, "bad", "") + bad;
    let server = Plan::new(&(bad + &sums())).start();
    server.wait_metric("cutter_replica_up", &[("model", "sum")], 1.0);
    for part in parts {
        server.wait_log(part);
    }
    let ready = server.admin("/readyz");
    assert_eq!((ready.status, &ready.json()["status"]), (503, &Value::from("not_ready")));
    assert_eq!(ready.json()["reasons"][0], "no replica of model bad is up");
    assert_eq!(server.admin("/healthz").status, 200);
    let error = last_error(&server, "bad");
    assert!(parts.iter().all(|part| error.contains(part)), "{error:?} should hold {parts:?}");
    assert_eq!(server.client().predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
    let answer = server.client().predict("bad", vec![1, 2, 3, 4]);
    assert_eq!(answer["reason"], "not_ready");
}

#[test]
fn a_command_that_does_not_exist_is_named_while_the_rest_is_served() {
    let text = "[[model]]\nname = \"bad\"\ncommand = [\"./not-built\"]\n";
    assert_named(text, &["cannot start", "not-built", "build it, or correct `command`"]);
}

#[test]
fn a_command_that_is_not_in_the_path_is_named_while_the_rest_is_served() {
    let text = "[[model]]\nname = \"bad\"\ncommand = [\"no-such-program-anywhere\"]\n";
    assert_named(text, &["cannot start no-such-program-anywhere", "no folder of PATH has it"]);
}

#[test]
fn a_file_that_cannot_be_run_is_named_while_the_rest_is_served() {
    let text = "[[model]]\nname = \"bad\"\ncommand = [\"./cutter.toml\"]\n";
    assert_named(text, &["cannot start", "cutter.toml", "make the file executable"]);
}

#[test]
fn a_model_that_ends_before_its_hello_is_quoted_while_the_rest_is_served() {
    let text = model("bad", &["hostile", "leave"], "");
    assert_named(&text, &["exit status: 3", "the weights are missing"]);
}

#[test]
fn a_handshake_of_another_version_is_named_while_the_rest_is_served() {
    let text = model("bad", &["hostile", "future"], "");
    assert_named(&text, &["the container speaks ABI 77.0, the engine 2.0"]);
}

#[test]
fn a_hello_that_is_none_is_named_while_the_rest_is_served() {
    let text = model("bad", &["hostile", "gibberish"], "");
    assert_named(&text, &["does not begin as a container's hello does"]);
}

#[test]
fn a_container_that_never_connects_is_named_while_the_rest_is_served() {
    let text = model("bad", &["hostile", "mute"], "load_timeout_us = 500000");
    assert_named(&text, &["did not say hello within 500 ms", "`load_timeout_us`"]);
}

#[test]
fn a_container_that_never_becomes_ready_is_named_while_the_rest_is_served() {
    let text = model("bad", &["hostile", "not-ready"], "load_timeout_us = 500000");
    assert_named(&text, &["did not begin to serve within 500 ms", "`load_timeout_us`"]);
}

#[test]
fn a_model_of_another_input_is_named_while_the_rest_is_served() {
    let text = model("bad", &["echo", "doubles", "4"], "");
    assert_named(&text, &["takes float64[4], but application bad sends float32[4]"]);
}

/// A container started by hand, ended when dropped.
struct ByHand(Child);

impl ByHand {
    fn start(socket: &Path, named: &str) -> ByHand {
        let mut command = Command::new(binary("sum"));
        command.env("CUTTER_SOCKET", socket).env("CUTTER_MODEL", named);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        ByHand(command.spawn().unwrap())
    }

    fn process(&self) -> Process {
        Process::of(self.0.id()).unwrap()
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn by_hand() -> Server {
    let text = "[[model]]\nname = \"sum\"\nversion = \"7\"\n";
    let text = application("sums", FLOATS, 10_000, "sum", "") + text;
    Plan::new(&text).with_container_socket().start()
}

#[test]
fn a_container_started_by_hand_serves_and_may_come_and_go() {
    let server = by_hand();
    let socket = std::fs::symlink_metadata(server.container_socket()).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let mut client = server.client();
    assert_eq!(client.predict("sums", vec![1, 2, 3, 4])["reason"], "not_ready");
    for named in ["sum", "sum:7", ""] {
        let container = ByHand::start(&server.container_socket(), named);
        server.wait_ready();
        assert_eq!(client.predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
        container.process().kill();
        server.wait_metric("cutter_replica_up", &[], 0.0);
        cutter_tests::eventually("the container is missed", || {
            (server.admin("/readyz").status == 503).then_some(())
        });
    }
}

#[test]
fn a_container_of_no_model_is_refused_with_the_models_that_there_are() {
    let server = by_hand();
    for named in ["sum:8", "product"] {
        let mut command = Command::new(binary("sum"));
        command.env("CUTTER_SOCKET", server.container_socket()).env("CUTTER_MODEL", named);
        let ended = command::run(&mut command);
        assert_eq!(ended.code(), 1);
        let due = format!("there is no model {named}; those started by hand are: sum:7");
        assert!(ended.stderr.contains(&due), "{}", ended.stderr);
        server.wait_log(&due);
    }
}

#[test]
fn a_container_by_hand_says_its_version_where_its_model_has_several() {
    let version = |version| format!("[[model]]\nname = \"sum\"\nversion = \"{version}\"\n");
    let text = application("sums", FLOATS, 10_000, "sum:8", "") + &version("7") + &version("8");
    let server = Plan::new(&text).with_container_socket().start();
    let mut command = Command::new(binary("sum"));
    command.env("CUTTER_SOCKET", server.container_socket()).env("CUTTER_MODEL", "sum");
    let ended = command::run(&mut command);
    assert_eq!(ended.code(), 1);
    let due = "model sum has several versions, and CUTTER_MODEL must say which this is, as in \
               CUTTER_MODEL=name:version; there are: sum:7, sum:8";
    assert!(ended.stderr.contains(due), "{}", ended.stderr);
    server.wait_log(due);
    let _asked = ByHand::start(&server.container_socket(), "sum:8");
    let labels = |version| [("model", "sum"), ("version", version)];
    server.wait_metric("cutter_replica_up", &labels("8"), 1.0);
    assert_eq!(server.metrics().sum("cutter_replica_up", &labels("7")), 0.0);
    assert_eq!(server.client().predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
}

#[test]
fn a_container_by_hand_ends_with_the_server_and_outlives_nothing() {
    let mut server = by_hand();
    let container = ByHand::start(&server.container_socket(), "sum");
    server.wait_ready();
    let process = container.process();
    assert!(server.stop().success());
    process.wait_gone();
    assert!(!server.container_socket().exists());
}

#[test]
fn a_container_by_hand_notices_a_killed_engine() {
    let mut server = by_hand();
    let container = ByHand::start(&server.container_socket(), "sum");
    server.wait_ready();
    server.process.signal(Signal::KILL);
    assert!(!server.wait_end().success());
    container.process().wait_gone();
}

#[test]
fn strangers_at_the_container_socket_keep_nobody_out() {
    let server = by_hand();
    // More than would ever connect, none of which says a word.
    let _strangers: Vec<_> =
        (0..200).filter_map(|_| seqpacket(&server.container_socket())).collect();
    let _container = ByHand::start(&server.container_socket(), "sum");
    server.wait_ready();
    assert_eq!(server.client().predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
}

fn seqpacket(path: &Path) -> Option<std::os::fd::OwnedFd> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let kind = SocketType::SEQPACKET;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None).ok()?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path).ok()?).ok()?;
    Some(socket)
}

#[test]
fn every_kind_of_waiting_serves() {
    for wait in ["spin", "yield", "adaptive", "block"] {
        let body = application("sums", FLOATS, 10_000, "sum", "")
            + &model("sum", &["sum"], &format!("wait = \"{wait}\""));
        let server = Plan::new(&body).with(&format!("wait = \"{wait}\"")).start_ready();
        let mut client = Client::tcp(server.query);
        for _ in 0..20 {
            assert_eq!(client.predict("sums", vec![1, 2, 3, 4])["output"], 10.0, "{wait}");
            pause_ms(2);
        }
    }
}

#[test]
fn replicas_run_on_the_cores_that_were_asked_for() {
    let body = application("sums", FLOATS, 10_000, "sum", "")
        + &model("sum", &["sum"], "replicas = 2\ncpus = [0]");
    let server = Plan::new(&body).with("cpu = 0").start_ready();
    for replica in server.wait_new_replicas("sum", 2, &[]) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", replica.pid)).unwrap();
        assert!(status.contains("\nCpus_allowed_list:\t0\n"), "{status}");
    }
}

#[test]
fn a_core_that_is_not_there_is_named_and_the_model_serves_all_the_same() {
    let body =
        application("sums", FLOATS, 10_000, "sum", "") + &model("sum", &["sum"], "cpus = [1000]");
    let server = Plan::new(&body).start_ready();
    server.wait_log("not pinned");
    assert_eq!(server.client().predict("sums", vec![1, 2, 3, 4])["output"], 10.0);
}
