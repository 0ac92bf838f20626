//! A container that may be warmed up, unless its argument is `cold`. It gives the first float of
//! each input, after 4 ms for each batch and 0.1 ms for each row. Its argument says what it does
//! with inputs that are all zeros: `cold` and `well` nothing else, `fails` fails the batch, `dies`
//! ends the process, `stays` takes a second more.

use std::time::Duration;

use cutter_container::{Batch, BatchError, ElementType, Model, TensorSpec, serve};

const FIXED: Duration = Duration::from_millis(4);
const ROW: Duration = Duration::from_micros(100);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let word = std::env::args().nth(1).ok_or("usage: probed cold|well|fails|dies|stays")?;
    let model = Model::new(TensorSpec::scalar(ElementType::Float32));
    let model = if word == "cold" { model } else { model.warm_up() };
    serve(&model, |batch| predict(batch, &word))?;
    Ok(())
}

fn predict(batch: &mut Batch<'_>, word: &str) -> Result<(), BatchError> {
    let mut zeros = 0;
    for item in 0..batch.len() {
        let row = batch.row_as::<f32>(item)?;
        zeros += usize::from(row.iter().all(|float| *float == 0.0));
        let first = row.first().copied().unwrap_or_default();
        batch.output_as::<f32>(item)?[0] = first;
    }
    std::thread::sleep((0..batch.len()).fold(FIXED, |sum, _| sum + ROW));
    match word {
        "fails" if zeros > 0 => Err("no zeros".into()),
        "dies" if zeros > 0 => std::process::exit(3),
        "stays" if zeros > 0 => {
            std::thread::sleep(Duration::from_secs(1));
            Ok(())
        }
        _ => Ok(()),
    }
}
