//! A policy that stands in no file is the one that it would be in one.

use super::{config, policy};
use crate::config::Plan;

fn parse(name: &str, parameters: &[&str]) -> Result<Plan, String> {
    let parameters: Vec<String> = parameters.iter().map(|text| (*text).to_owned()).collect();
    Plan::parse(name, &parameters, 2).map_err(|problem| problem.to_string())
}

#[test]
fn every_policy_is_what_its_lines_in_a_file_say() {
    let each: [(&str, &[&str]); 14] = [
        ("static", &[]),
        ("exp3", &[]),
        ("exp3", &["eta=0.3", "floor = 0.25", "share=0"]),
        ("exp3_ix", &["eta=1"]),
        ("exp4", &["share=0.5"]),
        ("epsilon_greedy", &["epsilon=0.2"]),
        ("ucb1", &["discount=1"]),
        ("thompson", &[]),
        ("thompson", &["floor=0.1"]),
        ("gaussian_thompson", &["deviation=0.25"]),
        ("vote", &[]),
        ("weighted", &["weights=[1, 0.5]"]),
        ("lin_ucb", &["context_numbers=3", "alpha=2"]),
        ("lin_ucb", &["context_numbers=3"]),
    ];
    for (name, parameters) in each {
        let lines = format!("name = \"{name}\"\n{}", parameters.join("\n"));
        let of_file = config(&policy(&lines)).applications.remove(0).policy.unwrap().plan;
        assert_eq!(parse(name, parameters), Ok(of_file), "{name}");
    }
}

#[test]
fn what_is_wrong_is_one_line_that_says_what_would_be_right() {
    let each: [(&str, &[&str], &str); 11] = [
        ("exp5", &[], "`name` of the policy is \"exp5\"; expected one of: static, exp3, exp3_ix"),
        ("exp3", &["eta=NaN"], "not valid TOML: "),
        ("exp3", &["eta=nan"], "`eta` of the policy is NaN; expected a number from "),
        ("exp3", &["eta=-1", "floor=2"], "`eta` of the policy is -1.0; expected a number from "),
        ("exp3", &["eta"], "not valid TOML: "),
        ("exp3", &["eta=\"fast\""], "found string \"fast\"; expected a number"),
        ("exp3", &["eta=1", "eta=2"], "not valid TOML: duplicate key \"eta\""),
        ("exp3", &["epsilon=0.1"], "the policy is \"exp3\", which takes no `epsilon`; it takes "),
        ("exp3", &["loss=\"squared\""], "unknown key \"loss\"; expected one of: eta, floor"),
        ("weighted", &["weights=[1]"], "`weights` of the policy has 1 items; expected 2"),
        ("lin_ucb", &[], "the policy has no `context_numbers`; expected how many numbers"),
    ];
    for (name, parameters, expected) in each {
        let told = parse(name, parameters).unwrap_err();
        assert!(told.starts_with(expected) && !told.contains('\n'), "{told}");
    }
    let quoted = parse("a\"\nb", &[]).unwrap_err();
    assert!(quoted.contains("\"a\\\"\\nb\""), "{quoted}");
}

#[test]
fn parameters_that_a_policy_tells_make_it_again() {
    for (name, parameters) in [
        ("exp3", &["eta = 0.2", "floor = 0.01"][..]),
        ("exp4", &[]),
        ("ucb1", &["discount = 0.97"]),
        ("weighted", &["weights = [0.5, 1.0]"]),
        ("lin_ucb", &["context_numbers = 3"]),
        ("gaussian_thompson", &[]),
    ] {
        let given: Vec<String> = parameters.iter().map(|line| (*line).to_owned()).collect();
        let plan = Plan::parse(name, &given, 2).unwrap();
        let told: Vec<String> = plan.parameters().split_whitespace().map(str::to_owned).collect();
        assert_eq!(Plan::parse(name, &told, 2).unwrap(), plan, "{name} {told:?}");
    }
}
