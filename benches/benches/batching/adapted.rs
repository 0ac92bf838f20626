//! A model whose times change while it serves, and its goodput over time.

use std::io;
use std::path::Path;

use cutter_bench_support::beside::load_beside;
use cutter_bench_support::cell::Cell;
use cutter_bench_support::slices::{SLICE_NS, goodput_qps, slices_qps};
use cutter_bench_support::stand::{Setting, Stand};
use cutter_tools::arrivals::Arrivals;

/// One run: a model as it is in each phase, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    pub phases: &'a [Cell],
    /// Of each phase; whole slices.
    pub phase_ns: u64,
    pub offered_qps: f64,
}

/// What came of one phase.
#[derive(Debug)]
pub struct Phase {
    pub slices_qps: Vec<f64>,
    /// Batches since its beginning, at the end of each slice.
    pub batches: Vec<u64>,
    /// In its second half.
    pub settled_qps: f64,
}

impl Run<'_> {
    pub fn go(self, setting: &Setting, batch: &str) -> io::Result<Vec<Phase>> {
        let first = self.phases[0];
        let folder = tempfile::tempdir()?;
        let times = folder.path().join("times");
        write_times(&times, first)?;
        let stand = Stand::start(first, &setting.controlled_by(&times), batch)?;
        let counts = stand.counts();
        let arrivals = Arrivals::Constant { rate_qps: self.offered_qps };
        let end_ns = self.phase_ns * self.phases.len() as u64;
        let (recording, batches) = load_beside(
            setting.cores.engine,
            |progress| stand.offer_watched(&arrivals, end_ns, 0, progress),
            |clock| {
                let phases = self.phases.iter().zip(0..).map(|(cell, phase)| {
                    let begin_ns = phase * self.phase_ns;
                    clock.sleep_until(begin_ns);
                    write_times(&times, *cell)?;
                    let before = counts.batches()?;
                    let slices = 1..=self.phase_ns / SLICE_NS;
                    let at_end = slices.map(|slice| {
                        clock.sleep_until(begin_ns + slice * SLICE_NS);
                        Ok(counts.batches()? - before)
                    });
                    at_end.collect()
                });
                phases.collect::<io::Result<Vec<Vec<u64>>>>()
            },
        )?;
        let slo_ns = stand.slo_ns();
        stand.end()?;
        let phase = |(batches, phase): (Vec<u64>, u64)| {
            let (from_ns, to_ns) = (phase * self.phase_ns, (phase + 1) * self.phase_ns);
            Phase {
                slices_qps: slices_qps(&recording, (from_ns, to_ns), slo_ns),
                batches,
                settled_qps: goodput_qps(&recording, (from_ns.midpoint(to_ns), to_ns), slo_ns),
            }
        };
        Ok(batches.into_iter().zip(0..).map(phase).collect())
    }
}

/// In place, since the model has the file mapped.
fn write_times(file: &Path, cell: Cell) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let times = [cell.beta_us, cell.alpha_us].map(|us| f64::from(us).to_ne_bytes());
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(file)?;
    file.write_all_at(times.as_flattened(), 0)
}
