//! A well-behaved container that gives each input back, with the type that its arguments name:
//!
//! ```text
//!   echo floats 2 3        of exactly this shape
//!   echo bytes max 4096    of any size up to this many bytes
//! ```

use cutter_container::{Batch, BatchError, ElementType, Model, Shape, TensorSpec, serve};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let spec = spec(&words).ok_or("usage: echo TYPE DIMENSION... | echo TYPE max BYTES")?;
    serve(&Model::new(spec).input(spec), echo)?;
    Ok(())
}

fn echo(batch: &mut Batch<'_>) -> Result<(), BatchError> {
    for item in 0..batch.len() {
        let input = batch.row(item)?.to_vec();
        batch.set_output_bytes(item, input.len())?;
        batch.output(item)?[..input.len()].copy_from_slice(&input);
    }
    Ok(())
}

fn spec(words: &[String]) -> Option<TensorSpec> {
    let (element, extent) = words.split_first()?;
    let element = match element.as_str() {
        "bytes" => ElementType::Bytes,
        "integers" => ElementType::Int32,
        "floats" => ElementType::Float32,
        "doubles" => ElementType::Float64,
        "strings" => ElementType::String,
        _ => return None,
    };
    match extent {
        [max, bytes] if max == "max" => Some(TensorSpec::at_most(element, bytes.parse().ok()?)),
        dims => {
            let dims: Option<Vec<u32>> = dims.iter().map(|dim| dim.parse().ok()).collect();
            Some(TensorSpec::exact(element, Shape::new(&dims?).ok()?))
        }
    }
}
