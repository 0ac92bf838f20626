#[test]
fn dump_the_page() {
    let files: Vec<_> = [(5_000.0, 0.8), (12_000.0, 1.0), (20_000.0, 1.6)]
        .iter()
        .map(|(rate, slow)| super::samples::load_file(*rate, *slow))
        .collect();
    std::fs::write("/tmp/hl/x.html", super::page(&files)).unwrap();
    std::fs::write("/tmp/hl/one.html", super::page(&files[..1])).unwrap();
}
