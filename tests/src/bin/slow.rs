//! A container that gives the first float of each input, after as many milliseconds for each batch
//! as its argument says.

use std::time::Duration;

use cutter_container::{Batch, BatchError, ElementType, Model, TensorSpec, serve};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ms = std::env::args().nth(1).ok_or("usage: slow MILLISECONDS")?.parse()?;
    let model = Model::new(TensorSpec::scalar(ElementType::Float32));
    serve(&model, |batch| predict(batch, Duration::from_millis(ms)))?;
    Ok(())
}

fn predict(batch: &mut Batch<'_>, time: Duration) -> Result<(), BatchError> {
    std::thread::sleep(time);
    for item in 0..batch.len() {
        let first = batch.row_as::<f32>(item)?.first().copied().unwrap_or_default();
        batch.output_as::<f32>(item)?[0] = first;
    }
    Ok(())
}
