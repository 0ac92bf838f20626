//! A container that says of each input what stands in a file: a number, and behind it, if it is
//! there, how many milliseconds a batch takes. The file, its only argument, is read anew for each
//! batch. With a second argument it says the input's first number plus that of the file.

use std::time::Duration;

use cutter_container::{Batch, BatchError, Container, ElementType, Model, TensorSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let path = words.next().ok_or("usage: says FILE [ADDED]")?;
    let is_added = words.next().is_some();
    let mut container = Container::connect(&Model::new(TensorSpec::scalar(ElementType::Int32)))?;
    while let Some(mut batch) = container.next_batch()? {
        let text = std::fs::read_to_string(&path)?;
        let mut numbers = text.split_whitespace();
        let number = numbers.next().ok_or("the file is empty")?.parse()?;
        let ms = numbers.next().map_or(Ok(0), str::parse)?;
        std::thread::sleep(Duration::from_millis(ms));
        say(&mut batch, number, is_added)?;
        batch.complete()?;
    }
    Ok(())
}

fn say(batch: &mut Batch<'_>, number: i32, is_added: bool) -> Result<(), BatchError> {
    for item in 0..batch.len() {
        let first = batch.row_as::<i32>(item)?.first().copied().unwrap_or_default();
        batch.output_as::<i32>(item)?[0] = if is_added { first + number } else { number };
    }
    Ok(())
}
