//! Applications that choose among models, combine them, and learn: over REST, with real processes.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use cutter_tests::command::{run, succeed};
use cutter_tests::server::Plan;
use cutter_tests::{Client, Server, binary, eventually, model};
use serde_json::{Value, json};

/// Models that say what stands in files of the same name, and an application with a policy.
struct Setup {
    folder: tempfile::TempDir,
    body: String,
}

impl Setup {
    /// Each model says this.
    fn new(says: &[(&str, &str)]) -> Self {
        Self::of(says, |_| "")
    }

    /// The same with more lines for each model.
    fn of(says: &[(&str, &str)], more: impl Fn(&str) -> &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut body = String::new();
        for (name, said) in says {
            let path = folder.path().join(name);
            fs::write(&path, said).unwrap();
            body += &model(name, &["says", path.to_str().unwrap()], more(name));
        }
        Self { folder, body }
    }

    fn application(mut self, name: &str, models: &[&str], policy: &str) -> Self {
        let models = json!(models);
        self.body += &format!(
            "[[application]]\nname = \"{name}\"\ninput = {{ type = \"integers\", shape = [1] }}\n\
             slo_us = 100000\ndefault_output = \"-1\"\nmodels = {models}\n\
             [application.policy]\n{policy}\n"
        );
        self
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// From its next batch on a model says something else.
    fn say(&self, name: &str, said: &str) {
        let (path, next) = (self.path(name), self.path("next"));
        fs::write(&next, said).unwrap();
        fs::rename(next, path).unwrap();
    }

    fn plan(&self) -> Plan {
        Plan::new(&self.body).with("state = \"none\"")
    }

    fn stateful(&self) -> Plan {
        let path = self.path("state.redb");
        Plan::new(&self.body).with(&format!("state = \"{}\"", path.display()))
    }
}

fn ask(client: &mut Client, application: &str, body: &Value) -> Value {
    client.post(&format!("/{application}/predict"), body.to_string()).json()
}

fn predict(client: &mut Client, application: &str, input: i32) -> Value {
    ask(client, application, &json!({ "input": [input] }))
}

/// What became of an update, by the status of HTTP and the word for it.
fn tell(client: &mut Client, application: &str, update: &Value) -> (u16, String) {
    let response = client.post(&format!("/{application}/update"), update.to_string());
    let word = response.json()["status"].as_str().unwrap_or_default().to_owned();
    (response.status, word)
}

fn learn(client: &mut Client, application: &str, answer: &Value, label: i32) {
    let update = json!({ "query_id": answer["query_id"], "label": label });
    assert_eq!(tell(client, application, &update), (200, "learned".to_owned()));
}

#[test]
fn several_models_vote_and_the_answer_says_how_sure_it_is() {
    let setup = Setup::new(&[("a", "1"), ("b", "7"), ("c", "7")]);
    let all = ["a", "b", "c"];
    let setup = setup.application("votes", &all, "name = \"vote\"").application(
        "sure",
        &all,
        "name = \"vote\"\nunsure_below = 0.9",
    );
    let server = setup.plan().start_ready();
    let mut client = server.client();
    let answer = ask(&mut client, "votes", &json!({ "input": [1], "explain": true }));
    assert_eq!((&answer["output"], &answer["confidence"]), (&json!(7), &json!(0.6667)));
    let models = answer["models"].as_array().unwrap();
    let of = |key: &str| models.iter().map(|model| model[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("model"), ["a", "b", "c"]);
    assert_eq!(of("output"), [1, 7, 7]);
    assert_eq!(of("weight"), [0.0, 0.5, 0.5]);
    assert!(of("after_us").iter().all(Value::is_u64));
    let unsure = predict(&mut client, "sure", 1);
    assert_eq!((&unsure["default"], &unsure["reason"]), (&json!(true), &json!("unsure")));
    assert_eq!(unsure["confidence"], 0.6667);
}

#[test]
fn at_the_deadline_the_models_that_are_in_are_combined() {
    let setup = Setup::new(&[("quick", "3"), ("also", "3"), ("late", "5 300")]);
    let setup = setup.application("votes", &["quick", "also", "late"], "name = \"vote\"");
    let server = setup.plan().start_ready();
    let mut client = server.client();
    let begun = Instant::now();
    let answer = ask(&mut client, "votes", &json!({ "input": [1], "explain": true }));
    assert!(begun.elapsed() >= Duration::from_millis(90), "the deadline is waited for");
    assert_eq!((&answer["output"], &answer["confidence"]), (&json!(3), &json!(0.6667)));
    assert_eq!(answer["models"][2]["output"], Value::Null);
}

#[test]
fn the_best_model_is_learned_from_labels_and_left_when_it_fails() {
    let setup = Setup::new(&[("bad", "0"), ("good", "1"), ("fair", "2")]);
    let all = ["bad", "good", "fair"];
    let policies = ["exp3", "exp4", "thompson", "epsilon_greedy", "ucb1"];
    let setup = policies.iter().fold(setup, |setup, policy| {
        setup.application(policy, &all, &format!("name = \"{policy}\"\nseed = 3"))
    });
    let server = setup.plan().start_ready();
    let mut client = server.client();
    let mut right = |label: i32, rounds: usize| -> Vec<usize> {
        let share = |policy: &&str| {
            let is_right = |round: usize| {
                let answer = predict(&mut client, policy, 1);
                learn(&mut client, policy, &answer, label);
                usize::from(round >= rounds / 2 && answer["output"] == label)
            };
            (0..rounds).map(is_right).sum::<usize>() * 200 / rounds
        };
        policies.iter().map(share).collect()
    };
    let shares = right(1, 300);
    assert!(shares.iter().all(|share| *share > 70), "{policies:?}: {shares:?}");
    setup.say("good", "9");
    setup.say("fair", "1");
    let shares = right(1, 500);
    assert!(shares.iter().all(|share| *share > 60), "{policies:?}: {shares:?}");
}

#[test]
fn feedback_is_learned_once_and_each_way_that_it_is_not_has_its_answer() {
    let setup = Setup::new(&[("a", "1"), ("b", "2")]);
    let setup = setup
        .application("app", &["a", "b"], "name = \"exp4\"\nfeedback_window = 16")
        .application("plain", &["a", "b"], "name = \"static\"");
    let server = setup.plan().start_ready();
    let mut client = server.client();
    let first = predict(&mut client, "app", 1)["query_id"].clone();
    let by_id = |id: &Value| json!({ "query_id": id, "label": 1 });
    assert_eq!(tell(&mut client, "app", &by_id(&first)), (200, "learned".into()));
    assert_eq!(tell(&mut client, "app", &by_id(&first)), (409, "duplicate".into()));
    assert_eq!(tell(&mut client, "app", &by_id(&json!(12))), (404, "unknown".into()));
    let shown = predict(&mut client, "app", 2)["query_id"].clone();
    let withdrawn = json!({ "query_id": shown, "withdrawn": true });
    assert_eq!(tell(&mut client, "app", &withdrawn), (200, "withdrawn".into()));
    (3..20).for_each(|input| drop(predict(&mut client, "app", input)));
    assert_eq!(tell(&mut client, "app", &by_id(&first)), (202, "late".into()));
    // As Clipper's clients tell it.
    let of_clipper = json!({ "uid": 0, "input": [18], "label": 1.0 });
    assert_eq!(tell(&mut client, "app", &of_clipper), (200, "learned".into()));
    let unseen = json!({ "uid": 0, "input": [77], "label": 1.0 });
    assert_eq!(tell(&mut client, "app", &unseen), (202, "evaluating".into()));
    let updates =
        json!({ "updates": [{ "input": [17], "label": 2 }, { "query_id": 3, "label": 2 }] });
    let response = client.post("/app/update", updates.to_string());
    let told = response.json();
    assert_eq!((response.status, &told["learned"], &told["unknown"]), (200, &json!(1), &json!(1)));
}

#[test]
fn feedback_that_makes_no_sense_is_refused_and_changes_nothing() {
    let setup = Setup::new(&[("a", "1"), ("b", "2")]);
    let setup = setup.application("app", &["a", "b"], "name = \"exp4\"");
    let setup = Setup { body: setup.body + &plain("plain", "a"), ..setup };
    let server = setup.plan().start_ready();
    let mut client = server.client();
    let id = predict(&mut client, "app", 1)["query_id"].clone();
    for update in [
        json!({ "query_id": id, "label": "one" }),
        json!({ "query_id": id, "label": [1] }),
        json!({ "query_id": id, "label": null }),
        json!({ "query_id": id, "reward": 1.5 }),
        json!({ "query_id": id, "reward": -0.1 }),
        json!({ "query_id": id }),
        json!({ "label": 1 }),
        json!({ "query_id": -1, "label": 1 }),
        json!({ "query_id": 1.5, "label": 1 }),
        json!({ "query_id": id, "label": 1, "reward": 1 }),
        json!({ "input": [1, 2], "label": 1 }),
        json!({ "query_id": id, "label": 1, "context": "x".repeat(10_000) }),
        json!({ "updates": [] }),
    ] {
        let response = client.post("/app/update", update.to_string());
        assert_eq!(response.status, 400, "{update}: {}", response.text());
    }
    let nan = client.post("/app/update", format!("{{\"query_id\": {id}, \"reward\": NaN}}"));
    assert_eq!(nan.status, 400, "{}", nan.text());
    let long = json!({ "input": [1], "context": "x".repeat(10_000) });
    assert_eq!(client.post("/app/predict", long.to_string()).status, 400);
    let plain = client.post("/plain/update", json!({ "query_id": 1, "label": 1 }).to_string());
    assert_eq!(plain.status, 409, "{}", plain.text());
    assert_eq!(tell(&mut client, "app", &json!({ "query_id": id, "label": 1 })).0, 200);
}

/// An application without a policy.
fn plain(name: &str, model: &str) -> String {
    let input = "type = \"integers\", shape = [1]";
    cutter_tests::application(name, input, 100, model, "")
}

#[test]
fn each_context_trusts_whom_it_has_learned_to_trust() {
    let setup = Setup::new(&[("a", "1"), ("b", "2")]);
    let policy = "name = \"exp4\"\neta = 0.5\ncontexts = 10";
    let setup = setup.application("app", &["a", "b"], policy);
    let server = setup.plan().start_ready();
    let mut client = server.client();
    let mut output = |user: &str, label: Option<i32>| {
        let answer = ask(&mut client, "app", &json!({ "input": [1], "context": user }));
        label.into_iter().for_each(|label| learn(&mut client, "app", &answer, label));
        answer["output"].clone()
    };
    for _ in 0..8 {
        output("ann", Some(1));
        output("bob", Some(2));
    }
    assert_eq!((output("ann", None), output("bob", None)), (json!(1), json!(2)));
}

#[test]
fn what_is_cached_is_answered_without_the_model_until_its_time_is_over() {
    let more = |_: &str| "[model.cache]\nbytes = 100000\nttl_us = 400000";
    let setup = Setup::of(&[("a", "1")], more);
    let setup = Setup { body: setup.body.clone() + &plain("app", "a"), ..setup };
    let server = setup.plan().start_ready();
    let mut client = server.client();
    assert_eq!(predict(&mut client, "app", 5)["output"], 1);
    setup.say("a", "2");
    assert_eq!(predict(&mut client, "app", 5)["output"], 1);
    assert_eq!(predict(&mut client, "app", 6)["output"], 2);
    eventually("the output is too old", || {
        (predict(&mut client, "app", 5)["output"] == 2).then_some(())
    });
}

#[test]
fn what_was_learned_survives_kill_9_but_for_the_last_second() {
    let setup = Setup::new(&[("a", "1"), ("b", "2")]);
    // After n lessons the weight of one that was always right is 1 / (1 + exp(-n / 200)).
    let policy = "name = \"exp4\"\neta = 0.005\nshare = 0.0\ncontexts = 4";
    let setup = setup.application("app", &["a", "b"], policy);
    let mut lessons = Vec::new();
    let mut last_id = 0;
    let killed;
    {
        let mut server = setup.stateful().start_ready();
        let mut client = server.client();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(2_500) {
            let answer = ask(&mut client, "app", &json!({ "input": [1], "context": "ann" }));
            learn(&mut client, "app", &answer, 1);
            lessons.push(Instant::now());
            last_id = answer["query_id"].as_u64().unwrap();
            cutter_tests::pause_ms(10);
        }
        killed = Instant::now();
        server.process.kill();
        server.wait_end();
    }
    let server = setup.stateful().start_ready();
    let mut client = server.client();
    let explained = json!({ "input": [1], "context": "ann", "explain": true });
    // The first query only asks for the state of its context.
    let learned = eventually("the state is there", || {
        let answer = ask(&mut client, "app", &explained);
        assert!(answer["query_id"].as_u64().unwrap() > last_id, "no id is given twice");
        let models = answer["models"].as_array().unwrap().clone();
        // Each says something else: the one with more weight is answered, and has all of it.
        (answer["output"] == 1).then_some(models)
    });
    assert_eq!(learned.len(), 2);
    let old = lessons.iter().filter(|at| killed - **at > Duration::from_secs(1)).count();
    assert!(old > 50, "{old} lessons are old enough");
    let kept = lessons_kept(&mut client);
    let all = lessons.len();
    assert!((old..=all).contains(&kept), "{kept} of {all} are kept, {old} were to be");
}

/// How many lessons a context has learned: as many as it takes to outweigh them.
fn lessons_kept(client: &mut Client) -> usize {
    let mut lessons = 0;
    loop {
        let answer = ask(client, "app", &json!({ "input": [1], "context": "ann" }));
        if answer["output"] == 2 {
            return lessons;
        }
        learn(client, "app", &answer, 2);
        lessons += 1;
    }
}

#[test]
fn a_state_file_that_cannot_be_used_is_refused_and_left_as_it_is() {
    let setup = Setup::new(&[("a", "1")]);
    let setup = setup.application("app", &["a"], "name = \"exp4\"");
    let path = setup.path("state.redb");
    fs::write(&path, "this is no state").unwrap();
    let config = setup.path("cutter.toml");
    let server = format!(
        "[server]\nquery = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nstate = \"{}\"\n",
        path.display()
    );
    fs::write(&config, server + &setup.body).unwrap();
    let mut command = Command::new(binary("cutter"));
    let ended = run(command.args(["serve", "--config"]).arg(&config));
    assert_ne!(ended.code(), 0);
    assert_eq!(fs::read_to_string(&path).unwrap(), "this is no state");
}

/// As clicks are told: of an answer that was right somebody says so, and of another nobody says
/// anything. Which model is right depends on the number that comes with the query.
#[test]
fn what_is_logged_tells_what_another_policy_would_have_earned() {
    const QUERIES: u64 = 400;
    let setup = Setup::new(&[("nought", "0"), ("one", "1")]);
    let policy = "name = \"epsilon_greedy\"\nepsilon = 1.0\nseed = 4\n\
                  feedback_wait_us = 500000\nunrewarded = 0";
    let setup = setup.application("app", &["nought", "one"], policy);
    let folder = setup.path("log");
    let table = format!("[server.decision_log]\ndirectory = \"{}\"", folder.display());
    let mut server = setup.plan().with(&table).start_ready();
    let mut client = server.client();
    let mut silent = 0;
    for query in 0..QUERIES {
        let right = i32::from(query % 4 == 0);
        let context = [f64::from(2 * right - 1), 0.1];
        let body = json!({ "input": [query], "context": context });
        let answer = ask(&mut client, "app", &body);
        if answer["output"] == right {
            learn(&mut client, "app", &answer, right);
        } else {
            silent += 1;
        }
    }
    assert!((QUERIES / 4..QUERIES * 3 / 4).contains(&silent), "{silent} answers were wrong");
    // An input that nobody asked for is learned from, and is no decision.
    let unasked = json!({ "input": [-7], "label": 1 });
    assert_eq!(tell(&mut client, "app", &unasked), (202, "evaluating".to_owned()));
    eventually("all is learned", || {
        let stats = server.admin("/stats").json();
        let feedback = &stats["applications"][0]["selection"]["feedback"];
        (feedback["expired"] == silent && feedback["evaluated"] == 1).then_some(())
    });
    server.stop();
    let json = setup.path("evaluated.json");
    let mut evaluate = Command::new(binary("cutter"));
    let words = ["--policy", "lin_ucb", "--parameter", "context_numbers=2"];
    succeed(evaluate.arg("evaluate").arg(&folder).args(words).arg("--json").arg(&json));
    let found: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!((&found["decisions"], &found["used"]), (&json!(QUERIES), &json!(QUERIES)));
    let earned = |place: usize| found["policies"][place]["snips"]["mean"].as_f64().unwrap();
    let [nought, one, by_numbers] = [0, 1, 2].map(earned);
    assert!((nought - 0.75).abs() < 0.1 && (one - 0.25).abs() < 0.1, "{found:#}");
    assert!(by_numbers > 0.9, "{found:#}");
}

#[test]
fn inputs_are_learned_from_with_the_numbers_that_come_with_them() {
    const INPUTS: i32 = 40;
    let setup = Setup::new(&[("nought", "0"), ("one", "1")]);
    let policy = "name = \"lin_ucb\"\ncontext_numbers = 2\nfloor = 0";
    let setup = setup.application("app", &["nought", "one"], policy);
    let server = setup.plan().start_ready();
    let mut client = server.client();
    let context = |right: i32| json!([f64::from(2 * right - 1), 0.1]);
    for input in 0..INPUTS {
        let right = input % 2;
        let update = json!({ "input": [input], "label": right, "context": context(right) });
        assert_eq!(tell(&mut client, "app", &update), (202, "evaluating".to_owned()));
    }
    eventually("all are learned", || {
        let stats = server.admin("/stats").json();
        let feedback = &stats["applications"][0]["selection"]["feedback"];
        (feedback["evaluated"] == INPUTS).then_some(())
    });
    for right in [1, 0, 1, 0] {
        let answer = ask(&mut client, "app", &json!({ "input": [-1], "context": context(right) }));
        assert_eq!(answer["output"], right, "{answer}");
    }
    // The answers to it wait, and have their numbers.
    let bare = |input: i32| json!({ "input": [input], "label": 1 });
    assert_eq!(tell(&mut client, "app", &bare(-1)), (200, "learned".to_owned()));
    assert_eq!(tell(&mut client, "app", &bare(-3)), (400, "no_context".to_owned()));
    let short = json!({ "input": [-2], "label": 1, "context": [1.0] });
    let refused = client.post("/app/update", short.to_string());
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("a context of 1 numbers"), "{}", refused.text());
}

/// With which probability each model is asked. No label is told of the queries that find it out.
fn propensities(server: &Server) -> Vec<f64> {
    let mut client = server.client();
    // Each model is asked at least once in all of these, but for one time in 10^9.
    (0..200).for_each(|input| drop(predict(&mut client, "app", input)));
    let stats = server.admin("/stats").json();
    let arms = stats["applications"][0]["selection"]["arms"].as_array().unwrap().clone();
    arms.iter().map(|arm| arm["weight"].as_f64().unwrap()).collect()
}

#[test]
fn after_kill_9_models_are_asked_with_the_same_probabilities_as_before() {
    let setup = Setup::new(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let policy = "name = \"exp3\"\nfloor = 0.3";
    let setup = setup.application("app", &["a", "b", "c"], policy);
    let mut server = setup.stateful().start_ready();
    let mut client = server.client();
    for input in 0..100 {
        let answer = predict(&mut client, "app", input);
        learn(&mut client, "app", &answer, 2);
    }
    // What was learned more than a second ago is kept.
    cutter_tests::pause_ms(1_500);
    let before = propensities(&server);
    assert!(before[1] > before[0] && before[1] > before[2], "it has learned: {before:?}");
    server.process.kill();
    server.wait_end();
    assert_eq!(propensities(&setup.stateful().start_ready()), before);
}

#[test]
fn a_model_with_a_policy_keeps_answering_while_its_best_model_is_killed() {
    let setup = Setup::new(&[("a", "1"), ("b", "1")]);
    let setup = setup.application("app", &["a", "b"], "name = \"thompson\"");
    let server = setup.plan().start_ready();
    let mut client = server.client();
    let says = server.replicas("says");
    assert_eq!(says.len(), 2);
    says[0].kill();
    let outputs: Vec<Value> =
        (0..50).map(|_| predict(&mut client, "app", 1)["output"].clone()).collect();
    let right = outputs.iter().filter(|output| **output == 1).count();
    assert!(right >= 49, "{right} of 50 were answered while one was down");
    drop::<Server>(server);
}
