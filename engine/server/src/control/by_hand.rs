//! Containers that people start: they connect to the container socket, say which model they are,
//! and take a free slot of it.
//!
//! Only the engine's own user and root may connect: the file's mode says so, and the credentials
//! that the kernel attests are checked as well. Death is the pidfd of the process that connected,
//! or the socket's end, whichever comes first. These processes belong to whoever started them: they
//! are asked to end when the server does, and killed only when the engine thread gives them up.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use cutter_core::ids::ModelId;
use cutter_protocol::handshake::{ENV_MODEL, Hello};
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Pid, geteuid};
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::greet::{self, Channel, GreetError, LoadLimit};
use super::life::{self, Cause, Up, ends_by_itself};
use super::process::Pidfd;
use super::registry::{Registry, Slot, State};
use super::shared::{Phase, Shared};
use super::waiting::Waiting;
use crate::limits::{ACCEPT_PAUSE_NS, CONTAINER_BACKLOG};
use crate::printable::Name;
use crate::reactor::listener::{SocketFile, remove_stale};

/// A bound container socket. Its file goes away with it.
#[derive(Debug)]
pub struct ContainerListener {
    // Declared first, so that the file is gone before the address is free for another server.
    file: SocketFile,
    socket: OwnedFd,
}

/// Binds the container socket, for this user alone. What an ended server left of it is replaced; a
/// socket on which someone listens, or a file that is no socket, is an error.
pub fn bind_containers(path: &Path) -> io::Result<ContainerListener> {
    remove_stale(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    // The file gets the socket's mode, so that there is no moment at which others can connect.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = SocketFile::new(path);
    rustix::net::listen(&socket, CONTAINER_BACKLOG)?;
    Ok(ContainerListener { file, socket })
}

/// Why a container that connected is sent away before its handshake.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum ConnectError {
    #[error(
        "user {found} may not connect: the engine runs as user {expected}; start the container as \
         that user"
    )]
    User { found: u32, expected: u32 },
    #[error(
        "the process of the container cannot be seen from the engine; start both in one PID \
         namespace"
    )]
    Unseen,
    #[error(
        "{ENV_MODEL} must say which model this is, as in {ENV_MODEL}=name:version; those started \
         by hand are: {choices}"
    )]
    WhichModel { choices: String },
    #[error(
        "model {model} has several versions, and {ENV_MODEL} must say which this is, as in \
         {ENV_MODEL}=name:version; there are: {versions}"
    )]
    WhichVersion { model: String, versions: String },
    #[error("there is no model {asked}; those started by hand are: {choices}")]
    NoSuchModel { asked: String, choices: String },
    #[error(
        "model {model} is started by the engine; remove its `command` from the configuration to \
         start it by hand"
    )]
    HasCommand { model: String },
    #[error(
        "all {replicas} replicas of model {model} are connected; raise `replicas` in the \
         configuration for more"
    )]
    Full { replicas: u32, model: String },
    #[error(
        "it said nothing, and others wait for its place; a container says hello when it connects"
    )]
    Mute,
    #[error("the server is ending")]
    Ending,
}

/// Accepts containers until the server drains, and then waits for those that are connected.
pub(super) async fn run(shared: Rc<Shared>, listener: ContainerListener) -> io::Result<()> {
    let mut connections = JoinSet::new();
    let waiting = Rc::new(RefCell::new(Waiting::default()));
    let ContainerListener { file, socket } = listener;
    let socket = UnixListener::from_std(socket.into())?;
    loop {
        tokio::select! {
            () = shared.reached(Phase::Draining) => break,
            Some(_) = connections.join_next() => {}
            accepted = socket.accept() => match accepted {
                Ok((socket, _)) => {
                    let socket = Channel::accepted(socket);
                    let (shared, waiting) = (Rc::clone(&shared), Rc::clone(&waiting));
                    connections.spawn_local(serve_connection(shared, socket, waiting));
                    // Whoever came is heard before another one may take its place.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    shared.log_refused(None, &format!("cannot accept a container: {error}"));
                    tokio::time::sleep(Duration::from_nanos(ACCEPT_PAUSE_NS)).await;
                }
            },
        }
    }
    drop(file);
    drop(socket);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// A container from its connection to its end.
async fn serve_connection(shared: Rc<Shared>, socket: Channel, waiting: Rc<RefCell<Waiting>>) {
    let (pid, pidfd) = match check_peer(&socket) {
        Ok(peer) => peer,
        Err(error) => return refuse_container(&shared, &socket, None, &error.to_string()),
    };
    let mut place = waiting.borrow_mut().enter(pid);
    let hello = tokio::select! {
        biased;
        hello = greet::receive_hello(&socket, LoadLimit::new(Some(shared.timing.hello))) => {
            hello.map_err(|error| error.to_string())
        }
        _ = &mut place.lost => Err(ConnectError::Mute.to_string()),
        () = shared.reached(Phase::Draining) => Err(ConnectError::Ending.to_string()),
    };
    waiting.borrow_mut().leave(&place);
    let hello = match hello {
        Ok(hello) => hello,
        Err(text) => return refuse_container(&shared, &socket, Some(pid), &text),
    };
    let model = choose(&shared.registry(), &hello);
    let slot = match model.and_then(|model| free_slot(&shared, model)) {
        Ok(slot) => slot,
        Err(error) => return refuse_container(&shared, &socket, Some(pid), &error.to_string()),
    };
    let cause = serve(&shared, slot, &Peer { socket, pid, pidfd }, &hello).await;
    if let Cause::Asked = cause {
        let model = shared.label(slot);
        tracing::info!(model, replica = slot.ordinal, pid, "gone");
    } else {
        let text = format!("process {pid}, started by hand: {cause}");
        shared.note_failure(slot, &text, None);
    }
    if shared.is_to_end(slot) {
        shared.set(slot, State::Ended);
        shared.left(slot.replica);
    } else {
        shared.set(slot, State::NotConnected);
    }
}

#[derive(Debug)]
struct Peer {
    socket: Channel,
    pid: u32,
    pidfd: Pidfd,
}

/// From the hello to the end, which the engine thread has been told of when this returns.
async fn serve(shared: &Rc<Shared>, slot: Slot, peer: &Peer, hello: &Hello) -> Cause {
    let Peer { socket, pid, pidfd } = peer;
    // Before the grant: the slot is taken, and a quick container is ready in the same moment.
    shared.set(slot, State::Loading { pid: *pid, is_expected: true });
    let number = shared.next_incarnation(slot);
    let limit = LoadLimit::of(&shared.model(slot));
    let granted = tokio::select! {
        biased;
        granted = greet::grant(shared, slot, (number, *pid), socket, hello, limit) => granted,
        () = pidfd.exited() => Err(GreetError::Gone),
        () = shared.asked_to_end(slot) => return Cause::Asked,
        never = life::loads(shared, slot, *pid) => match never {},
    };
    let ready = match granted {
        Ok(ready) => ready,
        Err(error) => {
            socket.refuse(&error.to_string());
            return error.into();
        }
    };
    let mut up = Up::new(shared, slot, ready);
    let cause = up.end(shared, slot, socket, pidfd.exited()).await;
    if matches!(cause, Cause::Killed(_) | Cause::Talked) {
        pidfd.kill();
    }
    if matches!(cause, Cause::Asked) {
        let gone = async {
            tokio::select! {
                () = pidfd.exited() => {}
                _ = socket.receive() => {}
            }
        };
        // One that stays is not ours to kill. It sees its socket close now.
        ends_by_itself(shared, gone, shared.timing.stop).await;
    }
    let left = matches!(cause, Cause::Exited | Cause::Closed);
    // The engine thread asks containers to end before this thread hears that it has drained.
    let asked = left && (shared.phase() >= Phase::Draining || shared.is_to_end(slot));
    let cause = if asked { Cause::Asked } else { cause };
    shared.lost(slot, number, cause.death());
    cause
}

fn refuse_container(shared: &Shared, socket: &Channel, pid: Option<u32>, text: &str) {
    socket.refuse(text);
    shared.log_refused(pid, &format!("a container that connected was refused: {text}"));
}

/// Who connected, as the kernel says. The handle is opened while the other side still holds its
/// socket, or the handshake that follows finds it closed.
fn check_peer(socket: &Channel) -> Result<(u32, Pidfd), ConnectError> {
    let peer = socket.peer().map_err(|_| ConnectError::Unseen)?;
    let expected = geteuid().as_raw();
    if peer.uid() != expected && peer.uid() != 0 {
        return Err(ConnectError::User { found: peer.uid(), expected });
    }
    let pid = peer.pid().and_then(Pid::from_raw).ok_or(ConnectError::Unseen)?;
    let pidfd = Pidfd::of(pid).map_err(|_| ConnectError::Unseen)?;
    Ok((pid.as_raw_pid().unsigned_abs(), pidfd))
}

/// The model that a container is of.
fn choose(registry: &Registry, hello: &Hello) -> Result<ModelId, ConnectError> {
    let by_hand = || {
        let models = registry.models.iter().map(|(id, entry)| (id, &*entry.settings));
        models.filter(|(_, model)| model.command.is_none())
    };
    let choices = || match by_hand().map(|(_, model)| model.label()).collect::<Vec<_>>() {
        choices if choices.is_empty() => "none".to_owned(),
        choices => choices.join(", "),
    };
    if hello.model.is_empty() {
        let mut candidates = by_hand();
        return match (candidates.next(), candidates.next()) {
            (Some((only, _)), None) => Ok(only),
            _ => Err(ConnectError::WhichModel { choices: choices() }),
        };
    }
    let any_version = hello.model_version.is_empty();
    let named = registry.models_named(&hello.model);
    let named = named.iter().map(|id| (*id, &*registry.models[*id].settings));
    let asked = named.filter(|(_, model)| any_version || model.version == hello.model_version);
    match asked.collect::<Vec<_>>().as_slice() {
        [(_, only)] if only.command.is_some() => {
            Err(ConnectError::HasCommand { model: only.label() })
        }
        [(only, _)] => Ok(*only),
        several @ [(_, first), ..] => {
            let versions = several.iter().map(|(_, model)| model.label());
            let versions = versions.collect::<Vec<_>>().join(", ");
            Err(ConnectError::WhichVersion { model: first.name.clone(), versions })
        }
        [] => {
            let version = Some(&hello.model_version).filter(|version| !version.is_empty());
            let version = version.map(|version| format!(":{}", Name(version))).unwrap_or_default();
            let asked = format!("{}{version}", Name(&hello.model));
            Err(ConnectError::NoSuchModel { asked, choices: choices() })
        }
    }
}

fn free_slot(shared: &Shared, model: ModelId) -> Result<Slot, ConnectError> {
    let registry = shared.registry();
    let mut slots = registry.slots_of(model).into_iter();
    let free = slots.find(|slot| registry.state(*slot) == State::NotConnected);
    free.ok_or_else(|| {
        let replicas = registry.models[model].settings.replicas;
        ConnectError::Full { replicas, model: registry.label(model) }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    use cutter_core::Id;
    use cutter_tensor::{ElementType, OUTPUT_NAME, Signature, TensorSpec};

    use super::*;
    use crate::config::Config;
    use crate::engine::Engine;
    use crate::port::http::PortLimits;

    fn registry(models: &[(&str, &str)]) -> Registry {
        let model = |(name, line): &(&str, &str)| {
            format!("[[model]]\nname = \"{name}\"\nversion = \"1\"\n{line}\n")
        };
        let models: String = models.iter().map(model).collect();
        let text = format!("[server]\nsocket = \"c.sock\"\n{models}");
        registry_of(&text)
    }

    fn registry_of(text: &str) -> Registry {
        let (config, _) = Config::from_toml(text, Path::new("/srv"), "c").unwrap();
        Engine::new(&config, PortLimits::default(), 0, &|| false).unwrap().registry
    }

    /// The place of the model that is chosen.
    fn chosen(registry: &Registry, model: &str, version: &str) -> Result<usize, String> {
        let output = TensorSpec::scalar(ElementType::Int32);
        let hello = Hello {
            input: None,
            output: Signature::of_one(OUTPUT_NAME, output).unwrap(),
            items_max: None,
            may_warm_up: false,
            sdk: String::new(),
            sdk_version: String::new(),
            model: model.to_owned(),
            model_version: version.to_owned(),
            pid: 1,
        };
        choose(registry, &hello).map(Id::place).map_err(|error| error.to_string())
    }

    #[test]
    fn the_only_model_started_by_hand_needs_no_name() {
        let registry = registry(&[("a", "command = [\"a\"]"), ("b", "")]);
        assert_eq!(chosen(&registry, "", ""), Ok(1));
    }

    #[test]
    fn a_model_is_chosen_by_name_and_version() {
        let registry = registry(&[("a", ""), ("b", "")]);
        assert_eq!(chosen(&registry, "b", ""), Ok(1));
        assert_eq!(chosen(&registry, "a", "1"), Ok(0));
    }

    #[test]
    fn of_several_versions_of_a_name_one_is_chosen_by_its_version_alone() {
        let text =
            ["1", "2"].map(|version| format!("[[model]]\nname = \"a\"\nversion = \"{version}\"\n"));
        let text = format!("[server]\nsocket = \"c.sock\"\n{}", text.concat());
        let registry = registry_of(&text);
        assert_eq!(chosen(&registry, "a", "1"), Ok(0));
        assert_eq!(chosen(&registry, "a", "2"), Ok(1));
        let expected = "model a has several versions, and CUTTER_MODEL must say which this is, as \
                        in CUTTER_MODEL=name:version; there are: a:1, a:2";
        assert_eq!(chosen(&registry, "a", ""), Err(expected.to_owned()));
        let expected = "there is no model a:3; those started by hand are: a:1, a:2";
        assert_eq!(chosen(&registry, "a", "3"), Err(expected.to_owned()));
    }

    #[test]
    fn what_cannot_be_chosen_is_refused_with_the_choices() {
        let two = registry(&[("a", ""), ("b", ""), ("c", "command = [\"c\"]")]);
        let none = registry(&[("c", "command = [\"c\"]")]);
        let table = [
            (
                &two,
                "",
                "",
                "CUTTER_MODEL must say which model this is, as in \
              CUTTER_MODEL=name:version; those started by hand are: a:1, b:1",
            ),
            (&two, "d", "", "there is no model d; those started by hand are: a:1, b:1"),
            (&two, "a", "2", "there is no model a:2; those started by hand are: a:1, b:1"),
            (
                &two,
                "c",
                "1",
                "model c:1 is started by the engine; remove its `command` from the \
              configuration to start it by hand",
            ),
            (
                &none,
                "",
                "",
                "CUTTER_MODEL must say which model this is, as in \
              CUTTER_MODEL=name:version; those started by hand are: none",
            ),
        ];
        for (registry, model, version, expected) in table {
            assert_eq!(chosen(registry, model, version), Err(expected.to_owned()));
        }
    }

    #[test]
    fn the_socket_is_for_its_owner_alone_and_its_file_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.sock");
        let listener = bind_containers(&path).unwrap();
        let file = std::fs::symlink_metadata(&path).unwrap();
        assert!(file.file_type().is_socket());
        assert_eq!(file.mode() & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_nobody_listens_on_any_more_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(bind_containers(&path).is_ok());
    }

    #[test]
    fn a_socket_in_use_and_a_file_that_is_none_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.sock");
        let _live = bind_containers(&path).unwrap();
        assert_eq!(bind_containers(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let file = folder.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        assert_eq!(bind_containers(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    }
}
