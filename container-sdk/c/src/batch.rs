//! A batch: where its rows and its outputs lie, and how it is given back.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use cutter_container::{BatchError, Container, ElementType};

use crate::model::{Type, element_of, text};
use crate::status::{Error, Status, failed, guard};

const NO_REASON: &str = "the model gave no reason";

/// A batch in hand: rows to read in place, outputs to write in place.
#[derive(Debug)]
pub struct Batch {
    container: Container,
    view: View,
}

/// Where everything of the batch in hand lies; no items when none is in hand.
///
/// The addresses are taken once for each batch, and nothing borrows the outputs again until the
/// batch is given back.
#[derive(Debug)]
pub(crate) struct View {
    count: usize,
    deadline_ns: u64,
    dense: Option<Matrix>,
    /// The rows of a batch that is not dense. It grows to the largest batch and stays so.
    table: Vec<Row>,
    /// The place for all outputs; null until it is asked for.
    outputs: *mut u8,
    output_stride: usize,
    output_element: ElementType,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    base: *const u8,
    bytes: usize,
    element: ElementType,
}

impl Row {
    const NONE: Row = Row { base: ptr::null(), bytes: 0, element: ElementType::Bytes };
}

#[derive(Clone, Copy, Debug)]
struct Matrix {
    first: Row,
    stride: usize,
}

/// The number of items, at least 1; 0 when the batch was given back, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_count(batch: *const Batch) -> usize {
    // SAFETY: null or a batch of an open connection by the promise of C.
    unsafe { batch.as_ref() }.map_or(0, |batch| batch.view.count)
}

/// When the first query of the batch is due: nanoseconds on CLOCK_MONOTONIC. Advice; 0 when the
/// batch was given back, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_deadline_ns(batch: *const Batch) -> u64 {
    // SAFETY: null or a batch of an open connection by the promise of C.
    unsafe { batch.as_ref() }.map_or(0, |batch| batch.view.deadline_ns)
}

/// The input of one item, in shared memory, aligned to 64 bytes; *bytes is its length. NULL when
/// there is no such item. bytes may be NULL.
///
/// It is read-only memory, and good until the batch is given back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_row(
    batch: *const Batch,
    item: usize,
    bytes: *mut usize,
) -> *const c_void {
    // SAFETY: null or a batch of an open connection by the promise of C.
    let row = unsafe { in_hand(batch) }.and_then(|view| {
        view.check(item)?;
        Ok(view.row(item))
    });
    let row = row.unwrap_or_else(|error| {
        failed(&error);
        Row::NONE
    });
    // SAFETY: null or a place by the promise of C.
    unsafe { put(bytes, row.bytes) };
    row.base.cast()
}

/// As cutter_batch_row(), for elements of one cutter_type; *elements is their number. NULL when the
/// input is of another type: what an application sends may change without a change of the model.
/// Strings are also had as bytes, and bytes as strings; CUTTER_ANY is the bytes of every type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_row_as(
    batch: *const Batch,
    item: usize,
    r#type: u32,
    elements: *mut usize,
) -> *const c_void {
    // SAFETY: null or a batch of an open connection by the promise of C.
    let row = unsafe { in_hand(batch) }.and_then(|view| {
        view.check(item)?;
        let row = view.row(item);
        let element_bytes = element_bytes("input", row.element, r#type)?;
        Ok((row.base, row.bytes / element_bytes))
    });
    let (base, count) = row.unwrap_or_else(|error| {
        failed(&error);
        (ptr::null(), 0)
    });
    // SAFETY: null or a place by the promise of C.
    unsafe { put(elements, count) };
    base.cast()
}

/// The cutter_type of the input of one item; CUTTER_ANY when there is no such item.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_row_type(batch: *const Batch, item: usize) -> Type {
    // SAFETY: null or a batch of an open connection by the promise of C.
    let row = unsafe { in_hand(batch) }.and_then(|view| {
        view.check(item)?;
        Ok(view.row(item))
    });
    row.map_or_else(
        |error| {
            failed(&error);
            Type::CutterAny
        },
        |row| row.element.into(),
    )
}

/// The cutter_type of the outputs; CUTTER_ANY when the batch was given back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_output_type(batch: *const Batch) -> Type {
    // SAFETY: null or a batch of an open connection by the promise of C.
    let view = unsafe { in_hand(batch) };
    view.map_or_else(
        |error| {
            failed(&error);
            Type::CutterAny
        },
        |view| view.output_element.into(),
    )
}

/// All inputs as one matrix, when they lie so; nearly always. Else NULL: read each row for itself,
/// or gather them.
///
/// All rows have *row_bytes bytes, and one starts *stride_bytes after the other, a multiple of 64.
/// Both pointers may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_dense(
    batch: *const Batch,
    row_bytes: *mut usize,
    stride_bytes: *mut usize,
) -> *const c_void {
    const SCATTERED: Matrix = Matrix { first: Row::NONE, stride: 0 };
    // SAFETY: null or a batch of an open connection by the promise of C.
    let view = unsafe { in_hand(batch) };
    let matrix = view.map_or_else(
        |error| {
            failed(&error);
            SCATTERED
        },
        |view| view.dense.unwrap_or(SCATTERED),
    );
    // SAFETY: null or places by the promise of C.
    unsafe {
        put(row_bytes, matrix.first.bytes);
        put(stride_bytes, matrix.stride);
    }
    matrix.first.base.cast()
}

/// Copies all rows to a buffer of the model, each to the start of its own stride_bytes; what a
/// shorter row leaves of them is zeroed. into_bytes is the size of the buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_gather(
    batch: *const Batch,
    into: *mut c_void,
    stride_bytes: usize,
    into_bytes: usize,
) -> Status {
    guard(|| {
        // SAFETY: null or a batch of an open connection by the promise of C.
        let view = unsafe { in_hand(batch) }?;
        if into.is_null() {
            return Err(Error::Null { what: "into" });
        }
        view.check_gather(stride_bytes, into_bytes)?;
        for item in 0..view.count {
            let Row { base, bytes, .. } = view.row(item);
            // SAFETY: the row is mapped while the batch is in hand. `into` holds `into_bytes` bytes
            // by the promise of C, and the check found room in them for every stride.
            unsafe {
                let place = into.cast::<u8>().add(item * stride_bytes);
                ptr::copy(base, place, bytes);
                ptr::write_bytes(place.add(bytes), 0, stride_bytes - bytes);
            }
        }
        Ok(Status::CutterOk)
    })
}

/// The place for all outputs, in shared memory, aligned to 64 bytes: item i starts i *
/// *stride_bytes after it. NULL when the batch was given back. stride_bytes may be NULL.
///
/// It is zeroed when it is first asked for in a batch, and from then on all outputs of a shape
/// count as written. They have no gaps. Outputs with lengths of their own start at multiples of 8;
/// say how long each is with cutter_batch_set_output_bytes(), else its item fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_outputs(
    batch: *mut Batch,
    stride_bytes: *mut usize,
) -> *mut c_void {
    // SAFETY: null or a batch of an open connection by the promise of C.
    let outputs = unsafe { own(batch) }.and_then(Batch::outputs);
    let (outputs, stride) = outputs.unwrap_or_else(|error| {
        failed(&error);
        (ptr::null_mut(), 0)
    });
    // SAFETY: null or a place by the promise of C.
    unsafe { put(stride_bytes, stride) };
    outputs.cast()
}

/// As cutter_batch_outputs(), for elements of one cutter_type; *stride_elements is the distance
/// between two outputs. NULL when the model declared outputs of another type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_outputs_as(
    batch: *mut Batch,
    r#type: u32,
    stride_elements: *mut usize,
) -> *mut c_void {
    // SAFETY: null or a batch of an open connection by the promise of C.
    let outputs = unsafe { own(batch) }.and_then(|batch| {
        let element_bytes = element_bytes("output", batch.view.output_element, r#type)?;
        let (outputs, stride) = batch.outputs()?;
        Ok((outputs, stride / element_bytes))
    });
    let (outputs, stride) = outputs.unwrap_or_else(|error| {
        failed(&error);
        (ptr::null_mut(), 0)
    });
    // SAFETY: null or a place by the promise of C.
    unsafe { put(stride_elements, stride) };
    outputs.cast()
}

/// The place for the output of one item, in shared memory. NULL when there is no such item.
///
/// It is zeroed when it is first asked for in a batch, and an output of a shape counts as written
/// from then on. An item of which neither the place was asked for nor anything was said fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_output(batch: *mut Batch, item: usize) -> *mut c_void {
    // SAFETY: null or a batch of an open connection by the promise of C.
    let place = unsafe { own(batch) }.and_then(|batch| batch.output(item));
    let place = place.unwrap_or_else(|error| {
        failed(&error);
        ptr::null_mut()
    });
    place.cast()
}

/// As cutter_batch_output(), for elements of one cutter_type; *elements is how many there is room
/// for. NULL when the model declared outputs of another type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_output_as(
    batch: *mut Batch,
    item: usize,
    r#type: u32,
    elements: *mut usize,
) -> *mut c_void {
    // SAFETY: null or a batch of an open connection by the promise of C.
    let place = unsafe { own(batch) }.and_then(|batch| {
        let element_bytes = element_bytes("output", batch.view.output_element, r#type)?;
        Ok((batch.output(item)?, batch.view.output_stride / element_bytes))
    });
    let (place, count) = place.unwrap_or_else(|error| {
        failed(&error);
        (ptr::null_mut(), 0)
    });
    // SAFETY: null or a place by the promise of C.
    unsafe { put(elements, count) };
    place.cast()
}

/// Says how many bytes of its place the output of an item has taken. Only needed for outputs with
/// lengths of their own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_set_output_bytes(
    batch: *mut Batch,
    item: usize,
    bytes: usize,
) -> Status {
    // SAFETY: null or a batch of an open connection by the promise of C.
    guard(|| unsafe { own(batch) }?.with(|batch| batch.set_output_bytes(item, bytes)))
}

/// Copies the output of one item to its place and says how long it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_write_output(
    batch: *mut Batch,
    item: usize,
    output: *const c_void,
    bytes: usize,
) -> Status {
    guard(|| {
        if output.is_null() && bytes > 0 {
            return Err(Error::Null { what: "output" });
        }
        // SAFETY: null or a batch of an open connection by the promise of C.
        let batch = unsafe { own(batch) }?;
        batch.view.check(item)?;
        batch.with(|batch| {
            let place = batch.claim_output(item, bytes)?;
            if bytes > 0 {
                // SAFETY: `output` holds `bytes` bytes by the promise of C; the place does, or the
                // call above would have failed. They may overlap.
                unsafe { ptr::copy(output.cast::<u8>(), place.as_ptr(), bytes) };
            }
            Ok(())
        })
    })
}

/// Fails one item; the others go on. Its client reads the message, UTF-8 of at most 512 bytes,
/// which is copied. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_fail_item(
    batch: *mut Batch,
    item: usize,
    message: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: null or terminated by the promise of C.
        let message = unsafe { text(message) };
        let message = message.as_deref().unwrap_or(NO_REASON);
        // SAFETY: null or a batch of an open connection by the promise of C.
        unsafe { own(batch) }?.with(|batch| batch.fail_item(item, message))
    })
}

/// Gives the batch back with its outputs. cutter_serve() does this for a predict that returns 0.
/// CUTTER_ERROR_UNWRITTEN when outputs are missing; the batch is given back all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_complete(batch: *mut Batch) -> Status {
    // SAFETY: null or a batch of an open connection by the promise of C.
    guard(|| unsafe { own(batch) }?.give_back(|batch| batch.complete()))
}

/// Fails the whole batch and gives it back. Its clients read the message, UTF-8 of at most 512
/// bytes, which is copied. NULL is allowed. The container lives on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cutter_batch_fail(batch: *mut Batch, message: *const c_char) -> Status {
    guard(|| {
        // SAFETY: null or terminated by the promise of C.
        let message = unsafe { text(message) };
        let message = message.as_deref().unwrap_or(NO_REASON);
        // SAFETY: null or a batch of an open connection by the promise of C.
        unsafe { own(batch) }?.give_back(|batch| {
            batch.fail(message);
            Ok(())
        })
    })
}

impl Batch {
    pub(crate) fn new(container: Container) -> Self {
        Self { container, view: View::default() }
    }

    pub(crate) fn container(&self) -> &Container {
        &self.container
    }

    pub(crate) fn parts(&mut self) -> (&mut Container, &mut View) {
        (&mut self.container, &mut self.view)
    }

    pub(crate) fn is_in_hand(&self) -> bool {
        self.view.count > 0
    }

    /// Gives back what `predict` left in hand, by what it returned.
    pub(crate) fn settle(&mut self, returned: c_int) {
        if !self.is_in_hand() {
            return;
        }
        guard(|| match returned {
            // What is missing is told to the engine, which answers for it.
            0 => self.give_back(|batch| batch.complete()),
            code => self.give_back(|batch| {
                batch.fail(&format!("the model returned {code}"));
                Ok(())
            }),
        });
    }

    /// Fails a batch that is still in hand.
    pub(crate) fn abandon(&mut self) {
        self.view.clear();
        drop(self.container.in_hand());
    }

    /// Does something with the batch and leaves it in hand.
    fn with(
        &mut self,
        call: impl FnOnce(&mut cutter_container::Batch<'_>) -> Result<(), BatchError>,
    ) -> Result<Status, Error> {
        let mut batch = self.container.in_hand().ok_or(Error::NoBatch)?;
        let result = call(&mut batch);
        batch.keep();
        result?;
        Ok(Status::CutterOk)
    }

    fn give_back(
        &mut self,
        call: impl FnOnce(cutter_container::Batch<'_>) -> Result<(), BatchError>,
    ) -> Result<Status, Error> {
        self.view.clear();
        call(self.container.in_hand().ok_or(Error::NoBatch)?)?;
        Ok(Status::CutterOk)
    }

    /// The place for all outputs, and the distance between two.
    fn outputs(&mut self) -> Result<(*mut u8, usize), Error> {
        if self.view.outputs.is_null() {
            let mut batch = self.container.in_hand().ok_or(Error::NoBatch)?;
            self.view.outputs = batch.outputs_address().as_ptr();
            batch.keep();
        }
        Ok((self.view.outputs, self.view.output_stride))
    }

    /// The place for the output of an item.
    fn output(&mut self, item: usize) -> Result<*mut u8, Error> {
        self.view.check(item)?;
        if !self.view.outputs.is_null() {
            // Within the mapping, like every place of the batch.
            return Ok(self.view.outputs.wrapping_add(item * self.view.output_stride));
        }
        let mut batch = self.container.in_hand().ok_or(Error::NoBatch)?;
        let place = batch.output_address(item);
        batch.keep();
        Ok(place?.as_ptr())
    }
}

impl Default for View {
    fn default() -> Self {
        Self {
            count: 0,
            deadline_ns: 0,
            dense: None,
            table: Vec::new(),
            outputs: ptr::null_mut(),
            output_stride: 0,
            output_element: ElementType::Bytes,
        }
    }
}

impl View {
    /// Takes the addresses of a batch that came, and leaves it in hand.
    pub(crate) fn take(&mut self, batch: cutter_container::Batch<'_>) {
        self.clear();
        self.deadline_ns = batch.deadline_ns();
        self.output_stride = batch.output_stride();
        self.output_element = batch.output_spec().element;
        let rows = batch.rows();
        let row = |item| {
            let row: &[u8] = rows.get(item);
            Row { base: row.as_ptr(), bytes: row.len(), element: rows.input(item).element }
        };
        // The matrix's address, unlike that of its first row, covers all rows.
        self.dense = rows.dense().map(|(bytes, stride)| Matrix {
            first: Row { base: bytes.as_ptr(), ..row(0) },
            stride,
        });
        if self.dense.is_none() {
            self.table.extend((0..rows.len()).map(row));
        }
        self.count = rows.len();
        batch.keep();
    }

    fn clear(&mut self) {
        let mut table = std::mem::take(&mut self.table);
        table.clear();
        *self = Self { table, ..Self::default() };
    }

    fn check(&self, item: usize) -> Result<(), Error> {
        let count = self.count;
        if item < count { Ok(()) } else { Err(BatchError::NoSuchItem { item, count }.into()) }
    }

    /// An item of the batch.
    fn row(&self, item: usize) -> Row {
        match self.dense {
            // Within the mapping, like every row of the batch.
            Some(Matrix { first, stride }) => {
                Row { base: first.base.wrapping_add(item * stride), ..first }
            }
            None => self.table[item],
        }
    }

    fn check_gather(&self, stride: usize, found: usize) -> Result<(), Error> {
        let count = self.count;
        // No object is larger than half the address space: such a size is a mistake of C.
        let fits = isize::try_from(found).is_ok()
            && stride.checked_mul(count).is_some_and(|bytes| bytes <= found);
        if fits && (0..count).all(|item| self.row(item).bytes <= stride) {
            return Ok(());
        }
        Err(BatchError::GatherRoom { found, count, stride }.into())
    }
}

/// The bytes of an element when those of one type are asked for as those of another.
fn element_bytes(which: &'static str, found: ElementType, asked: u32) -> Result<usize, Error> {
    if asked == Type::CutterAny as u32 {
        return Ok(1);
    }
    let asked = element_of(asked).ok_or(Error::AskedType { value: asked })?;
    let is_text = |element| matches!(element, ElementType::Bytes | ElementType::String);
    if asked == found || (is_text(asked) && is_text(found)) {
        return Ok(found.bytes());
    }
    Err(BatchError::Type { which, found, asked: asked.name() }.into())
}

/// # Safety
/// `batch` is null or lies in an open connection.
unsafe fn in_hand<'a>(batch: *const Batch) -> Result<&'a View, Error> {
    // SAFETY: by the promise of the caller.
    match unsafe { batch.as_ref() } {
        Some(batch) if batch.is_in_hand() => Ok(&batch.view),
        Some(_) => Err(Error::NoBatch),
        None => Err(Error::Null { what: "batch" }),
    }
}

/// # Safety
/// `batch` is null or lies in an open connection, in the hands of this thread alone.
unsafe fn own<'a>(batch: *mut Batch) -> Result<&'a mut Batch, Error> {
    // SAFETY: by the promise of the caller.
    match unsafe { batch.as_mut() } {
        Some(batch) if batch.is_in_hand() => Ok(batch),
        Some(_) => Err(Error::NoBatch),
        None => Err(Error::Null { what: "batch" }),
    }
}

/// # Safety
/// `place` is null or a place for a size.
unsafe fn put(place: *mut usize, value: usize) {
    if !place.is_null() {
        // SAFETY: not null, and a place by the promise of the caller.
        unsafe { *place = value };
    }
}
