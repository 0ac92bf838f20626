//! What the benches share: options, measurements, tables, the cores, the containers. What asks
//! over HTTP is the load generator of `cutter_tools`.
//!
//! Each bench is a program of its own: `cargo bench -p cutter-benches --bench NAME`. It prints a
//! table and, with `-- --json FILE`, writes the same as a JSON array. What is compared is measured
//! in one run, in rounds that take turns, and each figure is the median of its rounds: absolute
//! times are those of one machine and day, ratios travel better. A bench takes well under a
//! minute, but for `paper_selection`, `noise` and `batching`, which take a few, and `goodput`,
//! which takes ten.
//!
//! # Rooms
//! [`options`] the command line · [`measurement`] latencies to quantiles · [`report`] table and
//! JSON · [`cores`] who runs where · [`processes`] children that end with the bench ·
//! [`containers`] the example models · [`inputs`] rows and bodies · [`floor`] a row there and
//! its sum back without Cutter · [`served`] what is served over HTTP, and how it is asked ·
//! [`recovery`] how long a policy takes to be good again · [`finding`] what was found out, on a
//! page · [`cell`] a model of known service time under an SLO · [`stand`] such a model, served and
//! asked · [`sizing`] how its batches are sized · [`slices`] goodput over the time of a run ·
//! [`beside`] what is done while a load goes on.

pub mod beside;
pub mod cell;
pub mod containers;
pub mod cores;
pub mod finding;
pub mod floor;
pub mod inputs;
pub mod measurement;
pub mod options;
pub mod processes;
pub mod recovery;
pub mod report;
pub mod served;
pub mod sizing;
pub mod slices;
pub mod stand;

/// Rounds of each thing measured. A figure is the median of its rounds.
pub const ROUNDS: usize = 5;
