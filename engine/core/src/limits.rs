//! Every limit of the core, with its unit in its name: one table. Relations are asserted below it.

cutter_limits::limits! {
    "Core" {
        /// The most applications of one server.
        APPLICATIONS_MAX: usize = 64, "applications";
        /// The most model versions of one server.
        MODELS_MAX: usize = 64, "model versions";
        /// The most replicas of one model version.
        REPLICAS_MAX: u32 = 64, "replicas";
        /// The most replicas of all model versions together.
        REPLICAS_TOTAL_MAX: u32 = 256, "replicas";
        /// The most models that one application asks.
        LINKS_MAX: usize = 32, "models";
        /// Drains that may be under way at one time.
        DRAINS_MAX: usize = APPLICATIONS_MAX + MODELS_MAX + REPLICAS_TOTAL_MAX as usize, "drains";
        /// Bytes of outputs that wait for others of the same query. Beyond: such a call fails.
        KEPT_OUTPUT_BYTES_MAX: usize = 64 << 20, "bytes";
        /// Containers that may die with one query in flight before it is answered with an error.
        CRASHES_MAX: u8 = 2, "containers";
        /// Each query moves the measured overhead by one part in two to this power.
        OVERHEAD_GAIN_SHIFT: u32 = 6, "bits";
        /// Entries that a model's queue has room for, for each row: one whose query is closed takes
        /// its place until it is met, or until all these are looked for at once.
        QUEUE_ROOM_PER_ROW: usize = 2, "entries";
        /// Times that a query is sent again because its batch failed: in halves down to itself
        /// alone, and then once on another replica.
        RETRIES_MAX: u32 = BATCH_MAX.next_power_of_two().ilog2() + 1, "times";
        /// Each batch moves the share of failed batches of its replica by one part in two to this
        /// power.
        FAILURE_GAIN_SHIFT: u32 = 4, "bits";
        /// Percent of recent batches that failed, above which a replica counts as failing.
        FAILING_SHARE_PERCENT: u32 = 75, "percent";
        /// Percent of recent batches that failed, below which it does not count as failing any
        /// more.
        RECOVERED_SHARE_PERCENT: u32 = 25, "percent";
        /// How long a replica is held back, while another one can do the work, after a second
        /// failure in a row. It doubles with each further one.
        FAILED_PAUSE_NS_MIN: u64 = 1_000_000, "ns";
        /// The longest that it becomes.
        FAILED_PAUSE_NS_MAX: u64 = 100_000_000, "ns";
        /// The failures of a model are told to its operator once in this time.
        FAILURE_REPORT_PERIOD_NS: u64 = 1_000_000_000, "ns";
        /// Bytes of a failure's text that are told.
        FAILURE_TEXT_BYTES_MAX: usize = 512, "bytes";
    }
    "Batching and statistics" {
        /// The most queries in one batch.
        BATCH_MAX: u32 = 4096, "queries";
        /// The batch limit, in rows, with which AIMD starts.
        AIMD_START_ROWS: u32 = 1, "rows";
        /// What AIMD adds to the batch limit, in rows, after a full batch with time to spare.
        AIMD_STEP_ROWS: u32 = 2, "rows";
        /// AIMD backs off by one part in this many: 10 means that 0.9 of the limit remains.
        AIMD_BACK_OFF_PARTS: u32 = 10, "parts";
        /// AIMD grows only when at least one part in this many of the objective was left over.
        AIMD_HEADROOM_PARTS: u64 = 10, "parts";
        /// The least objective for a batch's service time, in ns, however tight the SLO is.
        SERVICE_OBJECTIVE_MIN_NS: u64 = 10_000, "ns";
        /// The weight of a batch that took longer than predicted, in the service time estimate.
        SERVICE_GAIN_UP: f64 = 1.0 / 2.0, "of the difference";
        /// The weight of a batch that was as fast as predicted or faster, in the same estimate.
        SERVICE_GAIN_DOWN: f64 = 1.0 / 8.0, "of the difference";
        /// The least variance of batch sizes, in rows squared, from which a cost per row is
        /// learned.
        SERVICE_SIZE_VARIANCE_MIN: f64 = 1e-3, "rows squared";
        /// Bits of a histogram bucket's position within its power of two: 7 means an error under
        /// 1/128.
        HISTOGRAM_PRECISION_BITS: u32 = 7, "bits";
        /// The longest time, in ns, that a histogram tells apart (68.7 s); all longer ones count as
        /// one.
        HISTOGRAM_TIME_MAX_NS: u64 = 1 << 36, "ns";
        /// The largest batch, in rows, that a histogram tells apart; all larger ones count as one.
        HISTOGRAM_BATCH_MAX_ROWS: u64 = 1 << 12, "rows";
    }
    "Policies" {
        /// The least η: slower than this, nothing is learned in a day.
        ETA_MIN: f64 = 1e-6, "per unit of loss";
        /// The largest η: one loss of 1 is then the end of a model's part.
        ETA_MAX: f64 = 10.0, "per unit of loss";
        /// The logarithm of the least weight that a model can have, so that no weight becomes 0.
        LOG_WEIGHT_MIN: f64 = -700.0, "nats";
        /// What an observation counts for at least, one observation later.
        DISCOUNT_MIN: f64 = 0.5, "of before";
        /// The same at most, where a belief is kept in cells: beyond, it is narrower than a cell.
        DISCOUNT_MAX: f64 = 0.999, "of before";
        /// Cells that a belief about a mean is kept in.
        POSTERIOR_CELLS: usize = 128, "cells";
        /// The least standard deviation of a loss that Gaussian beliefs are told.
        DEVIATION_MIN: f64 = 0.25, "of the range of a loss";
        /// The largest one: half of the losses are 0 and half are 1.
        DEVIATION_MAX: f64 = 0.5, "of the range of a loss";
        /// The most numbers of a context vector.
        CONTEXT_NUMBERS_MAX: usize = 16, "numbers";
        /// The largest α of LinUCB.
        ALPHA_MAX: f64 = 10.0, "deviations";
    }
    "Feedback" {
        /// The most bytes of the key of a context that is kept with a decision.
        DECISION_KEY_BYTES_MAX: usize = 64, "bytes";
        /// Slots of an index that are looked at for one decision. With half of them taken, a run of
        /// so many comes up once in 10^10 decisions.
        DECISION_PROBES_MAX: usize = 128, "slots";
    }
}

// What bounds what.
const _: () = {
    assert!(QUEUE_ROOM_PER_ROW >= 2, "looking for the dead must free as many as may live");
    assert!(1 << (RETRIES_MAX - 1) >= BATCH_MAX);
    assert!(FAILING_SHARE_PERCENT > 50, "half of the batches fail while a bad input is looked for");
    assert!(FAILED_PAUSE_NS_MIN > 0 && FAILED_PAUSE_NS_MIN <= FAILED_PAUSE_NS_MAX);
    assert!(RECOVERED_SHARE_PERCENT > 0 && RECOVERED_SHARE_PERCENT < 50);
    assert!(FAILING_SHARE_PERCENT < 100);
    assert!(REPLICAS_MAX <= REPLICAS_TOTAL_MAX);
    assert!(LINKS_MAX > 0 && LINKS_MAX <= u8::MAX as usize);
    assert!(AIMD_START_ROWS >= 1 && AIMD_STEP_ROWS >= 1);
    assert!(AIMD_BACK_OFF_PARTS >= 2 && AIMD_HEADROOM_PARTS >= 2);
    assert!(SERVICE_OBJECTIVE_MIN_NS >= AIMD_HEADROOM_PARTS);
    assert!(SERVICE_GAIN_DOWN > 0.0 && SERVICE_GAIN_DOWN <= SERVICE_GAIN_UP);
    assert!(SERVICE_GAIN_UP < 1.0);
    assert!(0.0 < ETA_MIN && ETA_MIN < ETA_MAX && LOG_WEIGHT_MIN < 0.0);
    assert!(0.0 < DISCOUNT_MIN && DISCOUNT_MIN <= DISCOUNT_MAX && DISCOUNT_MAX < 1.0);
    // A belief from `1 / (1 - discount)` answers is no narrower than a cell: its deviation is
    // `1 / (2 √answers)` and a cell `π / (2 cells)`; of a Gaussian one `deviation / √answers` and
    // `1 / cells`.
    let cells_squared = (POSTERIOR_CELLS * POSTERIOR_CELLS) as f64;
    assert!(cells_squared * (1.0 - DISCOUNT_MAX) >= std::f64::consts::PI * std::f64::consts::PI);
    assert!(0.0 < DEVIATION_MIN && DEVIATION_MIN <= DEVIATION_MAX && DEVIATION_MAX <= 0.5);
    assert!(cells_squared * (1.0 - DISCOUNT_MAX) * DEVIATION_MIN * DEVIATION_MIN >= 1.0);
    assert!(DECISION_KEY_BYTES_MAX <= u8::MAX as usize && DECISION_PROBES_MAX > 1);
    assert!(HISTOGRAM_TIME_MAX_NS.is_power_of_two());
    assert!(HISTOGRAM_BATCH_MAX_ROWS.is_power_of_two());
    assert!(HISTOGRAM_BATCH_MAX_ROWS >= 1 << (HISTOGRAM_PRECISION_BITS + 1));
};

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sound() {
        assert_eq!(cutter_limits::faults(super::TABLE), [""; 0]);
    }
}
