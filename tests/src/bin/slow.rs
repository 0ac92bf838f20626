//! A container that gives the first float of each input, after as many milliseconds for each batch
//! as its first argument says, and as many microseconds more for each row as its second says. With
//! a third argument it connects first, and then loads for so many milliseconds.

use std::time::Duration;

use cutter_container::{Batch, BatchError, Container, ElementType, Model, TensorSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let usage = "usage: slow MILLISECONDS [MICROSECONDS_A_ROW [MILLISECONDS_TO_LOAD]]";
    let fixed_ms = words.next().ok_or(usage)?.parse()?;
    let row_us = words.next().map_or(Ok(0), |word| word.parse())?;
    let load_ms = words.next().map_or(Ok(0), |word| word.parse())?;
    let (fixed, row) = (Duration::from_millis(fixed_ms), Duration::from_micros(row_us));
    let mut container = Container::connect(&Model::new(TensorSpec::scalar(ElementType::Float32)))?;
    std::thread::sleep(Duration::from_millis(load_ms));
    while let Some(mut batch) = container.next_batch()? {
        predict(&mut batch, fixed, row)?;
        batch.complete()?;
    }
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
