//! A container: the connection to the engine, and the two ways to be driven by it.

use std::any::Any;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use cutter_protocol::container::{ContainerEnd, ContainerError, Next};
use cutter_protocol::handshake::{self, ENV_MODEL, Hello};
use cutter_tensor::{INPUT_NAME, OUTPUT_NAME, Signature, TensorSpec};

use crate::batch::{Batch, BatchError};

/// What a container tells the engine of its model.
#[derive(Clone, Debug)]
pub struct Model {
    output: TensorSpec,
    input: Option<TensorSpec>,
    input_name: String,
    output_name: String,
    items_max: Option<u32>,
    may_warm_up: bool,
    name: String,
    version: String,
}

impl Model {
    /// A model that gives one `output` for each item and takes whatever the application sends.
    pub fn new(output: TensorSpec) -> Self {
        Self {
            output,
            input: None,
            input_name: INPUT_NAME.to_owned(),
            output_name: OUTPUT_NAME.to_owned(),
            items_max: None,
            may_warm_up: false,
            name: String::new(),
            version: String::new(),
        }
    }

    /// The engine refuses to link the model with an application of another input.
    pub fn input(mut self, input: TensorSpec) -> Self {
        self.input = Some(input);
        self
    }

    /// How clients call the two tensors; without this, `input` and `output`. A name has 1 to 63
    /// printable ASCII characters and no space.
    pub fn tensor_names(mut self, input: &str, output: &str) -> Self {
        (self.input_name, self.output_name) = (input.to_owned(), output.to_owned());
        self
    }

    /// The engine never sends more items in a batch.
    pub fn items_max(mut self, items_max: u32) -> Self {
        self.items_max = Some(items_max);
        self
    }

    /// The engine may ask the model what nobody wants to know: before each incarnation gets its
    /// first query, it tries batches of 1, 2, 4, … inputs of zeros, drops what comes of them, and
    /// knows then how long batches take. Not for a model that keeps something of what it is asked,
    /// or does something with it besides the answer: counts, logs, learns, calls somebody.
    pub fn warm_up(mut self) -> Self {
        self.may_warm_up = true;
        self
    }

    /// Which model of the configuration this is. It matters only for a container that is started
    /// by hand, where `CUTTER_MODEL` in the environment overrides it.
    pub fn name(mut self, name: &str, version: &str) -> Self {
        (self.name, self.version) = (name.to_owned(), version.to_owned());
        self
    }

    fn hello(&self) -> Result<Hello, ContainerError> {
        let (model, model_version) = match std::env::var(ENV_MODEL) {
            Ok(text) => match text.split_once(':') {
                Some((name, version)) => (name.to_owned(), version.to_owned()),
                None => (text, String::new()),
            },
            Err(_) => (self.name.clone(), self.version.clone()),
        };
        let named = |which, name: &str, spec| {
            let signature = Signature::of_one(name, spec);
            signature.map_err(|why| ContainerError::Signature { which, why })
        };
        let input = self.input.map(|input| named("input", &self.input_name, input)).transpose()?;
        Ok(Hello {
            input,
            output: named("output", &self.output_name, self.output)?,
            items_max: self.items_max,
            may_warm_up: self.may_warm_up,
            sdk: env!("CARGO_PKG_NAME").to_owned(),
            sdk_version: env!("CARGO_PKG_VERSION").to_owned(),
            model,
            model_version,
            pid: std::process::id(),
        })
    }
}

/// A connection to the engine. One thread takes its batches, one after another.
#[derive(Debug)]
pub struct Container {
    end: ContainerEnd,
    /// The engine knows that batches are taken.
    is_ready: bool,
}

impl Container {
    /// Connects to the engine that the environment names. A process that the engine started does so
    /// once. It sends batches from the first call of [`Container::next_batch`] or
    /// [`Container::next_within`] on: a model may load before that.
    pub fn connect(model: &Model) -> Result<Container, ContainerError> {
        let socket = handshake::socket_from_environment()?;
        let end = handshake::enter(socket, &model.hello()?)?;
        Ok(Container { end, is_ready: false })
    }

    /// Waits for the next batch. `None`: the engine asks the container to end.
    ///
    /// A batch that is dropped without being completed fails.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>, ContainerError> {
        self.begin()?;
        match self.end.next(None)? {
            Next::Batch => Ok(Some(Batch::new(&mut self.end))),
            Next::Stop | Next::Idle => Ok(None),
        }
    }

    /// Waits for the next batch no longer than `timeout`; zero only looks.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Pull<'_>, ContainerError> {
        self.begin()?;
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Ok(match self.end.next(Some(timeout_ns))? {
            Next::Batch => Pull::Batch(Batch::new(&mut self.end)),
            Next::Stop => Pull::Stop,
            Next::Idle => Pull::Idle,
        })
    }

    fn begin(&mut self) -> Result<(), ContainerError> {
        if !self.is_ready {
            handshake::say_ready(&self.end)?;
            self.is_ready = true;
        }
        Ok(())
    }

    /// The batch that [`Batch::keep`] left in hand, if any.
    pub fn in_hand(&mut self) -> Option<Batch<'_>> {
        self.end.has_batch().then(|| Batch::new(&mut self.end))
    }

    /// Becomes readable when the engine is gone or has something to say; [`Container::next_within`]
    /// hears it, and tells an end as an error.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.end.socket()
    }
}

/// What a bounded wait came to.
#[derive(Debug)]
pub enum Pull<'a> {
    Batch(Batch<'a>),
    Idle,
    Stop,
}

/// Connects and predicts batch after batch until the engine asks the container to end. Load the
/// model first: batches come from here on.
///
/// An error of `predict` fails the batch with its text, and so does a panic; the container lives
/// on. A container that is built with `panic = "abort"` ends with a panic instead, and the engine
/// starts it again.
pub fn serve(
    model: &Model,
    mut predict: impl FnMut(&mut Batch<'_>) -> Result<(), BatchError>,
) -> Result<(), ContainerError> {
    let mut container = Container::connect(model)?;
    while let Some(mut batch) = container.next_batch()? {
        match catch_unwind(AssertUnwindSafe(|| predict(&mut batch))) {
            // Outputs that are missing are told to the engine, which answers for them.
            Ok(Ok(())) => _ = batch.complete(),
            Ok(Err(error)) => batch.fail(&error.to_string()),
            Err(panic) => batch.fail(panic_text(&*panic)),
        }
    }
    Ok(())
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the model panicked")
}
