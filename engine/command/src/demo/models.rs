//! The models of the demo: the programs that run them, and the files that they are made of.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

use cutter_tools::digits::WEIGHTS_FILE;
use rustix::fs::MemfdFlags;

/// A model that reads digits.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    pub name: &'static str,
    /// The binary, which is given the file.
    pub program: &'static str,
    pub file: &'static [u8],
}

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../../../container-sdk/examples/digits/", $name))
    };
}

/// That of the first act.
pub const SOFTMAX: Model = Model { name: "softmax", program: "softmax", file: WEIGHTS_FILE };

/// Those to choose among, the worst first: the script `train_models.py` made and measured them.
pub const ARMS: [Model; 5] = [
    Model { name: "linear", program: "softmax", file: file!("linear.bin") },
    Model { name: "mlp-small", program: "mlp", file: file!("mlp-small.bin") },
    Model { name: "neighbours", program: "neighbours", file: file!("neighbours.bin") },
    Model { name: "forest", program: "forest", file: file!("forest.bin") },
    Model { name: BEST, program: "mlp", file: file!("mlp-large.bin") },
];

/// The best of them: the one that fails, and later is slow.
pub const BEST: &str = "mlp-large";

/// The programs of all.
pub const PROGRAMS: [&str; 4] = ["softmax", "mlp", "neighbours", "forest"];

/// Bytes as a file that has no name and goes with this process.
#[derive(Debug)]
pub struct Handed(File);

impl Handed {
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        let mut file = File::from(rustix::fs::memfd_create("cutter-demo", MemfdFlags::CLOEXEC)?);
        file.write_all(bytes)?;
        Ok(Self(file))
    }

    /// Where other processes of the same user find it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_for_others_to_read() {
        let weights = Handed::new(WEIGHTS_FILE).unwrap();
        assert_eq!(std::fs::read(weights.path()).unwrap(), WEIGHTS_FILE);
    }

    #[test]
    fn every_model_has_a_program_and_every_program_a_model() {
        let models = || ARMS.iter().chain([&SOFTMAX]);
        assert!(models().all(|model| PROGRAMS.contains(&model.program)));
        assert!(PROGRAMS.iter().all(|name| models().any(|model| model.program == *name)));
        assert!(ARMS.iter().any(|model| model.name == BEST));
    }
}
