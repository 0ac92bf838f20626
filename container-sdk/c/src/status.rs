//! Codes, and the text of the last error of a thread.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use cutter_container::limits::RANK_MAX;
use cutter_container::{BatchError, ContainerError, SpecError};

/// What a call came to. Errors are negative; cutter_error_text() says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "C has one room for all names")]
#[repr(C)]
pub enum Status {
    /// Done.
    CutterOk = 0,
    /// The engine asks the container to end: leave the loop.
    CutterStop = 1,
    /// No batch came in the time allowed.
    CutterIdle = 2,
    /// A pointer is NULL that must not be, or a model description means nothing.
    CutterErrorArgument = -1,
    /// The batch has no item of this index.
    CutterErrorItem = -2,
    /// These bytes do not fit, or are not an output of the declared type.
    CutterErrorLength = -3,
    /// The batch was given back already.
    CutterErrorNoBatch = -4,
    /// The batch in hand must be given back before the next one comes.
    CutterErrorBatchInHand = -5,
    /// The engine was not found, or the handshake with it failed.
    CutterErrorConnect = -6,
    /// The engine does not want this container.
    CutterErrorRefused = -7,
    /// The engine is gone, or breaks the protocol.
    CutterErrorEngine = -8,
    /// A bug in the SDK.
    CutterErrorInternal = -9,
    /// Elements of another type were asked for.
    CutterErrorType = -10,
    /// The batch was given back, but outputs were missing: those items failed, or the batch.
    CutterErrorUnwritten = -11,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{what} is NULL")]
    Null { what: &'static str },
    #[error("{which}.type is {value}, which names no type; use a cutter_type, as CUTTER_FLOAT32")]
    Type { which: &'static str, value: u32 },
    #[error("{value} names no type of elements; use a cutter_type, as CUTTER_FLOAT32")]
    AskedType { value: u32 },
    #[error("{which}.rank is {rank}; a shape has at most {RANK_MAX} dimensions")]
    Rank { which: &'static str, rank: u32 },
    #[error("{which} cannot be used: {why}")]
    Spec { which: &'static str, why: SpecError },
    #[error("{which}.bytes_max is {bytes_max} and {which}.rank {rank}; give a shape or a bound")]
    Extent { which: &'static str, bytes_max: u32, rank: u32 },
    #[error("options is {options}, of which only {known} is known, CUTTER_WARM_UP")]
    Options { options: u32, known: u32 },
    #[error("the batch was given back already")]
    NoBatch,
    #[error("give the batch in hand back before asking for the next one")]
    BatchInHand,
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Container(#[from] ContainerError),
    #[error("a bug in the SDK: {text}")]
    Panic { text: String },
}

impl Error {
    fn status(&self) -> Status {
        match self {
            Self::Null { .. }
            | Self::Type { .. }
            | Self::AskedType { .. }
            | Self::Rank { .. }
            | Self::Spec { .. }
            | Self::Extent { .. }
            | Self::Options { .. } => Status::CutterErrorArgument,
            Self::NoBatch => Status::CutterErrorNoBatch,
            Self::BatchInHand => Status::CutterErrorBatchInHand,
            Self::Batch(error) => batch_status(error),
            Self::Container(error) => container_status(error),
            Self::Panic { .. } => Status::CutterErrorInternal,
        }
    }
}

fn batch_status(error: &BatchError) -> Status {
    match error {
        BatchError::NoSuchItem { .. } => Status::CutterErrorItem,
        BatchError::Element { .. } | BatchError::GatherRoom { .. } => Status::CutterErrorLength,
        BatchError::Type { .. } => Status::CutterErrorType,
        BatchError::Container(error) => container_status(error),
        BatchError::Model(_) => Status::CutterErrorInternal,
    }
}

fn container_status(error: &ContainerError) -> Status {
    match error {
        ContainerError::NoSocket
        | ContainerError::BadInheritedSocket { .. }
        | ContainerError::InheritedSocketTaken
        | ContainerError::Connect { .. }
        | ContainerError::Socket(_)
        | ContainerError::BadAnswer
        | ContainerError::GrantedSignature { .. }
        | ContainerError::Segment(_) => Status::CutterErrorConnect,
        ContainerError::Signature { .. } => Status::CutterErrorArgument,
        ContainerError::Unwritten { .. } => Status::CutterErrorUnwritten,
        ContainerError::Refused { .. } => Status::CutterErrorRefused,
        ContainerError::EngineGone
        | ContainerError::BrokenStamp(_)
        | ContainerError::Submission { .. }
        | ContainerError::UnmappedPool { .. }
        | ContainerError::PoolChange { .. }
        | ContainerError::PoolMessage { .. } => Status::CutterErrorEngine,
        ContainerError::OutputLength { .. } => Status::CutterErrorLength,
        ContainerError::NoSuchItem { .. } => Status::CutterErrorItem,
    }
}

thread_local! {
    static TEXT: RefCell<CString> = RefCell::default();
    static STATUS: Cell<Status> = const { Cell::new(Status::CutterOk) };
}

/// Runs what may panic; keeps the text of a failure and gives its code.
///
/// `install.sh` builds the library with a profile that unwinds, so that this holds for what is
/// installed; with `panic = "abort"` a panic ends the process instead.
pub(crate) fn guard(call: impl FnOnce() -> Result<Status, Error>) -> Status {
    let result = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic_text(&*panic).to_owned();
        Err(Error::Panic { text })
    });
    result.unwrap_or_else(|error| failed(&error))
}

/// Keeps the text of a failure for [`cutter_error_text`] and gives its code.
#[cold]
pub(crate) fn failed(error: &Error) -> Status {
    let text = error.to_string().replace('\0', " ");
    let text = CString::new(text).unwrap_or_default();
    // A thread that is ending has no text any more; the code is still told.
    let _ = TEXT.try_with(|place| *place.borrow_mut() = text);
    let status = error.status();
    let _ = STATUS.try_with(|place| place.set(status));
    status
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}

/// What the last call that failed in this thread has to say, as UTF-8; never NULL.
///
/// The text stays until the next call of this thread fails.
#[unsafe(no_mangle)]
pub extern "C" fn cutter_error_text() -> *const c_char {
    TEXT.try_with(|text| text.borrow().as_ptr()).unwrap_or(c"the thread is ending".as_ptr())
}

/// The code of the last call that failed in this thread, for those that give NULL; CUTTER_OK when
/// none has.
#[unsafe(no_mangle)]
pub extern "C" fn cutter_error_status() -> Status {
    STATUS.try_with(Cell::get).unwrap_or(Status::CutterErrorInternal)
}

/// The version of the library: major.minor.patch.
#[unsafe(no_mangle)]
pub extern "C" fn cutter_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn text() -> String {
        // SAFETY: never null and terminated, as promised.
        unsafe { CStr::from_ptr(cutter_error_text()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_panic_becomes_a_code_and_a_text() {
        assert_eq!(guard(|| panic!("row {} of 3", 7)), Status::CutterErrorInternal);
        assert_eq!(text(), "a bug in the SDK: row 7 of 3");
    }

    #[test]
    fn a_zero_byte_does_not_end_the_text() {
        let refused = ContainerError::Refused { text: "a\0b".to_owned() };
        assert_eq!(guard(|| Err(refused.into())), Status::CutterErrorRefused);
        assert_eq!(text(), "the engine refused this container: a b");
    }

    #[test]
    fn each_thread_has_a_text_of_its_own() {
        assert_eq!(guard(|| Err(Error::NoBatch)), Status::CutterErrorNoBatch);
        assert_eq!(std::thread::spawn(text).join().unwrap(), "");
        assert_eq!(text(), "the batch was given back already");
    }
}
