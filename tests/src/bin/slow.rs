//! A container that gives the first float of each input, after as many milliseconds for each batch
//! as its first argument says, and as many microseconds more for each row as its second says.

use std::time::Duration;

use cutter_container::{Batch, BatchError, ElementType, Model, TensorSpec, serve};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let fixed_ms = words.next().ok_or("usage: slow MILLISECONDS [MICROSECONDS_A_ROW]")?.parse()?;
    let row_us = words.next().map_or(Ok(0), |word| word.parse())?;
    let (fixed, row) = (Duration::from_millis(fixed_ms), Duration::from_micros(row_us));
    let model = Model::new(TensorSpec::scalar(ElementType::Float32));
    serve(&model, |batch| predict(batch, fixed, row))?;
    Ok(())
}

fn predict(batch: &mut Batch<'_>, fixed: Duration, row: Duration) -> Result<(), BatchError> {
    std::thread::sleep((0..batch.len()).map(|_| row).fold(fixed, |sum, row| sum + row));
    for item in 0..batch.len() {
        let first = batch.row_as::<f32>(item)?.first().copied().unwrap_or_default();
        batch.output_as::<f32>(item)?[0] = first;
    }
    Ok(())
}
