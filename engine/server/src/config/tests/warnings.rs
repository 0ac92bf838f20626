use super::{EXAMPLE, LEAST, warnings, with};

#[test]
fn a_sound_configuration_has_no_warnings() {
    assert_eq!(warnings(EXAMPLE), "");
    assert_eq!(warnings(LEAST), "");
    let text =
        with("cpu = 0", "rows = 100", "directory = \"d\"\ncpus = [1]\nbatch = { max = 100 }");
    assert_eq!(warnings(&text), "");
}

#[test]
fn what_serves_nothing_is_told() {
    assert_eq!(
        warnings(""),
        "cutter.toml:1:1: warning: there is no [[application]]; every query will be answered with \
         404"
    );
    assert_eq!(
        warnings("[[application]]\nname = \"a\"\ninput = { type = \"s\" }"),
        "cutter.toml:1:1: warning: application \"a\" has no model; every query will be answered \
         with its default output"
    );
    assert_eq!(
        warnings("[[application]]\nname = \"a\"\ninput = { type = \"s\" }\nmodels = []"),
        "cutter.toml:1:1: warning: application \"a\" has no model; every query will be answered \
         with its default output"
    );
    assert_eq!(
        warnings(&format!("{LEAST}[[model]]\nname = \"n\"\ncommand = [\"n\"]")),
        "cutter.toml:9:1: warning: model \"n\" is not linked to any application; it will get no \
         queries"
    );
}

#[test]
fn keys_without_effect_are_told() {
    let text = "[server]\nsocket = \"s\"\n[[application]]\nname = \"a\"\n\
        input = { type = \"s\" }\nmodels = [\"m\"]\n\
        [[model]]\nname = \"m\"\ncpus = [1]\ndirectory = \"d\"";
    assert_eq!(
        warnings(text),
        "cutter.toml:9:8: warning: `cpus` of model \"m\" has no effect: without a `command` its \
         containers start by hand\n\
         cutter.toml:10:13: warning: `directory` of model \"m\" has no effect: without a `command` \
         its containers start by hand"
    );
}

#[test]
fn a_batch_that_needs_a_core_nobody_knows_of_is_told() {
    assert_eq!(
        warnings(&with("", "", "batch = { exclusive = true }")),
        "cutter.toml:9:1: warning: `exclusive` of the batches of model \"m\" has no effect: \
         without `cpus` nobody knows who shares a core"
    );
    assert_eq!(warnings(&with("", "", "batch = { exclusive = false }")), "");
    assert_eq!(warnings(&with("", "", "cpus = [1]\nbatch = { exclusive = true }")), "");
}

#[test]
fn a_replica_on_the_core_of_the_engine_is_told() {
    assert_eq!(
        warnings(&with("cpu = 2", "", "cpus = [1, 2]")),
        "cutter.toml:12:8: warning: core 2 of model \"m\" is the engine's core too; both will be \
         slower"
    );
}

#[test]
fn a_batch_that_no_pool_can_fill_is_told() {
    assert_eq!(
        warnings(&with("", "rows = 100", "batch = { max = 101 }")),
        "cutter.toml:12:17: warning: `max` of the batches of model \"m\" is 101, but application \
         \"a\" has only 100 rows"
    );
    assert_eq!(warnings(&with("", "rows = 100", "")), "");
}
