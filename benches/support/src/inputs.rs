//! What is asked: rows of 784 floats, and the same as JSON of 6 decimals. Alike in every run.

/// Floats of one input: the paper's 28 × 28 image.
pub const FLOATS: usize = 784;
/// Bytes of one input as a row.
pub const ROW_BYTES: usize = FLOATS * size_of::<f32>();
/// Different inputs, sent in turn, so that no answer can be one remembered.
pub const INPUTS: usize = 256;
/// Rows of an application's pool: what the server gives to an application with such inputs.
pub const POOL_ROWS: u32 = 4096;

/// One input.
pub type Row = [f32; FLOATS];

/// Lanes of [`sum`], as in the example models.
const LANES: usize = 16;

/// All inputs, as rows.
pub fn rows() -> Vec<Row> {
    // Exact in six decimals, so that rows and bodies are the same inputs.
    let row = |millionths: [u32; FLOATS]| millionths.map(|value| value as f32 / 1e6);
    millionths().into_iter().map(row).collect()
}

/// All inputs, as bodies of Clipper's prediction REST, all of one length.
pub fn bodies() -> Vec<Vec<u8>> {
    bodies_as(|millionths| format!("0.{millionths:06}"))
}

/// Bodies of as many numbers, each of which is made of a number of millionths below one.
pub fn bodies_as(number: fn(u32) -> String) -> Vec<Vec<u8>> {
    let body = |millionths: [u32; FLOATS]| {
        format!("{{\"input\":[{}]}}", millionths.map(number).join(",")).into_bytes()
    };
    millionths().into_iter().map(body).collect()
}

/// The sum of a row, with sums side by side for vector registers.
#[inline]
pub fn sum(row: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter().chain(rest).sum()
}

/// Numbers of a small xorshift generator.
fn millionths() -> Vec<[u32; FLOATS]> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from(state % 1_000_000).expect("below a million")
    };
    (0..INPUTS).map(|_| std::array::from_fn(|_| next())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "they were f32 before they were written")]
    fn bodies_have_one_length_and_hold_the_rows() {
        let (rows, bodies) = (rows(), bodies());
        assert!(bodies.iter().all(|body| body.len() == 7067));
        let read: serde_json::Value = serde_json::from_slice(&bodies[7]).expect("JSON");
        let values = read["input"].as_array().expect("a list").iter();
        let values: Vec<f32> =
            values.map(|value| value.as_f64().expect("a number") as f32).collect();
        assert_eq!(values, rows[7]);
    }

    #[test]
    fn the_sum_takes_every_float() {
        let row: Vec<f32> = (1u16..=100).map(f32::from).collect();
        assert!((sum(&row) - 5050.0).abs() < f32::EPSILON);
    }
}
