//! What the machine has of that which a server needs.

use std::fs;
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// The machine as a server finds it. A plain value, so that a test can make any machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The cores that this process may use; none when they are not known.
    pub cores: Vec<usize>,
    pub descriptors: DescriptorLimit,
    /// Memory that could be taken now; `None` when it is not known.
    pub memory_available_bytes: Option<u64>,
    /// Memory that may be locked; `None` when there is no limit for this process.
    pub locked_bytes_max: Option<u64>,
    /// What is at the path of a folder.
    pub folder: fn(&Path) -> Folder,
}

/// Open files of one process; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    pub soft: Option<u64>,
    /// Up to this the server raises its own limit.
    pub hard: Option<u64>,
}

/// What is at the path of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    Writable,
    /// Files in it can be used, and none made.
    NotWritable,
    Missing,
    /// Something else is there.
    NotAFolder,
}

impl Machine {
    /// Looks at this machine, as the calling thread sees it.
    pub fn look() -> Self {
        let descriptors = getrlimit(Resource::Nofile);
        Self {
            cores: cutter_machine::affinity::allowed().unwrap_or_default(),
            descriptors: DescriptorLimit { soft: descriptors.current, hard: descriptors.maximum },
            memory_available_bytes: memory_available_bytes(),
            locked_bytes_max: locked_bytes_max(),
            folder,
        }
    }
}

fn folder(path: &Path) -> Folder {
    match fs::metadata(path) {
        Ok(data) if !data.is_dir() => Folder::NotAFolder,
        Ok(_) if access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok() => Folder::Writable,
        Ok(_) => Folder::NotWritable,
        Err(_) => Folder::Missing,
    }
}

/// What the kernel says can be taken without swapping.
fn memory_available_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    available_in(&text)
}

/// A line of `/proc/meminfo`: `MemAvailable:    1234 kB`.
fn available_in(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn locked_bytes_max() -> Option<u64> {
    let own = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if own { None } else { getrlimit(Resource::Memlock).current }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn this_machine_has_cores_descriptors_and_memory() {
        let machine = Machine::look();
        assert!(!machine.cores.is_empty());
        assert!(machine.descriptors.soft.is_none_or(|soft| soft > 2));
        assert!(machine.memory_available_bytes.is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn available_memory_is_read_from_its_line() {
        let text = "MemTotal: 16 kB\nMemFree: 1 kB\nMemAvailable:      12 kB\nBuffers: 2 kB\n";
        assert_eq!(available_in(text), Some(12 << 10));
        for text in
            ["", "MemAvailable:", "MemAvailable: x kB", "MemAvailable: 99999999999999999999 kB"]
        {
            assert_eq!(available_in(text), None, "{text}");
        }
    }

    #[test]
    fn folders_are_told_from_what_is_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let file: PathBuf = dir.path().join("file");
        fs::write(&file, "").expect("a file");
        assert_eq!(folder(dir.path()), Folder::Writable);
        assert_eq!(folder(&file), Folder::NotAFolder);
        assert_eq!(folder(&dir.path().join("nothing")), Folder::Missing);
    }
}
