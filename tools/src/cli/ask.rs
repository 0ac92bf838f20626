//! The options that say what is asked, of whom, and by how many connections: shared by `load`,
//! `capacity` and `compare`.

use cutter_machine::affinity;
use cutter_tools::arrivals::{Arrivals, parse_trace};
use cutter_tools::bodies::{self, BodyOptions, Input, Protocol, Questions};
use cutter_tools::limits::{CONNECTIONS_MAX, PIPELINE_MAX};
use cutter_tools::load::{Pace, Plan, Wait, connections_for};
use cutter_tools::result::load::PlanResult;
use cutter_tools::target::Target;

use super::Failure;
use super::units::duration_ns;

/// Connections of a closed loop that does not say how many.
const CONNECTIONS_CLOSED: usize = 1;

#[derive(Clone, Debug, clap::Args)]
pub struct AskOptions {
    /// What the server speaks: clipper, oip-json, oip-binary, raw [default: by the path]
    #[arg(long, value_name = "NAME", help_heading = "Requests")]
    pub protocol: Option<Protocol>,
    /// What is asked: `digits`, a generated tensor such as `float32:784`, a file or a folder of
    /// bodies
    #[arg(long, value_name = "INPUT", help_heading = "Requests")]
    pub input: Option<Input>,
    /// HTTP method [default: POST with a body, GET without]
    #[arg(long, value_name = "METHOD", help_heading = "Requests")]
    pub method: Option<String>,
    /// A header field, as in `--header 'X-Key: 1'`; may be repeated
    #[arg(long, value_name = "FIELD", help_heading = "Requests")]
    pub header: Vec<String>,
    /// The tensor's name in the Open Inference Protocol
    #[arg(long, value_name = "NAME", default_value = "input", help_heading = "Requests")]
    pub input_name: String,
    /// Leave out the batch of one with which shapes of the Open Inference Protocol begin: for
    /// models without batches, as Triton's with `max_batch_size: 0`
    #[arg(long, help_heading = "Requests")]
    pub no_batch: bool,
    /// Connections [default: 1 in closed loop; in open loop what comes due in 250 ms, 32 to 1024]
    #[arg(long, value_name = "N", help_heading = "Sending")]
    pub connections: Option<usize>,
    /// Requests under way on one connection
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Sending")]
    pub pipeline: usize,
    /// When a request counts as never answered, from when it was due
    #[arg(
        long, value_name = "TIME", default_value = "5s", value_parser = duration_ns,
        help_heading = "Sending"
    )]
    pub timeout: u64,
    /// What the sending thread does while it waits
    #[arg(long, value_enum, default_value_t = Wait::Adaptive, help_heading = "Sending")]
    pub wait: Wait,
    /// The sending thread's core: a number, or `none` [default: the last one allowed]
    #[arg(long, value_name = "CPU", help_heading = "Sending")]
    pub cpu: Option<String>,
    /// Of the arrivals and of generated inputs
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Sending")]
    pub seed: u64,
}

/// A target and everything that is asked of it, ready to be planned.
#[derive(Clone, Debug)]
pub struct Asked {
    pub text: String,
    pub target: Target,
    pub protocol: Protocol,
    pub questions: Questions,
    pub cpu: Option<usize>,
}

impl AskOptions {
    /// Builds the requests.
    pub fn ask(&self, target: &str) -> Result<Asked, Failure> {
        if !(1..=PIPELINE_MAX).contains(&self.pipeline) {
            let pipeline = self.pipeline;
            return Err(Failure::Usage(format!(
                "--pipeline {pipeline} is not between 1 and {PIPELINE_MAX}"
            )));
        }
        let connections = self.connections.unwrap_or(1);
        if !(1..=CONNECTIONS_MAX).contains(&connections) {
            return Err(Failure::Usage(format!(
                "--connections {connections} is not between 1 and {CONNECTIONS_MAX}"
            )));
        }
        let text = target.to_owned();
        let target: Target = target.parse().map_err(Failure::usage)?;
        let protocol = self.protocol.unwrap_or_else(|| Protocol::of_path(&target.path));
        let options = BodyOptions {
            method: self.method.clone(),
            headers: self.header.iter().map(|field| header(field)).collect::<Result<_, _>>()?,
            input_name: self.input_name.clone(),
            batch: !self.no_batch,
            seed: self.seed,
            ..BodyOptions::default()
        };
        let input = self.input.clone().unwrap_or(Input::None);
        let questions =
            bodies::build(&target, protocol, &input, &options).map_err(Failure::usage)?;
        Ok(Asked { text, target, protocol, questions, cpu: self.cpu()? })
    }

    pub fn plan(&self, asked: &Asked, pace: Pace) -> Plan {
        let connections = self.connections.unwrap_or(match &pace {
            Pace::Open(schedule) => connections_for(schedule.mean_rate_qps().unwrap_or(0.0)),
            Pace::Closed { .. } => CONNECTIONS_CLOSED,
        });
        Plan {
            address: asked.target.address.clone(),
            questions: asked.questions.clone(),
            check: asked.protocol.check(),
            pace,
            connections,
            pipeline: self.pipeline,
            time_limit_ns: self.timeout,
            wait: self.wait,
            cpu: asked.cpu,
        }
    }

    /// The plan, as a result file tells it.
    pub fn told(&self, asked: &Asked, plan: &Plan, arrivals: Option<&Arrivals>) -> PlanResult {
        let (rate_qps, requests, duration_ns) = match &plan.pace {
            Pace::Open(schedule) => (schedule.mean_rate_qps(), None, None),
            Pace::Closed { requests, duration_ns } => (None, *requests, *duration_ns),
        };
        PlanResult {
            loop_kind: if arrivals.is_some() { "open" } else { "closed" }.to_owned(),
            arrivals: arrivals.map(ToString::to_string),
            rate_qps,
            seconds: duration_ns.map(|ns| ns as f64 / 1e9),
            requests,
            connections: plan.connections,
            pipeline: plan.pipeline,
            time_limit_ns: plan.time_limit_ns,
            seed: self.seed,
            protocol: asked.protocol.to_string(),
            input: self.input.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
            bodies: plan.questions.len(),
            request_bytes: plan.questions.request_bytes_mean(),
            wait: plan.wait.as_str().to_owned(),
            cpu: plan.cpu,
        }
    }

    fn cpu(&self) -> Result<Option<usize>, Failure> {
        let allowed = affinity::allowed().map_err(Failure::failed)?;
        match self.cpu.as_deref() {
            None => Ok(allowed.last().copied()),
            Some("none") => Ok(None),
            Some(text) => match text.parse::<usize>() {
                Ok(cpu) if allowed.contains(&cpu) => Ok(Some(cpu)),
                _ => Err(Failure::Usage(format!(
                    "--cpu {text} is not a core of {allowed:?}, and not `none`"
                ))),
            },
        }
    }
}

/// `constant`, `poisson`, `onoff:ON:OFF`, `ramp:FROM:TO`, `trace:FILE`.
pub fn arrivals(text: &str, rate_qps: Option<f64>) -> Result<Arrivals, Failure> {
    let Some(path) = text.strip_prefix("trace:") else {
        return Arrivals::parse(text, rate_qps).map_err(Failure::usage);
    };
    if rate_qps.is_some() {
        return Err(Failure::usage("a trace has its own rate: leave --rate away"));
    }
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::Usage(format!("cannot read the trace {path}: {error}")))?;
    let times = parse_trace(&bytes);
    times.map(Arrivals::Trace).map_err(|error| Failure::Usage(format!("{path}: {error}")))
}

fn header(field: &str) -> Result<(String, String), Failure> {
    let parts = field.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    let (name, value) = parts.ok_or_else(|| {
        Failure::Usage(format!("--header {field:?} has no colon: write 'Name: value'"))
    })?;
    Ok((name.to_owned(), value.to_owned()))
}
