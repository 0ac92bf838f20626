//! The sum of the floats of each input.

use cutter_container::{Batch, ContainerError, ElementType, Model, TensorSpec, serve};

fn main() -> Result<(), ContainerError> {
    let model = Model::new(TensorSpec::scalar(ElementType::Float32));
    serve(&model, |batch: &mut Batch<'_>| {
        for item in 0..batch.len() {
            let sum = batch.row_as::<f32>(item)?.iter().sum();
            batch.output_as::<f32>(item)?[0] = sum;
        }
        Ok(())
    })
}
