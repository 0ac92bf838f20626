//! The whole, with few exchanges on the machine that runs the tests.

use super::*;
use crate::result::Hiccups;

fn names(floors: &Floors) -> Vec<&str> {
    floors.figures.iter().map(|figure| figure.name.as_str()).collect()
}

fn hiccups(lost_ns: u64, longest_ns: u64) -> Vec<Hiccups> {
    let counts = vec![(10_000, 1), (100_000, 0), (1_000_000, 0), (10_000_000, 0)];
    let quiet = Hiccups {
        cpu: 0,
        duration_ns: 1_000_000_000,
        lost_ns: 0,
        longest_ns: vec![],
        counts: counts.clone(),
    };
    let loud = Hiccups { cpu: 1, lost_ns, longest_ns: vec![longest_ns], counts, ..quiet.clone() };
    vec![quiet, loud]
}

#[test]
fn one_core_alone_says_what_takes_two() {
    let cpu = *affinity::allowed().unwrap().last().unwrap();
    let mut told = Vec::new();
    let mut progress = |text: &str| told.push(text.to_owned());
    let floors = measure(&[cpu], Effort::Quick, &mut progress).unwrap();
    assert_eq!(names(&floors), [""; 0]);
    assert!(told.iter().any(|text| text == "line: left out, it takes two cores"), "{told:?}");
    assert!(floors.to_string().contains("There was one core only"));
    assert_eq!(floors.hiccups.len(), 1);
}

#[test]
fn every_floor_that_one_core_can_carry_is_measured_on_it() {
    let cpu = affinity::allowed().unwrap()[0];
    let sampling = exchange::Sampling { warm_up: 1, recorded: 10, time_ns_max: 1 << 40 };
    let pair = pair_of(&[cpu]).unwrap();
    let of_one = FLOORS.iter().filter(|floor| floor.cores == 1);
    let rounds: Vec<usize> =
        of_one.map(|floor| apart(|| (floor.round)(pair, sampling)).unwrap().len()).collect();
    assert_eq!(rounds, [10, 10]);
}

#[test]
fn measuring_leaves_the_callers_thread_where_it_was() {
    let before = affinity::allowed().unwrap();
    measure(&before[..1], Effort::Quick, &mut |_| {}).unwrap();
    assert_eq!(affinity::allowed().unwrap(), before);
}

#[test]
fn cores_that_cannot_be_used_are_refused_with_their_numbers() {
    let first = affinity::allowed().unwrap()[0];
    let refused = |cpus: &[usize]| pair_of(cpus).unwrap_err().to_string();
    assert!(refused(&[1_023]).starts_with("core 1023 is not among those allowed"));
    assert!(refused(&[first, first]).contains("named twice"));
    assert!(refused(&[]).contains("no core is named"));
}

#[test]
fn names_are_short_unique_and_explained() {
    let mut names = FLOORS.map(|floor| floor.name);
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(FLOORS.iter().all(|floor| floor.name.len() < 18 && !floor.meaning.is_empty()));
    // Longer ones would run into the picture's bars.
    assert!(FLOORS.iter().all(|floor| floor.meaning.chars().count() <= 76));
}

#[test]
fn the_table_shows_each_figure_and_leaves_out_what_is_not_supported() {
    let figures = vec![exchange::figure("tcp_spin", "words", vec![vec![5_800, 6_800]])];
    let text = Floors { figures, hiccups: hiccups(50_000, 50_000) }.to_string();
    let expected = "tcp_spin      5.80      6.80         –       6.80  words";
    assert!(text.lines().any(|line| line == expected), "{text}");
    assert!(text.contains("This machine is quiet: core 1 was taken away for 0.005 %"), "{text}");
}

#[test]
fn a_machine_is_as_quiet_as_its_loudest_core() {
    let verdict = |lost_ns, longest_ns| table::verdict(&hiccups(lost_ns, longest_ns));
    assert!(verdict(900_000, 150_000).starts_with("This machine is quiet"));
    assert!(verdict(900_000, 300_000).starts_with("This machine is fairly quiet"));
    assert!(verdict(2_000_000, 20_000).starts_with("This machine is fairly quiet"));
    assert!(verdict(20_000_000, 20_000).starts_with("This machine is not quiet"));
    assert!(verdict(5_000_000, 5_000_000).contains("the longest gap was 5 ms"));
}

#[test]
fn the_picture_holds_every_floor_and_every_core() {
    let figures = vec![exchange::figure("tcp_spin", "64 B < a line", vec![vec![5_800, 6_800]])];
    let svg = picture(&Floors { figures, hiccups: hiccups(50_000, 50_000) });
    for part in ["<svg ", "tcp_spin", "64 B &lt; a line", "core 0", "core 1", "<circle", "</svg>"] {
        assert!(svg.contains(part), "{part} is missing in {svg}");
    }
    assert!(picture(&Floors::default()).ends_with("</svg>\n"));
}
