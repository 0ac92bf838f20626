//! `cutter-bench bound`.

use std::path::PathBuf;
use std::time::Duration;

use cutter_tools::admin::AdminClient;
use cutter_tools::arrivals::parse_trace;
use cutter_tools::goodput::bounds::Bounds;
use cutter_tools::goodput::clairvoyant::clairvoyant;
use cutter_tools::goodput::served::Served;
use cutter_tools::goodput::{Scene, ServiceLine};

use super::Failure;
use super::console::print;
use super::output::write;
use super::units::{duration_ns, quantile};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// What each row adds to the time of a batch
    #[arg(long, value_name = "TIME", value_parser = duration_ns, requires = "beta",
        allow_hyphen_values = true, help_heading = "Model")]
    alpha: Option<u64>,
    /// What a batch takes by itself
    #[arg(long, value_name = "TIME", value_parser = duration_ns, requires = "alpha",
        allow_hyphen_values = true, help_heading = "Model")]
    beta: Option<u64>,
    /// Cutter's admin address: what is not given is what the server says and has measured
    #[arg(long, value_name = "ADDRESS", conflicts_with = "alpha", help_heading = "Model")]
    admin: Option<String>,
    /// The server's model, NAME or NAME:VERSION [default: its only one]
    #[arg(long, value_name = "MODEL", requires = "admin", help_heading = "Model")]
    model: Option<String>,
    /// Only batches of the next so long count [default: all since the server's start]
    #[arg(long, value_name = "TIME", value_parser = duration_ns, requires = "admin",
        help_heading = "Model")]
    over: Option<u64>,
    /// What a query may take [default: the least SLO of the server's applications of this model]
    #[arg(long, value_name = "TIME", value_parser = duration_ns, help_heading = "Promise")]
    slo: Option<u64>,
    /// What receiving, parsing and replying take of it [default: none, or what the server measured]
    #[arg(long, value_name = "TIME", value_parser = duration_ns, help_heading = "Promise")]
    overhead: Option<u64>,
    /// Replicas [default: 1, or those of the server that are up]
    #[arg(long, value_name = "N", help_heading = "Promise")]
    replicas: Option<u32>,
    /// The quantile that must keep the SLO under Poisson arrivals
    #[arg(
        long, value_name = "QUANTILE", default_value = "p99", value_parser = quantile,
        help_heading = "Promise"
    )]
    quantile: f64,
    /// Arrivals of which the fewest losses are computed: a due time in seconds on each line
    #[arg(long, value_name = "FILE", help_heading = "Promise")]
    trace: Option<PathBuf>,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    json: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples: what can be had of a model that takes 4 ms and 0.1 ms for each row; and of one that runs
  cutter-bench bound --alpha 100us --beta 4ms --slo 20ms --replicas 1
  cutter-bench bound --admin 127.0.0.1:1338 --model digits

A line is fitted to all batches that the server has counted. Ask it at several rates before: from
batches of one size no line follows, and a line that fits badly is refused.";

pub fn run(options: &Options) -> Result<(), Failure> {
    let scene = match (&options.admin, options.alpha, options.beta) {
        (Some(admin), ..) => options.served(admin)?,
        (None, Some(alpha), Some(beta)) => options.given(alpha, beta)?,
        _ => {
            return Err(Failure::usage(
                "bound of what? Give --alpha and --beta, or the --admin address of a server",
            ));
        }
    };
    let mut bounds = Bounds::of(&scene, options.quantile).map_err(Failure::usage)?;
    if let Some(path) = &options.trace {
        let told = |why: String| Failure::Usage(format!("{}: {why}", path.display()));
        let bytes = std::fs::read(path)
            .map_err(|error| told(format!("the trace cannot be read: {error}")))?;
        let arrivals_ns = parse_trace(&bytes).map_err(|error| told(error.to_string()))?;
        let found = clairvoyant(&scene, &arrivals_ns).map_err(|error| told(error.to_string()))?;
        bounds.clairvoyant = Some(found);
    }
    print(&bounds.to_string())?;
    let Some(path) = &options.json else { return Ok(()) };
    let text = serde_json::to_string(&bounds).map_err(Failure::failed)?;
    write(path, (text + "\n").as_bytes())
}

impl Options {
    fn given(&self, alpha_ns: u64, beta_ns: u64) -> Result<Scene, Failure> {
        let slo_ns = self.slo.ok_or_else(|| Failure::usage("within which time? Give --slo"))?;
        let line = ServiceLine { fixed_ns: beta_ns as f64, per_row_ns: alpha_ns as f64 };
        let scene =
            Scene::new(line, slo_ns, self.overhead.unwrap_or(0), self.replicas.unwrap_or(1));
        scene.map_err(Failure::usage)
    }

    fn served(&self, admin: &str) -> Result<Scene, Failure> {
        let client = AdminClient::new(admin).map_err(Failure::usage)?;
        let earlier = self.over.map(|over_ns| {
            let earlier = client.stats().map_err(Failure::failed);
            std::thread::sleep(Duration::from_nanos(over_ns));
            earlier
        });
        let earlier = earlier.transpose()?;
        let (now, _) = client.inspect().map_err(Failure::failed)?;
        let mut served =
            Served::of(&now, self.model.as_deref(), earlier.as_ref()).map_err(Failure::failed)?;
        print(&format!("{}\n", served.told()))?;
        served.overhead_ns = self.overhead.unwrap_or(served.overhead_ns);
        served.replicas = self.replicas.unwrap_or(served.replicas);
        let slo_ns = self.slo.or(served.slo_ns).ok_or_else(|| {
            Failure::Usage(format!("no application asks {}: give --slo", served.model))
        })?;
        served.scene(slo_ns).map_err(Failure::usage)
    }
}
