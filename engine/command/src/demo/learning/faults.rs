//! Makes a model fail, and heals it: a signal to its process. `demo_faults.hpp`, of which the
//! models are made, says what it does.

use cutter_tools::admin::AdminClient;
use rustix::process::{Pid, Signal, kill_process};

use super::LearningError;

/// What can be wrong with a model.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Its answers are drawn at random.
    Sick,
    /// It takes longer than answers may.
    Slow,
}

/// Begins a fault, or ends it. The model has to be ready: before, the signal would end it.
pub fn toggle(admin: AdminClient, model: &str, fault: Fault) -> Result<(), LearningError> {
    let ready = admin.readiness()?;
    let model = ready.models.iter().find(|found| found.name == model);
    let replicas = model.iter().flat_map(|model| &model.replicas);
    let mut up = replicas.filter(|replica| replica.state == "up");
    let pid = up.find_map(|replica| Pid::from_raw(i32::try_from(replica.pid?).ok()?));
    let signal = match fault {
        Fault::Sick => Signal::USR1,
        Fault::Slow => Signal::USR2,
    };
    Ok(kill_process(pid.ok_or(LearningError::Gone)?, signal).map_err(std::io::Error::from)?)
}
