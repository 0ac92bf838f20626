//! Every limit of the command itself, with its unit in its name: one table.

cutter_limits::limits! {
    "Log" {
        /// Lines of the log that wait to be written. Beyond: dropped and counted.
        LOG_LINES_QUEUED_MAX: usize = 1024, "lines";
        /// How long the end of the process waits for the log to be written.
        LOG_END_NS: u64 = 500_000_000, "ns";
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sound() {
        assert_eq!(cutter_limits::faults(super::TABLE), [""; 0]);
    }
}
