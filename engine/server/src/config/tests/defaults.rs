use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use cutter_tensor::{ElementType, Shape, TensorSpec};

use super::{EXAMPLE, config, with};
use crate::config::{
    Application, Batch, BatchCost, BatchPolicy, Command, Config, Listen, Model, Server, StateStore,
    WaitStrategy,
};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn floats(dims: &[u32]) -> TensorSpec {
    TensorSpec::exact(ElementType::Float32, Shape::new(dims).expect("a shape"))
}

#[test]
fn the_documented_example_means_exactly_what_it_says() {
    let expected = Config {
        server: Server {
            query: vec![
                Listen::Tcp(address("127.0.0.1:1337")),
                Listen::Unix(PathBuf::from("/srv/cutter.sock")),
            ],
            admin: address("127.0.0.1:1338"),
            cpu: Some(0),
            wait: WaitStrategy::Adaptive,
            socket: None,
            state: StateStore::Default,
            decision_log: None,
        },
        applications: vec![Application {
            name: "digits".to_owned(),
            input: floats(&[784]),
            slo_ns: 20_000_000,
            default_output: "-1".to_owned(),
            models: vec![0],
            policy: None,
            rows: 4096,
            rows_at_start: 4096,
            json_output: false,
        }],
        models: vec![Model {
            name: "softmax".to_owned(),
            version: "1".to_owned(),
            command: Some(Command {
                program: PathBuf::from("/srv/softmax"),
                args: vec!["weights.bin".to_owned()],
            }),
            directory: PathBuf::from("/srv"),
            replicas: 1,
            cpus: vec![1],
            batch: Batch::default(),
            wait: WaitStrategy::Adaptive,
            deterministic: true,
            cache: None,
            hedge_share: None,
            batch_timeout_ns: 1_000_000_000,
            load_timeout_us: None,
            input: Some(floats(&[784])),
            slo_ns: Some(20_000_000),
            applications: vec![0],
        }],
    };
    let result = Config::from_toml(EXAMPLE, Path::new("/srv"), "cutter.toml");
    assert_eq!(result, Ok((expected, Vec::new())));
}

#[test]
fn everything_but_names_input_and_command_has_a_default() {
    let config = config(super::LEAST);
    assert_eq!(
        config.server,
        Server {
            query: vec![Listen::Tcp(address("127.0.0.1:1337"))],
            admin: address("127.0.0.1:1338"),
            cpu: None,
            wait: WaitStrategy::Adaptive,
            socket: None,
            state: StateStore::Default,
            decision_log: None,
        }
    );
    assert_eq!(
        config.applications,
        [Application {
            name: "a".to_owned(),
            input: TensorSpec::at_most(ElementType::String, 65_536),
            slo_ns: 20_000_000,
            default_output: String::new(),
            models: vec![0],
            policy: None,
            rows: 4096,
            rows_at_start: 1024,
            json_output: false,
        }]
    );
    assert_eq!(
        config.models,
        [Model {
            name: "m".to_owned(),
            version: "1".to_owned(),
            command: Some(Command { program: PathBuf::from("m"), args: Vec::new() }),
            directory: PathBuf::from("/srv"),
            replicas: 1,
            cpus: Vec::new(),
            batch: Batch::default(),
            wait: WaitStrategy::Adaptive,
            deterministic: true,
            cache: None,
            hedge_share: None,
            batch_timeout_ns: 1_000_000_000,
            load_timeout_us: None,
            input: Some(TensorSpec::at_most(ElementType::String, 65_536)),
            slo_ns: Some(20_000_000),
            applications: vec![0],
        }]
    );
}

#[test]
fn an_empty_file_is_a_server_that_serves_nothing() {
    let config = config("");
    assert_eq!(config.applications, []);
    assert_eq!(config.models, []);
}

#[test]
fn every_word_of_clipper_names_its_type() {
    let table = [
        ("bytes b byte", ElementType::Bytes),
        ("integers i integer", ElementType::Int32),
        ("floats f float", ElementType::Float32),
        ("doubles d double", ElementType::Float64),
        ("strings s string", ElementType::String),
    ];
    for (words, element) in table {
        for word in words.split(' ') {
            let text = format!(
                "[[application]]\nname = \"a\"\ninput = {{ type = \"{word}\", max_bytes = 64 }}"
            );
            let expected = TensorSpec::at_most(element, 64);
            assert_eq!(config(&text).applications[0].input, expected, "{word}");
        }
    }
}

#[test]
fn bytes_may_have_a_shape() {
    let text = "application = [{ name = \"a\", input = { type = \"bytes\", shape = [3, 5] } }]";
    let expected = TensorSpec::exact(ElementType::Bytes, Shape::new(&[3, 5]).expect("a shape"));
    assert_eq!(config(text).applications[0].input, expected);
}

#[test]
fn every_wait_word_names_its_strategy_for_engine_and_replica() {
    let table = [
        ("spin", WaitStrategy::Spin),
        ("yield", WaitStrategy::Yield),
        ("adaptive", WaitStrategy::Adaptive),
        ("block", WaitStrategy::Block),
    ];
    for (word, strategy) in table {
        let wait = format!("wait = \"{word}\"");
        assert_eq!(config(&with(&wait, "", "")).server.wait, strategy);
        assert_eq!(config(&with("", "", &wait)).models[0].wait, strategy);
    }
}

#[test]
fn every_key_of_a_batch_is_taken() {
    let usual = Batch::default();
    assert_eq!((usual.policy, usual.max), (BatchPolicy::Aimd, 1024));
    assert_eq!((usual.wait_ns, usual.defer, usual.cost), (0, false, BatchCost::Rows));
    let bytes = |max| Batch { cost: BatchCost::Bytes { max }, ..usual };
    let table = [
        ("batch = {}", usual),
        ("batch = { policy = \"aimd\" }", usual),
        ("batch = { policy = \"quantile\" }", Batch { policy: BatchPolicy::Quantile, ..usual }),
        ("batch = { policy = \"fixed\" }", Batch { policy: BatchPolicy::Fixed, ..usual }),
        ("batch = { max = 7 }", Batch { max: 7, ..usual }),
        ("batch.max = 7", Batch { max: 7, ..usual }),
        ("[model.batch]\nmax = 7", Batch { max: 7, ..usual }),
        ("batch = { wait_us = 2000 }", Batch { wait_ns: 2_000_000, ..usual }),
        ("batch = { defer = true }", Batch { defer: true, ..usual }),
        ("batch = { exclusive = true }", Batch { exclusive: true, ..usual }),
        ("batch = { cost = \"rows\" }", usual),
        ("batch = { cost = \"bytes\" }", bytes(u32::MAX)),
        ("batch = { cost = \"bytes\", max_cost_bytes = 65536 }", bytes(65_536)),
    ];
    for (line, batch) in table {
        assert_eq!(config(&with("", "", line)).models[0].batch, batch, "{line}");
    }
}

#[test]
fn rows_fill_an_address_range_of_1_gib_and_64_mib_of_them_are_taken_at_start() {
    let table = [
        ("type = \"floats\", shape = [1]", 64, 4096, 4096),
        ("type = \"floats\", shape = [17]", 128, 4096, 4096),
        ("type = \"floats\", shape = [4096]", 16_384, 4096, 4096),
        ("type = \"floats\", shape = [4097]", 16_448, 4096, 4080),
        ("type = \"strings\", max_bytes = 262144", 262_144, 4096, 256),
        ("type = \"strings\", max_bytes = 262145", 262_208, 4095, 255),
        ("type = \"bytes\", max_bytes = 6291456", 6_291_456, 170, 10),
        ("type = \"bytes\", max_bytes = 67108863", 67_108_864, 16, 1),
        ("type = \"bytes\", max_bytes = 67108864", 67_108_864, 16, 1),
    ];
    for (input, stride, rows, at_start) in table {
        let text = format!("[[application]]\nname = \"a\"\ninput = {{ {input} }}");
        let application = &config(&text).applications[0];
        let found = (application.row_stride(), application.rows, application.rows_at_start);
        assert_eq!(found, (stride, rows, at_start), "{input}");
        assert!(application.pool_bytes() <= 1 << 30, "{input}");
        assert!(application.pool_bytes_at_start() <= 64 << 20, "{input}");
    }
}

#[test]
fn configured_rows_are_taken_as_they_are_and_all_at_start() {
    for line in ["rows = 100", "rows = 100\ninput = { type = \"b\", max_bytes = 8388608 }"] {
        let text = format!("[[application]]\nname = \"a\"\n{line}\n");
        let text = if line.contains("input") { text } else { text + "input = { type = \"s\" }" };
        let application = &config(&text).applications[0];
        assert_eq!((application.rows, application.rows_at_start), (100, 100), "{line}");
    }
}

#[test]
fn a_string_output_is_a_string_unless_it_is_called_json() {
    assert!(!config(&with("", "", "")).applications[0].json_output);
    assert!(!config(&with("", "json_output = false", "")).applications[0].json_output);
    assert!(config(&with("", "json_output = true", "")).applications[0].json_output);
}

#[test]
fn a_model_may_load_for_as_long_as_it_likes_unless_a_time_is_named() {
    let table = [("", None), ("load_timeout_us = 0", None), ("load_timeout_us = 7", Some(7))];
    for (line, expected) in table {
        assert_eq!(config(&with("", "", line)).models[0].load_timeout_us, expected, "{line}");
    }
}

#[test]
fn the_batch_timeout_is_ten_times_the_loosest_objective_and_at_least_a_second() {
    let table = [
        ("slo_us = 100", "", 1_000_000_000),
        ("slo_us = 100000", "", 1_000_000_000),
        ("slo_us = 200000", "", 2_000_000_000),
        ("slo_us = 60000000", "", 600_000_000_000),
        ("slo_us = 200000", "batch_timeout_us = 1000", 1_000_000),
    ];
    for (application, model, expected) in table {
        let model = &config(&with("", application, model)).models[0];
        assert_eq!(model.batch_timeout_ns, expected, "{application}");
    }
}

#[test]
fn a_model_of_two_applications_knows_the_tightest_objective_and_waits_for_the_loosest() {
    let text = with("", "slo_us = 500000", "")
        + "[[application]]\nname = \"b\"\ninput = { type = \"s\" }\n\
           slo_us = 5000\nmodels = [\"m\"]";
    let model = &config(&text).models[0];
    assert_eq!(model.applications, [0, 1]);
    assert_eq!(model.slo_ns, Some(5_000_000));
    assert_eq!(model.batch_timeout_ns, 5_000_000_000);
}

#[test]
fn a_model_that_nobody_links_has_no_input_and_no_objective() {
    let model = &config("[[model]]\nname = \"m\"\ncommand = [\"m\"]").models[0];
    assert_eq!((model.input, model.slo_ns, model.batch_timeout_ns), (None, None, 1_000_000_000));
    assert!(model.applications.is_empty());
}

#[test]
fn paths_begin_at_the_folder_of_the_file_and_programs_at_the_directory() {
    let table = [
        ("", "softmax", "/srv", "softmax"),
        ("", "./softmax", "/srv", "/srv/softmax"),
        ("", "bin/softmax", "/srv", "/srv/bin/softmax"),
        ("", "../softmax", "/srv", "/srv/../softmax"),
        ("", "/bin/softmax", "/srv", "/bin/softmax"),
        ("models", "softmax", "/srv/models", "softmax"),
        ("models", "./softmax", "/srv/models", "/srv/models/softmax"),
        ("./models/", "bin/softmax", "/srv/models", "/srv/models/bin/softmax"),
        ("/opt", "./softmax", "/opt", "/opt/softmax"),
    ];
    for (directory, program, expected_directory, expected_program) in table {
        let line = format!("directory = \"{directory}\"");
        let line = line.strip_suffix("\"\"").map_or(line.as_str(), |_| "");
        let text = format!("[[model]]\nname = \"m\"\n{line}\ncommand = [\"{program}\", \"x\"]");
        let model = &config(&text).models[0];
        let expected = Command { program: expected_program.into(), args: vec!["x".to_owned()] };
        assert_eq!(model.directory, Path::new(expected_directory), "{directory} {program}");
        assert_eq!(model.command, Some(expected), "{directory} {program}");
    }
}

#[test]
fn only_a_program_without_a_slash_is_found_by_path() {
    let table = [("m", true), ("./m", false), ("/m", false), ("b/m", false)];
    for (program, expected) in table {
        let text = format!("[[model]]\nname = \"m\"\ncommand = [\"{program}\"]");
        let command = config(&text).models.remove(0).command.expect("a command");
        assert_eq!(command.is_found_by_path(), expected, "{program}");
    }
}

#[test]
fn replicas_are_dealt_out_to_the_cores_in_turn() {
    let model = config(&with("", "", "replicas = 5\ncpus = [3, 1]")).models.remove(0);
    let cpus: Vec<Option<usize>> = (0..5).map(|replica| model.cpu_of_replica(replica)).collect();
    assert_eq!(cpus, [Some(3), Some(1), Some(3), Some(1), Some(3)]);
    let unpinned = config(&with("", "", "replicas = 5")).models.remove(0);
    assert_eq!(unpinned.cpu_of_replica(4), None);
}

#[test]
fn containers_started_by_hand_connect_through_the_socket() {
    let text = "[server]\nsocket = \"containers.sock\"\n[[model]]\nname = \"m\"";
    let config = config(text);
    assert_eq!(config.server.socket, Some(PathBuf::from("/srv/containers.sock")));
    assert_eq!(config.models[0].command, None);
}

#[test]
fn any_free_port_may_be_asked_for_more_than_once() {
    let config = config(&with(
        "query = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"[::1]:80\"]\nadmin = \"127.0.0.1:0\"",
        "",
        "",
    ));
    let expected = ["127.0.0.1:0", "127.0.0.1:0", "[::1]:80"];
    assert_eq!(config.server.query, expected.map(|text| Listen::Tcp(address(text))));
}
