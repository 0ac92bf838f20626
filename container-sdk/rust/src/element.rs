//! The types that elements have in Rust, and what they may be read as.

use bytemuck::Pod;
use cutter_tensor::ElementType;

/// A type that elements have in Rust: `u8`, `i32`, `f32`, `f64`.
pub trait Element: Pod + sealed::Sealed {
    /// How Rust calls it.
    const NAME: &'static str;

    /// Whether elements of this type are such values. Bytes and the bytes of strings are `u8`.
    fn is(element: ElementType) -> bool;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($type:ident: $($element:ident)|+;)*) => {
        $(
            impl sealed::Sealed for $type {}

            impl Element for $type {
                const NAME: &'static str = stringify!($type);

                fn is(element: ElementType) -> bool {
                    matches!(element, $(ElementType::$element)|+)
                }
            }
        )*
    };
}

elements! {
    u8: Bytes | String;
    i32: Int32;
    f32: Float32;
    f64: Float64;
}
