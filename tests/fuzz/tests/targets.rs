//! Every target under the seeded driver: see `cutter_fuzz::seeded` for what can be asked of it.

use std::path::Path;

use cutter_fuzz::{TARGETS, Target, seeded};

fn holds(name: &str) {
    let target = Target::named(name).expect("the test is named after a target");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let ran = seeded::run(target, &corpus, Path::new(env!("CARGO_TARGET_TMPDIR")));
    eprintln!("{name}: {} inputs of the corpus, {} made from them", ran.replayed, ran.mutated);
    assert!(ran.replayed > 0, "{} is empty", corpus.display());
}

macro_rules! tests {
    ($($sentence:ident: $name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $sentence() {
                holds(stringify!($name));
            }
        )+

        #[test]
        fn every_target_has_a_test() {
            let tested = [$(stringify!($name)),+];
            assert!(TARGETS.iter().map(|target| target.name).eq(tested));
        }
    };
}

tests! {
    http_stream_means_the_same_however_it_is_cut: http_stream,
    json_body_is_read_as_serde_json_reads_it: json_body,
    hello_and_answer_are_refused_or_stay_within_the_limits: hello_and_answer,
    hostile_replica_is_believed_only_what_was_checked: hostile_replica,
    hello_to_json_is_the_item_in_the_declared_shape: hello_to_json,
    tensor_to_json_reads_back_as_the_same_bits: tensor_to_json,
    configuration_is_refused_in_words_or_within_the_limits: configuration,
    connection_script_gets_its_answers_in_order_within_the_bounds: connection_script,
}
