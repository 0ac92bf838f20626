//! The connection to the engine, and the two ways to be driven by it.

use std::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use cutter_container::{Container, Pull};

use crate::batch::Batch;
use crate::model::Model;
use crate::status::{Error, Status, failed, guard};

/// A connection to the engine. Use it from one thread at a time.
#[derive(Debug)]
pub struct Connection {
    /// The connection's one batch: in hand, or not.
    batch: Batch,
    stopped: bool,
}

/// Predicts one batch: reads its rows, writes its outputs, and returns 0.
///
/// To fail the whole batch: return cutter_batch_fail(batch, "why"). Another return value than 0
/// fails it too, without a reason. The container lives on. An item whose output was not written
/// fails, and so does a batch of which nothing was written.
///
/// No C++ exception may leave it: that ends the process. cutter::serve() of container.hpp catches
/// them, and fails the batch.
pub type Predict =
    Option<unsafe extern "C-unwind" fn(context: *mut c_void, batch: *mut Batch) -> c_int>;

/// An option of cutter_serve_with() and cutter_connect_with(): before the container gets its first
/// query, the engine may try batches of 1, 2, 4, ... inputs of zeros, drop what comes of them, and
/// know then how long batches take.
///
/// Not for a model that keeps something of what it is asked, or does something with it besides the
/// answer: counts, logs, learns, calls somebody.
pub const CUTTER_WARM_UP: u32 = 1;

/// Connects, and calls predict for batch after batch until the engine asks the container to end.
///
/// Load the model first: batches come from here on. CUTTER_OK when the engine asked; else an error.
/// context is handed on to predict.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_serve(
    model: *const Model,
    predict: Predict,
    context: *mut c_void,
) -> Status {
    // SAFETY: as this function's, by the promise of C.
    unsafe { cutter_serve_with(model, 0, predict, context) }
}

/// The same with options, as CUTTER_WARM_UP: one, or several joined by |.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_serve_with(
    model: *const Model,
    options: u32,
    predict: Predict,
    context: *mut c_void,
) -> Status {
    let Some(predict) = predict else { return failed(&Error::Null { what: "predict" }) };
    let mut connection = ptr::null_mut();
    // SAFETY: `model` by the promise of C; `connection` is a place.
    let status = unsafe { cutter_connect_with(model, options, &raw mut connection) };
    if status != Status::CutterOk {
        return status;
    }
    loop {
        let mut batch = ptr::null_mut();
        // SAFETY: connected above, closed below.
        let status = unsafe { cutter_next(connection, -1, &raw mut batch) };
        if status != Status::CutterOk {
            // SAFETY: as above; used no more.
            unsafe { cutter_close(connection) };
            return if status == Status::CutterStop { Status::CutterOk } else { status };
        }
        // SAFETY: the model's own function, on the batch that it may use until it returns; no
        // reference into the connection is held meanwhile. An exception that leaves it does not
        // pass this function, which is of C: the process is aborted.
        let returned = unsafe { predict(context, batch) };
        // SAFETY: the connection is open, and the batch lies in it.
        unsafe { (*batch).settle(returned) };
    }
}

/// Connects to the engine. For a model with a loop of its own; others use cutter_serve().
///
/// The engine sends batches from the first call of cutter_next() on: a model may load before that,
/// or before it connects. On CUTTER_OK, *container is to be closed with cutter_close(); else it is
/// NULL. A process that the engine started connects once: the socket that it inherited is taken by
/// the first call, whatever comes of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_connect(
    model: *const Model,
    container: *mut *mut Connection,
) -> Status {
    // SAFETY: as this function's, by the promise of C.
    unsafe { cutter_connect_with(model, 0, container) }
}

/// The same with options, as CUTTER_WARM_UP: one, or several joined by |.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_connect_with(
    model: *const Model,
    options: u32,
    container: *mut *mut Connection,
) -> Status {
    guard(|| {
        if container.is_null() {
            return Err(Error::Null { what: "container" });
        }
        // SAFETY: not null; a place for a pointer by the promise of C.
        unsafe { *container = ptr::null_mut() };
        // SAFETY: null or a model by the promise of C.
        let model = unsafe { model.as_ref() }.ok_or(Error::Null { what: "model" })?;
        // SAFETY: the names are null or terminated by the promise of C.
        let mut model = unsafe { model.read() }?;
        if options & !CUTTER_WARM_UP != 0 {
            return Err(Error::Options { options, known: CUTTER_WARM_UP });
        }
        if options & CUTTER_WARM_UP != 0 {
            model = model.warm_up();
        }
        let batch = Batch::new(Container::connect(&model)?);
        let connection = Box::new(Connection { batch, stopped: false });
        // SAFETY: as above.
        unsafe { *container = Box::into_raw(connection) };
        Ok(Status::CutterOk)
    })
}

/// Waits for the next batch: for at most timeout_ns nanoseconds, forever when it is negative; with
/// 0 it only looks. The first call tells the engine that the model is ready.
///
/// CUTTER_OK: *batch is in hand until cutter_batch_complete() or cutter_batch_fail() gives it back.
/// CUTTER_IDLE: none came. CUTTER_STOP: the engine asks the container to end. Else an error. Unless
/// CUTTER_OK, *batch is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_next(
    container: *mut Connection,
    timeout_ns: i64,
    batch: *mut *mut Batch,
) -> Status {
    guard(|| {
        if batch.is_null() {
            return Err(Error::Null { what: "batch" });
        }
        // SAFETY: not null; a place for a pointer by the promise of C.
        unsafe { *batch = ptr::null_mut() };
        // SAFETY: null or a connection that is open by the promise of C, in the hands of this
        // thread alone.
        let open = unsafe { container.as_mut() }.ok_or(Error::Null { what: "container" })?;
        let status = open.next(timeout_ns)?;
        if status == Status::CutterOk {
            // SAFETY: `batch` as above. `container` is not null; its field is addressed without a
            // reference, so that the address stays good for as long as the connection.
            unsafe { *batch = &raw mut (*container).batch };
        }
        Ok(status)
    })
}

/// A descriptor that becomes readable when the engine is gone or has something to say, for an event
/// loop; -1 for NULL.
///
/// Then call cutter_next() with a timeout of 0: it hears what there is, and tells an end as an
/// error. Batches do not show on it: ask cutter_next() all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_socket(container: *const Connection) -> c_int {
    // SAFETY: null or a connection that is open by the promise of C.
    match unsafe { container.as_ref() } {
        Some(open) => open.batch.container().socket().as_raw_fd(),
        None => -1,
    }
}

/// Ends the connection. A batch in hand fails. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_close(container: *mut Connection) {
    if container.is_null() {
        return;
    }
    guard(|| {
        // SAFETY: made by `cutter_connect`, and closed once by the promise of C.
        let mut connection = unsafe { Box::from_raw(container) };
        connection.batch.abandon();
        Ok(Status::CutterOk)
    });
}

impl Connection {
    fn next(&mut self, timeout_ns: i64) -> Result<Status, Error> {
        if self.batch.is_in_hand() {
            return Err(Error::BatchInHand);
        }
        if self.stopped {
            return Ok(Status::CutterStop);
        }
        let (container, view) = self.batch.parts();
        let pull = match u64::try_from(timeout_ns) {
            Ok(timeout_ns) => container.next_within(Duration::from_nanos(timeout_ns))?,
            Err(_) => container.next_batch()?.map_or(Pull::Stop, Pull::Batch),
        };
        match pull {
            Pull::Batch(batch) => {
                view.take(batch);
                Ok(Status::CutterOk)
            }
            Pull::Idle => Ok(Status::CutterIdle),
            Pull::Stop => {
                self.stopped = true;
                Ok(Status::CutterStop)
            }
        }
    }
}
