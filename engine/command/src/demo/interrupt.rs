//! Ctrl-C and SIGTERM end a demo early, and cleanly.

use std::io;
use std::sync::Arc;

use cutter_tools::load::Progress;
use tokio::signal::unix::{SignalKind, signal};

/// From now on, SIGINT and SIGTERM interrupt the replay instead of ending the process.
///
/// A thread of its own waits for them; it ends with the process.
pub fn watch(progress: &Arc<Progress>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let progress = Arc::clone(progress);
    std::thread::Builder::new().name("cutter-signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        progress.interrupt();
    })?;
    Ok(())
}
