use super::*;

/// What Python found: see `train.py`.
const GOLDEN: &str = include_str!("../../../container-sdk/examples/digits/golden.txt");

/// Length of the header of a file of weights.
const WEIGHTS_HEADER_BYTES: usize = 16;

fn golden(name: &str) -> &'static str {
    let mut lines = GOLDEN.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(key, _)| *key == name).expect("train.py writes this line").1
}

fn digits() -> Digits<'static> {
    Digits::from_bytes(DIGITS_FILE).expect("the committed images are sound")
}

fn model() -> Softmax {
    Softmax::from_bytes(WEIGHTS_FILE).expect("the committed weights are sound")
}

fn hash(floats: impl IntoIterator<Item = f32>) -> String {
    let bytes = floats.into_iter().flat_map(f32::to_le_bytes);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// A sound file with byte `at` changed.
fn with_byte(file: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut file = file.to_vec();
    file[at] = value;
    file
}

fn digits_error(file: &[u8]) -> DigitsError {
    Digits::from_bytes(file).expect_err("the file is broken")
}

fn softmax_error(file: &[u8]) -> SoftmaxError {
    Softmax::from_bytes(file).expect_err("the file is broken")
}

#[test]
fn all_images_of_the_data_set_are_there_and_500_are_held_out() {
    assert_eq!((digits().training().len(), digits().held_out().len()), (1_297, 500));
}

#[test]
fn held_out_rows_have_the_bits_that_python_scaled() {
    assert_eq!(hash(digits().held_out().flat_map(|image| image.row())), golden("rows_fnv1a64"));
}

#[test]
fn held_out_logits_have_the_bits_that_python_summed() {
    let model = model();
    let logits = digits().held_out().flat_map(|image| model.logits(&image.row()));
    assert_eq!(hash(logits), golden("logits_fnv1a64"));
}

#[test]
fn every_held_out_image_gets_the_class_that_python_gave_it() {
    let model = model();
    let classes: String =
        digits().held_out().map(|image| model.predict(&image.row()).to_string()).collect();
    assert_eq!(classes, golden("classes"));
}

#[test]
fn accuracy_is_the_share_that_python_found() {
    let correct: f64 = golden("correct").parse().expect("a count");
    assert_eq!(model().accuracy(digits().held_out()), correct / 500.0);
}

#[test]
fn accuracy_of_no_images_is_zero() {
    assert_eq!(model().accuracy(digits().held_out().take(0)), 0.0);
}

#[test]
fn rows_printed_with_six_decimals_keep_their_class() {
    let model = model();
    for image in digits().held_out() {
        let row = image.row();
        let printed = row.map(|value| format!("{value:.6}").parse().expect("a float"));
        assert_eq!(model.predict(&printed), model.predict(&row));
    }
}

#[test]
fn corners_of_a_row_are_the_corners_of_its_image() {
    let mut pixels = [0; PIXELS];
    (pixels[0], pixels[7], pixels[56], pixels[63]) = (4, 8, 12, 16);
    let row = Digit { label: 0, pixels: &pixels }.row();
    assert_eq!([row[0], row[27], row[27 * 28], row[783]], [0.25, 0.5, 0.75, 1.0]);
}

#[test]
fn image_of_one_shade_scales_to_that_shade() {
    let row = Digit { label: 0, pixels: &[5; PIXELS] }.row();
    assert_eq!(row, [5.0 / 16.0; INPUTS]);
}

#[test]
fn of_equal_logits_the_first_class_wins() {
    let mut file = WEIGHTS_FILE.to_vec();
    file[WEIGHTS_HEADER_BYTES..].fill(0);
    let last_biases = file.len() - 12;
    file[last_biases..].copy_from_slice(&[1.0_f32.to_le_bytes(); 3].concat());
    let model = Softmax::from_bytes(&file).expect("a sound file");
    assert_eq!(model.predict(&[0.5; INPUTS]), 7);
}

#[test]
fn file_of_digits_without_a_whole_header_is_refused() {
    assert_eq!(digits_error(&DIGITS_FILE[..19]), DigitsError::NoHeader { bytes: 19 });
    assert_eq!(digits_error(&[]), DigitsError::NoHeader { bytes: 0 });
}

#[test]
fn file_of_digits_of_another_kind_is_refused() {
    let text = "a file of digits begins with CUTDIGIT, this one with CUTSMAX1; \
                make it again with train.py";
    assert_eq!(digits_error(WEIGHTS_FILE).to_string(), text);
    assert_eq!(digits_error(WEIGHTS_FILE), DigitsError::Magic { found: *b"CUTSMAX1" });
}

#[test]
fn images_of_another_size_are_refused() {
    assert_eq!(digits_error(&with_byte(DIGITS_FILE, 12, 9)), DigitsError::Side { side: 9 });
}

#[test]
fn holding_out_no_image_or_more_than_all_is_refused() {
    let mut none = DIGITS_FILE.to_vec();
    none[16..20].copy_from_slice(&0_u32.to_le_bytes());
    assert_eq!(digits_error(&none), DigitsError::HeldOut { held_out: 0, count: 1_797 });
    none[16..20].copy_from_slice(&1_798_u32.to_le_bytes());
    assert_eq!(digits_error(&none), DigitsError::HeldOut { held_out: 1_798, count: 1_797 });
}

#[test]
fn file_of_digits_of_another_length_than_promised_is_refused() {
    let bytes = DIGITS_FILE.len() - HEADER_BYTES;
    let short = &DIGITS_FILE[..DIGITS_FILE.len() - 1];
    let long = [DIGITS_FILE, &[0; IMAGE_BYTES]].concat();
    let endless = with_byte(DIGITS_FILE, 11, 0xff);
    let length = |count, bytes| DigitsError::Length { count, bytes };
    assert_eq!(digits_error(short), length(1_797, bytes - 1));
    assert_eq!(digits_error(&long), length(1_797, bytes + IMAGE_BYTES));
    assert_eq!(digits_error(&endless), length(0xff00_0705, bytes));
}

#[test]
fn impossible_labels_and_pixels_are_refused_with_their_image() {
    let second_image = HEADER_BYTES + IMAGE_BYTES;
    let label = with_byte(DIGITS_FILE, second_image, 10);
    let pixel = with_byte(DIGITS_FILE, second_image + IMAGE_BYTES - 1, 17);
    assert_eq!(digits_error(&label), DigitsError::Label { image: 1, label: 10 });
    assert_eq!(digits_error(&pixel), DigitsError::Pixel { image: 1, value: 17 });
}

#[test]
fn weights_of_another_kind_shape_or_length_are_refused() {
    let bytes = WEIGHTS_FILE.len() - WEIGHTS_HEADER_BYTES;
    let short = &WEIGHTS_FILE[..WEIGHTS_FILE.len() - 1];
    let long = [WEIGHTS_FILE, &[0; 40]].concat();
    let shape = with_byte(WEIGHTS_FILE, 12, 11);
    assert_eq!(softmax_error(&WEIGHTS_FILE[..15]), SoftmaxError::NoHeader { bytes: 15 });
    assert_eq!(softmax_error(DIGITS_FILE), SoftmaxError::Magic { found: *b"CUTDIGIT" });
    assert_eq!(softmax_error(&shape), SoftmaxError::Shape { inputs: 784, classes: 11 });
    assert_eq!(softmax_error(short), SoftmaxError::Length { bytes: bytes - 1 });
    assert_eq!(softmax_error(&long), SoftmaxError::Length { bytes: bytes + 40 });
}

#[test]
fn weight_that_is_no_number_is_refused_with_its_place() {
    let mut file = WEIGHTS_FILE.to_vec();
    file[WEIGHTS_HEADER_BYTES + 4 * 3..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert_eq!(softmax_error(&file), SoftmaxError::NotFinite { index: 3 });
}
