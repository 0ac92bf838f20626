//! Every limit of the command itself, with its unit in its name: one table.

cutter_limits::limits! {
    "Evaluation" {
        /// The least propensity that an evaluation divides by. Of what was asked with less, nothing
        /// is told.
        PROPENSITY_MIN: f64 = 1e-3, "probability";
        /// The largest part of a policy's choices of which a log may tell nothing. Beyond: refused.
        UNSUPPORTED_MAX: f64 = 0.02, "of choices";
        /// Effective decisions below which a mean is not taken for normal.
        DECISIONS_FEW: usize = 100, "decisions";
    }
    "Log" {
        /// Lines of the log that wait to be written. Beyond: dropped and counted.
        LOG_LINES_QUEUED_MAX: usize = 1024, "lines";
        /// How long the end of the process waits for the log to be written.
        LOG_END_NS: u64 = 500_000_000, "ns";
    }
}

const _: () = {
    assert!(0.0 < PROPENSITY_MIN && PROPENSITY_MIN < UNSUPPORTED_MAX && UNSUPPORTED_MAX < 1.0);
    assert!(DECISIONS_FEW >= 2, "of one no deviation is known");
};

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sound() {
        assert_eq!(cutter_limits::faults(super::TABLE), [""; 0]);
    }
}
