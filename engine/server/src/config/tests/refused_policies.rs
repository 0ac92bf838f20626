//! What is said about policies, caches, state stores and decision logs that cannot be.

use super::{check, errors, policy, with};

/// The same of lines of a policy, without whose policy it is.
fn check_policy(table: &[(&str, &str)]) {
    for (lines, expected) in table {
        let told = errors(&policy(lines)).replace("the policy of application \"a\"", "it");
        assert_eq!(told, *expected, "{lines}");
    }
}

#[test]
fn a_policy_that_nobody_knows_is_refused_with_those_that_there_are() {
    check_policy(&[
        (
            "name = \"exp5\"",
            "c:12:8: `name` of it is \"exp5\"; expected one of: static, exp3, exp3_ix, exp4, \
             epsilon_greedy, ucb1, thompson, gaussian_thompson, vote, weighted, lin_ucb; did you \
             mean \"exp3\"?",
        ),
        (
            "nam = \"exp3\"",
            "c:12:1: unknown key \"nam\"; expected one of: name, eta, floor, share, epsilon, \
             discount, deviation, alpha, context_numbers, weights, parameters, outputs, \
             tolerance, substitute, unsure_below, loss and 14 more; did you mean \"name\"?",
        ),
    ]);
}

#[test]
fn a_parameter_out_of_bounds_is_refused() {
    check_policy(&[
        (
            "name = \"exp3\"\neta = 0\nfloor = 1.5\nshare = nan",
            "c:13:7: `eta` of it is 0.0; expected a number from 0.000001 to 10\n\
             c:14:9: `floor` of it is 1.5; expected a number from 0 to 1\n\
             c:15:9: `share` of it is NaN; expected a number from 0 to 1",
        ),
        (
            "name = \"epsilon_greedy\"\nepsilon = -0.1\ndiscount = inf",
            "c:13:11: `epsilon` of it is -0.1; expected a number from 0 to 1\n\
             c:14:12: `discount` of it is inf; expected a number from 0.5 to 1",
        ),
        (
            "name = \"thompson\"\ndiscount = 1",
            "c:13:12: `discount` of it is 1.0; expected a number from 0.5 to 0.999",
        ),
        (
            "name = \"gaussian_thompson\"\ndeviation = 0.6",
            "c:13:13: `deviation` of it is 0.6; expected a number from 0.25 to 0.5",
        ),
        (
            "name = \"lin_ucb\"\nalpha = 11\ncontext_numbers = 17",
            "c:13:9: `alpha` of it is 11.0; expected a number from 0 to 10\n\
             c:14:19: `context_numbers` of it is 17; expected 1 to 16",
        ),
        (
            "name = \"weighted\"\nweights = [1, -1]",
            "c:13:15: `weights` of it is -1.0; expected a number from 0 to 1",
        ),
    ]);
}

#[test]
fn a_parameter_that_the_policy_does_not_take_is_refused() {
    check_policy(&[
        ("eta = 0.1", "c:12:7: it is \"static\", which takes no `eta`; it takes no parameter"),
        (
            "name = \"exp4\"\nfloor = 0.1\nweights = [1]\ncontext_numbers = 1",
            "c:13:9: it is \"exp4\", which takes no `floor`; it takes `eta`, `share`\n\
             c:14:11: it is \"exp4\", which takes no `weights`; it takes `eta`, `share`\n\
             c:15:19: it is \"exp4\", which takes no `context_numbers`; it takes `eta`, `share`",
        ),
        (
            "name = \"ucb1\"\nepsilon = 0.1\nparameters = { x = 1 }",
            "c:13:11: it is \"ucb1\", which takes no `epsilon`; it takes `discount`\n\
             c:14:14: it is \"ucb1\", which takes no `parameters`; it takes `discount`",
        ),
    ]);
}

#[test]
fn a_policy_without_what_it_needs_is_refused() {
    check_policy(&[
        (
            "name = \"weighted\"",
            "c:11:1: it has no `weights`; expected a number for each of `models`, as in `weights = \
             [1, 0.5]`",
        ),
        (
            "name = \"weighted\"\nweights = [1]",
            "c:13:11: `weights` of it has 1 items; expected 2: one for each of `models`, in their \
             order",
        ),
        (
            "name = \"weighted\"\nweights = []",
            "c:13:11: `weights` of it has 0 items; expected 1 to 32",
        ),
        (
            "name = \"lin_ucb\"",
            "c:11:1: it has no `context_numbers`; expected how many numbers come with each query, \
             as in `context_numbers = 4`",
        ),
        (
            "loss = \"squared\"",
            "c:12:8: it has no `range`; expected what is as wrong as can be, as in `range = 10`",
        ),
        (
            "mode = \"apprentice\"",
            "c:12:8: it has no `baseline`; expected the model that is asked, as in `baseline = \
             \"softmax\"`",
        ),
    ]);
}

#[test]
fn a_policy_without_a_model_is_refused() {
    check(&[(
        "[[application]]\nname = \"a\"\ninput = { type = \"s\" }\npolicy = { name = \"exp3\" }",
        "c:4:10: the policy of application \"a\" has no model to choose from; expected at least \
         one in `models`",
    )]);
}

#[test]
fn what_has_a_meaning_only_beside_another_key_is_refused_without_it() {
    check_policy(&[
        (
            "tolerance = 0.1",
            "c:12:13: `tolerance` of it is only for `outputs = \"value\"`; leave it out, or set \
             that",
        ),
        (
            "substitute = \"mean\"",
            "c:12:14: `substitute` of it is only for `outputs = \"value\"` or `\"scores\"` when it \
             is \"mean\"; leave it out, or set that",
        ),
        (
            "name = \"exp3\"\nunsure_below = 0.5",
            "c:13:16: `unsure_below` of it is only for policies that ask all models: `exp4`, \
             `vote`, `weighted`; leave it out, or set that",
        ),
        (
            "range = 1",
            "c:12:9: `range` of it is only for `loss = \"absolute\"` or `\"squared\"`; leave it \
             out, or set that",
        ),
        (
            "baseline = \"m\"",
            "c:12:12: `baseline` of it is only for `mode = \"apprentice\"` or `\"log_only\"`; \
             leave it out, or set that",
        ),
        (
            "name = \"vote\"\ncaps = { m = 0.5 }",
            "c:13:8: `caps` of it is only for policies that ask one model; leave it out, or set \
             that",
        ),
    ]);
}

#[test]
fn what_is_said_of_outputs_and_rewards_and_cannot_be_is_refused() {
    check_policy(&[
        (
            "outputs = \"scorse\"\nsubstitute = \"zero\"\nloss = \"square\"\nmode = \"off\"",
            "c:12:11: `outputs` of it is \"scorse\"; expected one of: class, value, scores; did \
             you mean \"scores\"?\n\
             c:13:14: `substitute` of it is \"zero\"; expected one of: nothing, mean, last\n\
             c:14:8: `loss` of it is \"square\"; expected one of: zero_one, absolute, squared; did \
             you mean \"squared\"?\n\
             c:15:8: `mode` of it is \"off\"; expected one of: online, apprentice, log_only",
        ),
        (
            "name = \"vote\"\noutputs = \"value\"\ntolerance = -1\nunsure_below = 1.1",
            "c:14:13: `tolerance` of it is -1.0; expected a number from 0 to 1000000000000\n\
             c:15:16: `unsure_below` of it is 1.1; expected a number from 0 to 1",
        ),
        (
            "loss = \"absolute\"\nrange = 0",
            "c:13:9: `range` of it is 0.0; expected a number from 0.000000001 to 1000000000000",
        ),
        (
            "reward_range = [1, 1]",
            "c:12:16: `reward_range` of it is from 1 to 1; expected the worst reward first, and a \
             better one behind it",
        ),
        (
            "reward_range = [0]\nunrewarded = \"leave\"",
            "c:12:16: `reward_range` of it has 1 items; expected 2 to 2\n\
             c:13:14: `unrewarded` of it is \"leave\"; expected `leave_out`, or a reward from 0 to \
             1",
        ),
        (
            "reward_range = [nan, inf]",
            "c:12:17: `reward_range` of it is NaN; expected a number from -1000000000000 to \
             1000000000000\n\
             c:12:22: `reward_range` of it is inf; expected a number from -1000000000000 to \
             1000000000000",
        ),
        ("unrewarded = 2", "c:12:14: `unrewarded` of it is 2.0; expected a number from 0 to 1"),
        ("unrewarded = nan", "c:12:14: `unrewarded` of it is NaN; expected a number from 0 to 1"),
    ]);
}

#[test]
fn what_is_said_of_learning_and_hedging_and_cannot_be_is_refused() {
    check_policy(&[
        (
            "hedge = true\nhedge_share = 0",
            "c:13:15: `hedge_share` of it is 0.0; expected a number from 0.001 to 0.5",
        ),
        (
            "feedback_wait_us = 999\nfeedback_window = 4194305\nseed = -1\ncontexts = 1048577\n\
         hedge_share = 0.6",
            "c:12:20: `feedback_wait_us` of it is 999; expected 1000 to 86400000000\n\
         c:13:19: `feedback_window` of it is 4194305; expected 16 to 4194304\n\
         c:14:8: `seed` of it is -1; expected 0 to 18446744073709551615\n\
         c:15:12: `contexts` of it is 1048577; expected 0 to 1048576\n\
         c:16:15: `hedge_share` of it is 0.6; expected a number from 0.001 to 0.5",
        ),
    ]);
}

#[test]
fn a_policy_that_names_a_model_that_it_has_not_is_refused() {
    check_policy(&[
        (
            "mode = \"log_only\"\nbaseline = \"o\"\noff = [\"nn\"]\ncaps = { \"m:2\" = 0.5 }",
            "c:13:12: `baseline` of it names \"o\"; expected one of: m, n\n\
             c:14:8: `off` of it names \"nn\"; expected one of: m, n; did you mean \"n\"?\n\
             c:15:10: `caps` of it names \"m:2\"; expected one of: m, n",
        ),
        (
            "off = [\"m\", \"m:1\"]\ncaps = { n = 1, \"n:1\" = 1 }",
            "c:12:13: `off` of it names model \"m\" a second time; expected each once\n\
             c:13:17: `caps` of it names model \"n\" a second time; expected each once",
        ),
    ]);
}

#[test]
fn arms_that_leave_nothing_to_choose_are_refused() {
    check_policy(&[
        (
            "off = [\"n\", \"m\"]",
            "c:12:7: `off` of it names every model; expected one at least that may be asked",
        ),
        (
            "caps = { m = 0.25, n = 0.5 }",
            "c:12:8: `caps` of it leave 0.75 of all choices to the models that are not off, and \
             every query asks one; expected 1 at least",
        ),
        (
            "caps = { m = 0.5 }\noff = [\"n\"]",
            "c:12:8: `caps` of it leave 0.5 of all choices to the models that are not off, and \
             every query asks one; expected 1 at least",
        ),
        (
            "[application.policy.caps]\nm = 1.5\nn = nan",
            "c:13:5: `caps.m` of it is 1.5; expected a number from 0 to 1\n\
             c:14:5: `caps.n` of it is NaN; expected a number from 0 to 1",
        ),
        (
            "mode = \"apprentice\"\nbaseline = \"m\"\noff = [\"m\"]",
            "c:13:12: `baseline` of it is \"m\", which is `off`; expected a model that is asked",
        ),
    ]);
}

#[test]
fn a_mistake_in_the_list_of_models_is_not_told_again_in_the_policy() {
    let lines = "name = \"weighted\"\nweights = [1, 1]\noff = [\"n\"]";
    let text = policy(lines).replace("[\"m\", \"n\"]", "[\"m\", \"o\"]");
    let expected = "c:10:16: unknown model \"o\" (application \"a\"); expected one of: m, n";
    assert_eq!(errors(&text), expected);
    let text = policy(lines).replace("[\"m\", \"n\"]", "[\"o\"]");
    assert_eq!(errors(&text), expected.replace("10:16", "10:11"));
}

#[test]
fn caches_that_cannot_be_are_refused() {
    check(&[
        (
            &with("", "", "cache = { bytes = 65535, ttl_us = 999 }"),
            "c:12:19: `bytes` of the cache of model \"m\" is 65535; expected 65536 to 17179869184\n\
             c:12:35: `ttl_us` of the cache of model \"m\" is 999; expected 1000 to 604800000000",
        ),
        (
            &with("", "", "deterministic = false\ncache = {}"),
            "c:13:9: model \"m\" is not deterministic, so an output that is kept is not what it \
             would say; expected no `cache`, or `deterministic = true`",
        ),
    ]);
}

#[test]
fn state_stores_and_decision_logs_that_cannot_be_are_refused() {
    check(&[
        (
            "[server]\nstate = \"\"",
            "c:2:9: `state` of [server] is \"\"; expected the path of a file, or `none`: it is \
             gone with the server",
        ),
        (
            "[server]\nstate = \"a\\u0000\"",
            "c:2:9: `state` of [server] holds a zero byte at 1; neither a path nor an argument may",
        ),
        (
            "[server.decision_log]",
            "c:1:1: the decision log has no `directory`; expected the path of a folder, as in \
             `directory = \"decisions\"`",
        ),
        (
            "[server.decision_log]\ndirectory = \"\"\nfile_bytes = 65535\nfiles = 1\nsample = 1.5",
            "c:2:13: `directory` of the decision log is \"\"; expected the path of a folder\n\
             c:3:14: `file_bytes` of the decision log is 65535; expected 1048576 to 17179869184\n\
             c:4:9: `files` of the decision log is 1; expected 2 to 4096\n\
             c:5:10: `sample` of the decision log is 1.5; expected a number from 0.000001 to 1",
        ),
    ]);
}
