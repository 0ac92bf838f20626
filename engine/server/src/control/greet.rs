//! The handshake with a container, from the engine's side.
//!
//! ```text
//!   hello ▸ agree: input, output, batch ▸ make the segments ▸ grant ▸ ready ▸ the engine's end
//!             └─ no ▸ refusal, with a text that the container prints
//! ```
//!
//! Making the segments prefaults them: some milliseconds for large outputs, in which the control
//! thread does nothing else. That is rare and keeps the engine thread free of it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use cutter_core::ids::ModelId;
use cutter_protocol::engine::EngineEnd;
use cutter_protocol::handshake::{
    Grant, Hello, HelloError, is_ready, receive_from_container, send_grant, send_refusal,
};
use cutter_protocol::layout::{Geometry, GeometryError};
use cutter_protocol::limits::DEPTH_DEFAULT;
use cutter_protocol::segment::SegmentError;
use cutter_tensor::{Extent, TensorSpec};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::net::unix::UCred;
use tokio::time::{Instant, timeout_at};

use super::registry::{ModelEntry, Registry, Slot};
use super::shared::{Pools, Ready, Shared, granted};
use crate::config::Model;

/// The engine's end of a container's socket.
///
/// Its type is SOCK_SEQPACKET: the stream that tokio takes it for is never read as one, but gives
/// readiness and the peer's credentials.
#[derive(Debug)]
pub(super) struct Channel(UnixStream);

impl Channel {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixStream::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self(UnixStream::from_std(socket)?))
    }

    pub(super) fn accepted(socket: UnixStream) -> Self {
        Self(socket)
    }

    pub(super) fn peer(&self) -> io::Result<UCred> {
        self.0.peer_cred()
    }

    /// Receives one message. None: the other side has closed.
    pub(super) async fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        let receive = || receive_from_container(self.0.as_fd());
        match self.0.async_io(Interest::READABLE, receive).await {
            Ok(message) => Ok(Some(message).filter(|message| !message.is_empty())),
            // It closed without having read what was sent to it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn refuse(&self, text: &str) {
        // A container that does not hear it sees its socket close.
        let _ = send_refusal(self.0.as_fd(), text);
    }
}

/// Why a container does not become a replica.
#[derive(Debug, thiserror::Error)]
pub(super) enum GreetError {
    #[error("it closed its socket during the handshake")]
    Gone,
    #[error(
        "it did not say hello within {} ms; it must be a container built with the SDK, and \
         `load_timeout_us` long enough for its model to load",
        .within.as_millis()
    )]
    NoHello { within: Duration },
    #[error(
        "it connected and did not begin to serve within {} ms; raise `load_timeout_us` if its \
         model takes longer to load",
        .within.as_millis()
    )]
    NotReady { within: Duration },
    #[error("it answered the grant with something else than that it is ready")]
    NotThatItIsReady,
    #[error(transparent)]
    Hello(#[from] HelloError),
    #[error(
        "the container takes {container}, but application {application} sends {sent}; correct the \
         `input` of the application, or link it with another model"
    )]
    Input { container: TensorSpec, application: String, sent: TensorSpec },
    #[error(
        "the container gives {container}, but replicas of model {model} that are up give {others}; \
         all replicas of a model must run the same version"
    )]
    Output { container: TensorSpec, model: String, others: TensorSpec },
    #[error("the container cannot have what it declares: {0}")]
    Geometry(#[from] GeometryError),
    #[error("there is no memory for it: {0}")]
    Memory(#[from] SegmentError),
    #[error("the handshake failed: {0}")]
    Socket(#[from] io::Error),
}

/// How long a container may take, from its start or its connection until it serves.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadLimit {
    within: Duration,
    /// `None`: as long as it likes.
    until: Option<Instant>,
}

impl LoadLimit {
    /// From now on.
    pub(super) fn new(within: Option<Duration>) -> Self {
        let until = within.and_then(|within| Instant::now().checked_add(within));
        Self { within: within.unwrap_or_default(), until }
    }

    pub(super) fn of(model: &Model) -> Self {
        Self::new(model.load_timeout_us.map(Duration::from_micros))
    }

    /// The time that was not enough, if it was not.
    async fn wait<T>(self, event: impl Future<Output = T>) -> Result<T, Duration> {
        match self.until {
            Some(until) => timeout_at(until, event).await.map_err(|_| self.within),
            None => Ok(event.await),
        }
    }
}

/// Waits for a container's first message.
pub(super) async fn receive_hello(socket: &Channel, limit: LoadLimit) -> Result<Hello, GreetError> {
    let heard = limit.wait(socket.receive()).await;
    let message = heard.map_err(|within| GreetError::NoHello { within })??;
    Ok(Hello::read(&message.ok_or(GreetError::Gone)?)?)
}

/// Agrees with a container, gives it its memory, and waits until it has mapped that and serves. It
/// is known by the number of its incarnation and its process.
pub(super) async fn grant(
    shared: &Shared,
    slot: Slot,
    (incarnation, pid): (u64, u32),
    socket: &Channel,
    hello: &Hello,
    limit: LoadLimit,
) -> Result<Ready, GreetError> {
    let label = shared.label(slot);
    let geometry = agree(&shared.registry(), slot.model, hello)?;
    let (input, output) = (hello.specs()?.0, geometry.output);
    check_output(&label, output, shared.output_of(slot.model))?;
    let end = Box::new(EngineEnd::create(geometry)?);
    let pools = send_memory(shared, slot, incarnation, socket, hello, &end)?;
    let heard = limit.wait(socket.receive()).await;
    let message = heard.map_err(|within| GreetError::NotReady { within })??;
    if !is_ready(&message.ok_or(GreetError::Gone)?) {
        return Err(GreetError::NotThatItIsReady);
    }
    // Another replica may have come up while this one was mapping.
    check_output(&label, output, shared.output_of(slot.model))?;
    check_input(&shared.registry(), slot.model, input)?;
    let socket = socket.0.as_fd().try_clone_to_owned()?;
    let may_warm_up = hello.may_warm_up;
    Ok(Ready { incarnation, pid, may_warm_up, end, input, pools, socket })
}

/// Sends the grant. Says whose rows are in it.
fn send_memory(
    shared: &Shared,
    slot: Slot,
    incarnation: u64,
    socket: &Channel,
    hello: &Hello,
    end: &EngineEnd,
) -> Result<Pools, GreetError> {
    let registry = shared.registry();
    let ModelEntry { settings, pools, .. } = &registry.models[slot.model];
    let linked = (0..).zip(pools).filter_map(|(place, pool)| {
        let entry = registry.applications.get((*pool)?)?;
        Some(granted(entry, place))
    });
    let grant = Grant {
        incarnation,
        geometry: *end.geometry(),
        output: &hello.output,
        wait: settings.wait,
        descriptors: end.descriptors(),
        pools: linked.collect(),
    };
    send_grant(socket.0.as_fd(), &grant)?;
    Ok(*pools)
}

/// What both sides can do.
fn agree(registry: &Registry, id: ModelId, hello: &Hello) -> Result<Geometry, GreetError> {
    let (input, output) = hello.specs()?;
    check_input(registry, id, input)?;
    let most = registry.models[id].settings.batch.max;
    let wanted = hello.items_max.map_or(most, |wanted| wanted.min(most));
    Ok(Geometry::fit(DEPTH_DEFAULT, wanted, output)?)
}

/// Whether a container takes what the applications send that ask its model.
fn check_input(
    registry: &Registry,
    id: ModelId,
    input: Option<TensorSpec>,
) -> Result<(), GreetError> {
    let Some(container) = input else { return Ok(()) };
    let mut linked = registry.applications.iter().filter(|(_, entry)| entry.links.contains(&id));
    let other = linked.find(|(_, entry)| !takes(&container, &entry.settings.input));
    match other {
        None => Ok(()),
        Some((_, entry)) => {
            let (application, sent) = (entry.settings.name.clone(), entry.settings.input);
            Err(GreetError::Input { container, application, sent })
        }
    }
}

/// Whether a container that takes one type can be sent every input of the other.
pub(super) fn takes(container: &TensorSpec, sent: &TensorSpec) -> bool {
    let has_room = match container.extent {
        Extent::AtMost { bytes } => sent.bytes_max() <= bytes as usize,
        Extent::Exact(_) => container.extent == sent.extent,
    };
    container.element == sent.element && has_room
}

fn check_output(
    label: &str,
    container: TensorSpec,
    others: Option<TensorSpec>,
) -> Result<(), GreetError> {
    match others {
        Some(others) if others != container => {
            Err(GreetError::Output { container, model: label.to_owned(), others })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cutter_tensor::{ElementType, INPUT_NAME, OUTPUT_NAME, Shape, Signature};

    use super::*;
    use crate::config::Config;
    use crate::engine::Engine;
    use crate::port::http::PortLimits;

    const TEXT: &str = r#"
        [[application]]
        name = "digits"
        input = { type = "floats", shape = [784] }
        models = ["m"]
        rows = 16
        [[model]]
        name = "m"
        command = ["m"]
        batch = { policy = "aimd", max = 100 }
    "#;

    fn config(text: &str) -> Config {
        Config::from_toml(text, Path::new("/srv"), "c").unwrap().0
    }

    fn floats(dims: &[u32]) -> TensorSpec {
        TensorSpec::exact(ElementType::Float32, Shape::new(dims).unwrap())
    }

    fn hello(input: Option<TensorSpec>, output: TensorSpec, items_max: Option<u32>) -> Hello {
        let (sdk, sdk_version) = (String::new(), String::new());
        let (model, model_version) = (String::new(), String::new());
        let input = input.map(|input| Signature::of_one(INPUT_NAME, input).unwrap());
        let output = Signature::of_one(OUTPUT_NAME, output).unwrap();
        Hello {
            input,
            output,
            items_max,
            may_warm_up: false,
            sdk,
            sdk_version,
            model,
            model_version,
            pid: 1,
        }
    }

    fn agreed(input: Option<TensorSpec>, items_max: Option<u32>) -> Result<u32, String> {
        let engine = Engine::new(&config(TEXT), PortLimits::default(), 0, &|| false).unwrap();
        let hello = hello(input, floats(&[10]), items_max);
        let geometry = agree(&engine.registry, engine.ids.models[0], &hello);
        geometry.map(|geometry| geometry.items_max).map_err(|error| error.to_string())
    }

    #[test]
    fn the_smaller_batch_of_the_two_is_agreed_on() {
        assert_eq!(agreed(None, None), Ok(100));
        assert_eq!(agreed(None, Some(7)), Ok(7));
        assert_eq!(agreed(Some(floats(&[784])), Some(1000)), Ok(100));
    }

    #[test]
    fn a_container_with_room_for_more_takes_less() {
        let roomy = TensorSpec::at_most(ElementType::Float32, 784 * 4);
        assert_eq!(agreed(Some(roomy), None), Ok(100));
    }

    #[test]
    fn inputs_that_differ_are_both_named() {
        let expected = "the container takes float32[28, 28], but application digits sends \
                        float32[784]; correct the `input` of the application, or link it with \
                        another model";
        assert_eq!(agreed(Some(floats(&[28, 28])), None), Err(expected.to_owned()));
        let narrow = TensorSpec::at_most(ElementType::Float32, 784 * 4 - 1);
        assert!(agreed(Some(narrow), None).is_err());
        let others = TensorSpec::at_most(ElementType::Int32, 784 * 4);
        assert!(agreed(Some(others), None).is_err());
    }

    #[test]
    fn outputs_of_replicas_must_be_equal() {
        assert!(check_output("m", floats(&[10]), None).is_ok());
        assert!(check_output("m", floats(&[10]), Some(floats(&[10]))).is_ok());
        let error = check_output("m", floats(&[10]), Some(floats(&[9]))).unwrap_err().to_string();
        let expected = "the container gives float32[10], but replicas of model m that are up give \
                        float32[9]";
        assert!(error.starts_with(expected), "{error}");
    }
}
