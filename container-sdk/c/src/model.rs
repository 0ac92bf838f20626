//! What a container tells the engine of its model, as C writes it.

use std::borrow::Cow;
use std::ffi::{CStr, c_char};

use cutter_container::limits::RANK_MAX;
use cutter_container::{ElementType, Shape, TensorSpec};

use crate::status::Error;

/// Dimensions of a tensor at most.
pub const CUTTER_RANK_MAX: usize = 8;

const _: () = assert!(CUTTER_RANK_MAX == RANK_MAX);

/// Element types. A string is UTF-8 without a terminating zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum Type {
    /// Of an input: whatever the application sends. No output is of this type.
    CutterAny = 0,
    /// uint8_t
    CutterBytes = 1,
    /// int32_t
    CutterInt32 = 2,
    /// float
    CutterFloat32 = 3,
    /// double
    CutterFloat64 = 4,
    /// char
    CutterString = 5,
}

const ELEMENTS: [(Type, ElementType); 5] = [
    (Type::CutterBytes, ElementType::Bytes),
    (Type::CutterInt32, ElementType::Int32),
    (Type::CutterFloat32, ElementType::Float32),
    (Type::CutterFloat64, ElementType::Float64),
    (Type::CutterString, ElementType::String),
];

/// What one item is: an element type, and a shape or a bound on its bytes. All zero means
/// CUTTER_ANY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Spec {
    /// A cutter_type.
    pub r#type: u32,
    /// Dimensions in use; 0 is a scalar.
    pub rank: u32,
    /// The dimensions, outermost first.
    pub shape: [u32; CUTTER_RANK_MAX],
    /// When not 0: items have lengths of their own, of at most this many bytes; rank is 0.
    pub bytes_max: u32,
}

/// What the engine is told of a model. Set the fields that matter; zero is right for the others.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Model {
    /// What the model gives for each item.
    pub output: Spec,
    /// What it takes. The engine refuses to link it with an application of another input.
    pub input: Spec,
    /// Items that it takes in one batch; 0 for any number.
    pub items_max: u32,
    /// Which model of the configuration this is. It matters only for a container that is started
    /// by hand, where CUTTER_MODEL=name:version in the environment overrides it. May be NULL.
    pub name: *const c_char,
    /// May be NULL.
    pub version: *const c_char,
}

/// One element.
#[unsafe(no_mangle)]
pub extern "C" fn cutter_scalar(r#type: u32) -> Spec {
    Spec { r#type, ..Spec::default() }
}

/// A vector of exactly this many elements. For more dimensions fill a cutter_spec.
#[unsafe(no_mangle)]
pub extern "C" fn cutter_vector(r#type: u32, elements: u32) -> Spec {
    let mut shape = [0; CUTTER_RANK_MAX];
    shape[0] = elements;
    Spec { r#type, rank: 1, shape, bytes_max: 0 }
}

/// Items with lengths of their own, of at most this many bytes: the usual thing for CUTTER_STRING.
#[unsafe(no_mangle)]
pub extern "C" fn cutter_at_most(r#type: u32, bytes_max: u32) -> Spec {
    Spec { r#type, bytes_max, ..Spec::default() }
}

impl From<ElementType> for Type {
    fn from(element: ElementType) -> Self {
        let known = ELEMENTS.iter().find(|(_, known)| *known == element);
        known.map_or(Self::CutterAny, |(value, _)| *value)
    }
}

/// The element type of a number from C; `None` for one that names none.
pub(crate) fn element_of(value: u32) -> Option<ElementType> {
    let known = ELEMENTS.iter().find(|(known, _)| *known as u32 == value);
    known.map(|(_, element)| *element)
}

impl Spec {
    /// `None` for any type.
    fn read(&self, which: &'static str) -> Result<Option<TensorSpec>, Error> {
        let Self { r#type: value, rank, shape, bytes_max } = *self;
        if value == Type::CutterAny as u32 {
            return Ok(None);
        }
        let element = element_of(value).ok_or(Error::Type { which, value })?;
        if bytes_max > 0 {
            return match rank {
                0 => {
                    let spec = TensorSpec::at_most(element, bytes_max);
                    spec.check().map_err(|why| Error::Spec { which, why })?;
                    Ok(Some(spec))
                }
                _ => Err(Error::Extent { which, bytes_max, rank }),
            };
        }
        let dims = usize::try_from(rank).ok().and_then(|rank| shape.get(..rank));
        let dims = dims.ok_or(Error::Rank { which, rank })?;
        let wrong = |why| Error::Spec { which, why };
        let spec = TensorSpec::exact(element, Shape::new(dims).map_err(wrong)?);
        spec.check().map_err(wrong)?;
        Ok(Some(spec))
    }
}

impl Model {
    /// # Safety
    /// The names are null or end with a zero byte.
    pub(crate) unsafe fn read(&self) -> Result<cutter_container::Model, Error> {
        let output = self.output.read("model.output")?;
        let output = output.ok_or(Error::Type { which: "model.output", value: 0 })?;
        // SAFETY: null or terminated, by the promise of the caller.
        let (name, version) = unsafe { (text(self.name), text(self.version)) };
        let mut model = cutter_container::Model::new(output)
            .name(&name.unwrap_or_default(), &version.unwrap_or_default());
        if let Some(input) = self.input.read("model.input")? {
            model = model.input(input);
        }
        if self.items_max > 0 {
            model = model.items_max(self.items_max);
        }
        Ok(model)
    }
}

/// A text from C; what is not UTF-8 in it is replaced. `None` for null.
///
/// # Safety
/// `text` is null or ends with a zero byte, and is not written while the result is used.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Option<Cow<'a, str>> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and terminated by the promise of the caller.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOAT32: u32 = Type::CutterFloat32 as u32;

    #[test]
    fn every_type_but_any_names_an_element() {
        let read = [1, 2, 3, 4, 5].map(|r#type| cutter_scalar(r#type).read("output").unwrap());
        assert_eq!(read, ElementType::ALL.map(|element| Some(TensorSpec::scalar(element))));
        assert_eq!(cutter_scalar(Type::CutterAny as u32).read("output").unwrap(), None);
    }

    #[test]
    fn a_vector_and_a_bound_are_read_as_such() {
        let shape = Shape::new(&[784]).unwrap();
        let vector = TensorSpec::exact(ElementType::Float32, shape);
        assert_eq!(cutter_vector(FLOAT32, 784).read("input").unwrap(), Some(vector));
        let bound = TensorSpec::at_most(ElementType::String, 4096);
        let read = cutter_at_most(Type::CutterString as u32, 4096).read("input").unwrap();
        assert_eq!(read, Some(bound));
    }

    #[test]
    fn descriptions_that_mean_nothing_say_what_is_wrong() {
        let vector = cutter_vector(FLOAT32, 784);
        let bad = [
            (Spec { r#type: 6, ..vector }, "s.type is 6, which names no type"),
            (Spec { rank: 9, ..vector }, "s.rank is 9; a shape has at most 8"),
            (
                Spec { rank: 2, shape: [1 << 16; 8], ..vector },
                "s cannot be used: a shape of more elements",
            ),
            (Spec { rank: 2, ..vector }, "s cannot be used: dimension 1 of the shape is 0"),
            (Spec { bytes_max: 4, ..vector }, "s.bytes_max is 4 and s.rank 1"),
        ];
        let wrong = bad.map(|(spec, start)| (spec.read("s").unwrap_err().to_string(), start));
        assert!(wrong.iter().all(|(text, start)| text.starts_with(start)), "{wrong:?}");
    }

    #[test]
    fn a_model_without_an_output_is_refused() {
        let (name, version) = (c"".as_ptr(), std::ptr::null());
        let spec = Spec::default();
        let model = Model { output: spec, input: spec, items_max: 0, name, version };
        // SAFETY: one name is a literal, the other null.
        let refused = unsafe { model.read() }.unwrap_err();
        assert!(refused.to_string().starts_with("model.output.type is 0"));
    }
}
