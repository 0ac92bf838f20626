//! Reads the machine under a result: kernel, CPU, cores, governor, clock, memory, load.

use std::fs;

use cutter_machine::affinity;

use crate::result::Environment;

const CPUS_PATH: &str = "/proc/cpuinfo";
const LOAD_PATH: &str = "/proc/loadavg";
const MEMORY_PATH: &str = "/proc/meminfo";
const ONLINE_PATH: &str = "/sys/devices/system/cpu/online";
const GOVERNOR_PATH: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
const CLOCK_PATH: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// The machine as it is now. To be called before the calling thread is pinned: the cores that it
/// may use are those that the process may.
pub fn read() -> Environment {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let one_line = |path| Some(text(path).trim().to_owned()).filter(|line| !line.is_empty());
    let cpus = text(CPUS_PATH);
    let allowed_cpus = affinity::allowed().unwrap_or_default();
    Environment {
        kernel: kernel(),
        cpu: cpu_name(&cpus).unwrap_or_default().to_owned(),
        cores: count_of_list(&text(ONLINE_PATH)).unwrap_or(allowed_cpus.len()),
        allowed_cpus,
        governor: one_line(GOVERNOR_PATH),
        virtual_machine: is_virtual(&cpus),
        clock_source: one_line(CLOCK_PATH),
        memory_bytes: memory_bytes(&text(MEMORY_PATH)),
        load_average: load_average(&text(LOAD_PATH)).unwrap_or_default(),
        floors: None,
    }
}

/// As `uname -srm` says it.
fn kernel() -> String {
    let name = rustix::system::uname();
    let parts = [name.sysname(), name.release(), name.machine()];
    parts.map(|part| part.to_string_lossy().into_owned()).join(" ")
}

/// The values of a field, of each CPU that has it, in `/proc/cpuinfo`.
fn fields<'a>(cpus: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let pairs = cpus.lines().filter_map(|line| line.split_once(':'));
    pairs.filter(move |(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// The name of the first CPU. Some architectures give none.
fn cpu_name(cpus: &str) -> Option<&str> {
    fields(cpus, "model name").find(|name| !name.is_empty())
}

/// x86 says so by a flag; others say nothing.
fn is_virtual(cpus: &str) -> Option<bool> {
    fields(cpus, "flags").next().map(|flags| flags.split(' ').any(|flag| flag == "hypervisor"))
}

/// The members of a list as the kernel writes it: `0-3,8`.
fn count_of_list(list: &str) -> Option<usize> {
    let count = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.trim().split(',').map(count).sum()
}

fn memory_bytes(memory: &str) -> Option<u64> {
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1_024)
}

fn load_average(load: &str) -> Option<[f64; 3]> {
    let mut words = load.split(' ').map(|word| word.parse().ok());
    Some([words.next()??, words.next()??, words.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUS: &str = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n\
        flags\t\t: fpu vme hypervisor lahf_lm\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\n";
    const ARM_CPUS: &str = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\n";

    #[test]
    fn the_cpu_and_whether_it_is_a_virtual_one_are_read() {
        assert_eq!((cpu_name(CPUS), is_virtual(CPUS)), (Some("AMD EPYC"), Some(true)));
        let bare = CPUS.replace(" hypervisor", "");
        assert_eq!(is_virtual(&bare), Some(false));
    }

    #[test]
    fn what_a_cpu_does_not_say_is_absent() {
        assert_eq!((cpu_name(ARM_CPUS), is_virtual(ARM_CPUS)), (None, None));
        assert_eq!((cpu_name(""), is_virtual("")), (None, None));
    }

    #[test]
    fn lists_of_cores_are_counted() {
        let counts = ["0-1\n", "0", "0-3,8,10-11\n", "", "1-0", "x"].map(count_of_list);
        assert_eq!(counts, [Some(2), Some(1), Some(7), None, None, None]);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let memory = "MemTotal:        8039116 kB\nMemFree:          123 kB\n";
        assert_eq!(memory_bytes(memory), Some(8_232_054_784));
        assert_eq!(memory_bytes("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn the_load_is_read_or_absent() {
        assert_eq!(load_average("0.19 0.63 12.68 2/101 19395\n"), Some([0.19, 0.63, 12.68]));
        assert_eq!(load_average("0.19 0.63"), None);
        assert_eq!(load_average(""), None);
    }

    #[test]
    fn this_machine_has_a_kernel_cores_and_memory() {
        let environment = read();
        assert!(environment.kernel.starts_with("Linux "), "{environment:?}");
        assert!(environment.cores >= environment.allowed_cpus.len());
        assert!(!environment.allowed_cpus.is_empty());
        assert!(environment.memory_bytes > Some(1 << 20));
    }
}
