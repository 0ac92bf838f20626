//! What can be asked of the demo.

use std::path::PathBuf;

use super::limits::{LEARNING_QUERIES_MAX, RATE_QPS_MAX, SECONDS_MAX};

/// The options of `cutter demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How long to send queries, in seconds.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=SECONDS_MAX)
    )]
    pub seconds: u32,

    /// Queries per second, evenly spaced and sent whether or not earlier ones are answered.
    #[arg(
        long,
        value_name = "QPS",
        default_value_t = 2_000,
        value_parser = clap::value_parser!(u32).range(1..=RATE_QPS_MAX)
    )]
    pub rate: u32,

    /// Digits that each policy of the second act learns from.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3_000,
        value_parser = clap::value_parser!(u32).range(1..=LEARNING_QUERIES_MAX)
    )]
    pub learn: u32,

    /// Also write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Also write a report to this file, as one page of HTML.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Demo {
        #[command(flatten)]
        options: Options,
    }

    fn parse(words: &[&str]) -> Result<Options, clap::Error> {
        let words = ["demo"].iter().chain(words);
        Demo::try_parse_from(words).map(|demo| demo.options)
    }

    #[test]
    fn it_runs_for_ten_seconds_unless_asked_otherwise() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.seconds, options.rate, options.json), (10, 2_000, None));
        assert_eq!(options.learn, 3_000);
        let options = parse(&["--seconds", "3", "--rate", "50", "--json", "a.json"]).unwrap();
        assert_eq!((options.seconds, options.rate), (3, 50));
        assert_eq!((options.json, options.report), (Some("a.json".into()), None));
    }

    #[test]
    fn no_time_no_rate_and_too_much_of_either_are_refused() {
        for words in [
            ["--seconds", "0"],
            ["--seconds", "3601"],
            ["--seconds", "1.5"],
            ["--rate", "0"],
            ["--rate", "1000001"],
            ["--learn", "0"],
            ["--learn", "1000001"],
        ] {
            assert!(parse(&words).is_err(), "{words:?}");
        }
    }
}
