//! What a user may name as an input.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::tensor::join;
use super::{Element, InputError};
use crate::limits::BODY_BYTES_MAX;

/// Different tensors, unless another number is asked for: enough that no cache answers for a model
/// by chance, few enough to stay in the processor's.
const DISTINCT: usize = 256;
/// Dimensions of a shape.
const RANK_MAX: usize = 16;

/// Where bodies come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// No body.
    None,
    /// The built-in handwritten digits, whose classes are known.
    Digits,
    /// Random numbers.
    Tensors {
        element: Element,
        shape: Vec<u64>,
        /// How many of them.
        distinct: usize,
    },
    /// A file that is one body.
    File(PathBuf),
    /// A folder of such files.
    Folder(PathBuf),
}

impl FromStr for Input {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        match text {
            "none" => return Ok(Self::None),
            "digits" => return Ok(Self::Digits),
            _ => {}
        }
        if let Some((element, shape)) = text.split_once(':')
            && let Some(element) = Element::from_name(element)
        {
            let no_shape = || InputError::Shape { text: text.to_owned() };
            let shape = read_shape(shape).ok_or_else(no_shape)?;
            check_shape(element, &shape)?;
            return Ok(Self::Tensors { element, shape, distinct: DISTINCT });
        }
        let path = Path::new(text);
        match path.metadata() {
            Ok(found) if found.is_file() => Ok(Self::File(path.to_owned())),
            Ok(found) if found.is_dir() => Ok(Self::Folder(path.to_owned())),
            Ok(_) => Err(InputError::NoFile { text: text.to_owned() }),
            Err(_) => Err(InputError::Unknown { text: text.to_owned() }),
        }
    }
}

impl Display for Input {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Digits => f.write_str("digits"),
            Self::Tensors { element, shape, .. } => {
                write!(f, "{}:{}", element.name(), join(shape, "x"))
            }
            Self::File(path) | Self::Folder(path) => path.display().fmt(f),
        }
    }
}

/// Refuses shapes without elements, and those that no body holds.
pub fn check_shape(element: Element, shape: &[u64]) -> Result<(), InputError> {
    let text = || join(shape, "x");
    if shape.is_empty() || shape.len() > RANK_MAX || shape.contains(&0) {
        return Err(InputError::Shape { text: format!("{}:{}", element.name(), text()) });
    }
    let bytes = shape.iter().try_fold(element.bytes(), |bytes, size| bytes.checked_mul(*size));
    match bytes {
        Some(bytes) if bytes <= BODY_BYTES_MAX as u64 => Ok(()),
        _ => Err(InputError::TooLarge { element: element.name(), shape: text() }),
    }
}

fn read_shape(text: &str) -> Option<Vec<u64>> {
    let size = |size: &str| {
        let is_number = size.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { size.parse().ok() } else { None }
    };
    text.split('x').map(size).collect()
}
