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
        /// Entries of caches for whose leaders' ends room is kept: more take memory when they come.
        LEFT_OVER_RESERVED: usize = 4096, "entries";
        /// Drains that may be under way at one time.
        DRAINS_MAX: usize = APPLICATIONS_MAX + MODELS_MAX + REPLICAS_TOTAL_MAX as usize, "drains";
        /// The most that an answer that is due is decided before the deadline of its query.
        LEAD_NS_MAX: u64 = 1_000_000, "ns";
        /// It is also no more than one part in this many of the time that the query has.
        LEAD_PARTS: u64 = 20, "parts";
        /// Answers in a row that are handed over too late and raise it from nothing to the most.
        LEAD_STEPS: u64 = 64, "answers";
        /// Answers handed over by the deadline for each one that is not, where it stands still.
        LEAD_WITHIN: u64 = 99, "answers";
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
    "Forming batches" {
        /// A second batch is formed when the one that runs is predicted to end within this time:
        /// twice what the way to a replica and back takes in nearly all cases.
        JUST_IN_TIME_LEAD_NS: u64 = 100_000, "ns";
        /// Behind a batch that takes longer than so many leads, none is formed before it is back:
        /// the way costs less than one part in this many, and nothing waits behind a stall.
        JUST_IN_TIME_LEADS_MAX: u64 = 200, "leads";
        /// One that lets another go first on its core asks again after this time, if it is not
        /// asked before.
        TURN_RETRY_NS: u64 = 100_000, "ns";
        /// With one replica that could serve batches of so many rows in half of the SLO, all that
        /// waits goes together.
        WINDOW_ROWS_MIN: u32 = 30, "rows";
    }
    "Hedging" {
        /// The share of its batches that a replica is meant to finish before they count as late.
        HEDGE_QUANTILE: f64 = 0.95, "of its batches";
        /// How far a batch above all that is usual, and one that is not, are apart in moving the
        /// ratio of service time to prediction from which a batch is late.
        HEDGE_GAIN: f64 = 0.1, "nats";
        /// The ratio with which a replica starts.
        HEDGE_RATIO_START: f64 = 2.0, "of what was predicted";
        /// The largest ratio that is learned.
        HEDGE_RATIO_MAX: f64 = 64.0, "of what was predicted";
        /// Batches of a replica that must have come back before one of it can be late.
        HEDGE_HISTORY_MIN: u32 = 20, "batches";
        /// A batch that has run for no longer is never late: sending it twice costs as much as
        /// waiting.
        HEDGE_MIN_NS: u64 = 100_000, "ns";
        /// Calls that can be sent twice at one time at most, however many were not before.
        HEDGE_BURST_CALLS: f64 = 256.0, "calls";
    }
    "Warm-up" {
        /// How many times as many rows a probe has as the one before.
        WARM_UP_GROWTH: u32 = 2, "times";
        /// How long all probes of a warm-up but the first may take together: what is not learned
        /// by then is not worth the wait.
        WARM_UP_NS_MAX: u64 = 1_000_000_000, "ns";
    }
    "Batching and statistics" {
        /// The most queries in one batch.
        BATCH_MAX: u32 = 4096, "queries";
        /// The batch limit with which AIMD starts.
        AIMD_START: u32 = 1, "rows or bytes";
        /// What AIMD adds to the batch limit first where nothing is known; it doubles from there.
        AIMD_STEP: u32 = 2, "rows or bytes";
        /// AIMD backs off by one part in this many: 10 means that 0.9 of the limit remains.
        AIMD_BACK_OFF_PARTS: u32 = 10, "parts";
        /// AIMD rests where less than one part in this many of its limit is missing to the last
        /// batch that missed the objective.
        AIMD_REST_PARTS: u32 = 64, "parts";
        /// The most batches that AIMD rests before it looks beyond the last miss again.
        AIMD_PATIENCE_MAX: u32 = 64, "batches";
        /// Batches that the quantile of service times is found from.
        QUANTILE_BATCHES: usize = 64, "batches";
        /// Halvings of the range in which the slope of that quantile is looked for.
        QUANTILE_HALVINGS: u32 = 24, "halvings";
        /// It is looked for while the sizes of those batches differ by one part in this many.
        QUANTILE_SPREAD_PARTS: f64 = 16.0, "parts";
        /// Otherwise so much of it is forgotten with each batch.
        QUANTILE_SLOPE_FADE: f64 = 1.0 / 32.0, "of the slope";
        /// How far beyond the objective a quantile may be that keeps it: slopes are not exact.
        QUANTILE_TOLERANCE: f64 = 1e-5, "of the objective";
        /// The limit is at most one part in this many beyond the largest of those batches.
        QUANTILE_REACH_PARTS: f64 = 4.0, "parts";
        /// The least objective for a batch's service time, in ns, however tight the SLO is.
        SERVICE_OBJECTIVE_MIN_NS: u64 = 10_000, "ns";
        /// The weight of a batch in the service time estimate, when it has many.
        SERVICE_GAIN: f64 = 1.0 / 16.0, "of the difference";
        /// The cost per row or byte is learned as fast as the rest when the deviation of batch
        /// sizes is one part in this many of their mean, and the slower the less it is.
        SERVICE_SPREAD_PARTS: f64 = 16.0, "parts";
        /// A batch that takes so many times what its size usually takes is a stall, not a batch.
        SERVICE_STALL_TIMES: f64 = 1.5, "of what is usual";
        /// So many of them in a row are a trend.
        SERVICE_TREND_BATCHES: u8 = 3, "batches";
        /// What is known before a trend counts for so many batches after it.
        SERVICE_KNOWN_BATCHES: u32 = 4, "batches";
        /// What fades of the margin above the estimate, with each batch of its size.
        MARGIN_FADE: f64 = 1.0 / 32.0, "of the margin";
        /// The same of a margin as large as that of a stall.
        MARGIN_FADE_LARGE: f64 = 1.0 / 8.0, "of the margin";
        /// The same with each batch of another size.
        MARGIN_FADE_UNSERVED: f64 = 1.0 / 256.0, "of the margin";
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
    "Prediction cache" {
        /// The least memory of a model's cache.
        CACHE_BYTES_MIN: usize = 64 << 10, "bytes";
        /// The most memory of a model's cache.
        CACHE_BYTES_MAX: usize = 32 << 30, "bytes";
        /// An input or an output is kept if it takes one part in this many of the memory at most.
        CACHE_RECORD_PARTS: usize = 8, "parts";
        /// What an output is expected to take where the number of entries is decided.
        CACHE_EXPECTED_OUTPUT_BYTES: usize = 64, "bytes";
        /// Memory of a cache beyond what a processor's own caches keep: large inputs are written
        /// past those.
        CACHE_STREAMED_BYTES_MIN: usize = 16 << 20, "bytes";
        /// Inputs that are large in this sense.
        CACHE_STREAMED_INPUT_BYTES_MIN: usize = 1 << 10, "bytes";
        /// One part in this many of the memory is for calls that wait for another's output.
        CACHE_WAITERS_PARTS: usize = 64, "parts";
        /// The most calls that wait for outputs of others at one time.
        CACHE_WAITERS_MAX: usize = 1 << 16, "calls";
        /// Slots of the table of hashes, for each entry.
        CACHE_SLOTS_PER_ENTRY: usize = 2, "slots";
        /// Slots that are looked at for one hash. An input that finds none free is not kept.
        CACHE_PROBES_MAX: usize = 64, "slots";
        /// Bytes of what was used again that are spared while room is made for one record. The last
        /// one spared may exceed it.
        CACHE_SPARED_BYTES_MAX: usize = 32 << 10, "bytes";
        /// The least number of requests after which is judged whether a cache pays.
        CACHE_WINDOW_MIN: u32 = 1 << 10, "requests";
        /// The largest one. In between it is the number of entries.
        CACHE_WINDOW_MAX: u32 = 1 << 16, "requests";
        /// A cache pays if it saved one call at least in this many requests: a miss costs under
        /// 0.5 µs, a call more than 10 µs.
        CACHE_PAYS_PARTS: u32 = 32, "requests";
        /// Windows for which a cache that does not pay is off, before it is tried for one again.
        CACHE_OFF_WINDOWS: u32 = 15, "windows";
    }
    "Feedback" {
        /// Slots of an index that are looked at for one decision. With half of them taken, a run of
        /// so many comes up once in 10^10 decisions.
        DECISION_PROBES_MAX: usize = 128, "slots";
        /// How long an input may take to be evaluated again for feedback on it: long beside an SLO,
        /// so that queries come first.
        EVALUATION_NS: u64 = 1_000_000_000, "ns";
        /// Decisions whose time for feedback is over that are taken in one go.
        DECISIONS_EXPIRED_AT_ONCE: usize = 256, "decisions";
    }
    "Contexts" {
        /// Bytes of the key of a context.
        CONTEXT_KEY_BYTES_MAX: usize = 64, "bytes";
        /// Contexts of one application whose states are held in memory.
        CONTEXTS_HELD_MAX: u32 = 1 << 20, "contexts";
        /// Contexts that were used of late and are passed over, before one of those is given up.
        CONTEXT_CHANCES_MAX: u32 = 16, "contexts";
        /// Contexts of one application that the store may be asked for at one time. Beyond: the
        /// application's own state serves, and the context is asked for when it is next used.
        CONTEXT_LOADS_MAX: u32 = 4096, "contexts";
        /// Lessons of one application that wait for the states that they are about. Beyond: lost,
        /// and counted.
        CONTEXT_LESSONS_WAITING_MAX: u32 = 4096, "lessons";
        /// How long a state that has changed waits for further changes before it is handed to the
        /// store.
        CONTEXT_SAVE_WAIT_NS: u64 = 250_000_000, "ns";
        /// States that are handed to the store in one turn of the engine thread's loop, and those
        /// that it is asked for.
        CONTEXTS_OF_TURN_MAX: u32 = 64, "contexts";
    }
}

// What bounds what.
const _: () = {
    assert!(QUEUE_ROOM_PER_ROW >= 2, "looking for the dead must free as many as may live");
    assert!(1 << (RETRIES_MAX - 1) >= BATCH_MAX);
    assert!(LEAD_PARTS > 1 && LEAD_STEPS > 0 && LEAD_WITHIN > 0);
    assert!(LEAD_NS_MAX / LEAD_STEPS >= LEAD_WITHIN, "it must be able to shrink");
    assert!(FAILING_SHARE_PERCENT > 50, "half of the batches fail while a bad input is looked for");
    assert!(FAILED_PAUSE_NS_MIN > 0 && FAILED_PAUSE_NS_MIN <= FAILED_PAUSE_NS_MAX);
    assert!(0.5 <= HEDGE_QUANTILE && HEDGE_QUANTILE < 1.0 && 0.0 < HEDGE_GAIN && HEDGE_GAIN < 1.0);
    assert!(1.0 <= HEDGE_RATIO_START && HEDGE_RATIO_START <= HEDGE_RATIO_MAX);
    assert!(HEDGE_HISTORY_MIN > 0 && HEDGE_BURST_CALLS >= 1.0);
    assert!(RECOVERED_SHARE_PERCENT > 0 && RECOVERED_SHARE_PERCENT < 50);
    assert!(FAILING_SHARE_PERCENT < 100);
    assert!(REPLICAS_MAX <= REPLICAS_TOTAL_MAX);
    assert!(LINKS_MAX > 0 && LINKS_MAX <= u8::MAX as usize);
    assert!(WARM_UP_GROWTH >= 2 && WARM_UP_NS_MAX > 0);
    assert!(AIMD_START >= 1 && AIMD_STEP >= 1 && AIMD_BACK_OFF_PARTS >= 2);
    assert!(AIMD_REST_PARTS >= 1 && AIMD_PATIENCE_MAX >= 1);
    assert!(QUANTILE_BATCHES < 100, "of more, the 99th percentile leaves some above itself");
    assert!(0.0 < QUANTILE_SLOPE_FADE && QUANTILE_SLOPE_FADE < 1.0);
    assert!(0.0 < SERVICE_GAIN && SERVICE_GAIN < 1.0 && SERVICE_STALL_TIMES > 1.0);
    assert!(0.0 < MARGIN_FADE_UNSERVED && MARGIN_FADE_UNSERVED <= MARGIN_FADE);
    assert!(MARGIN_FADE <= MARGIN_FADE_LARGE && MARGIN_FADE_LARGE < 1.0);
    assert!(0.0 < ETA_MIN && ETA_MIN < ETA_MAX && LOG_WEIGHT_MIN < 0.0);
    assert!(0.0 < DISCOUNT_MIN && DISCOUNT_MIN <= DISCOUNT_MAX && DISCOUNT_MAX < 1.0);
    // A belief from `1 / (1 - discount)` answers is no narrower than a cell: its deviation is
    // `1 / (2 √answers)` and a cell `π / (2 cells)`; of a Gaussian one `deviation / √answers` and
    // `1 / cells`.
    let cells_squared = (POSTERIOR_CELLS * POSTERIOR_CELLS) as f64;
    assert!(cells_squared * (1.0 - DISCOUNT_MAX) >= std::f64::consts::PI * std::f64::consts::PI);
    assert!(0.0 < DEVIATION_MIN && DEVIATION_MIN <= DEVIATION_MAX && DEVIATION_MAX <= 0.5);
    assert!(cells_squared * (1.0 - DISCOUNT_MAX) * DEVIATION_MIN * DEVIATION_MIN >= 1.0);
    assert!(CONTEXT_KEY_BYTES_MAX <= u8::MAX as usize);
    assert!(CONTEXTS_HELD_MAX > 0 && CONTEXTS_HELD_MAX <= 1 << 31, "numbers below 32 bits");
    assert!(CONTEXT_CHANCES_MAX > 0 && CONTEXTS_OF_TURN_MAX > 0 && CONTEXT_LOADS_MAX > 0);
    assert!(HISTOGRAM_TIME_MAX_NS.is_power_of_two());
    assert!(HISTOGRAM_BATCH_MAX_ROWS.is_power_of_two());
    assert!(HISTOGRAM_BATCH_MAX_ROWS >= 1 << (HISTOGRAM_PRECISION_BITS + 1));
    assert!(CACHE_BYTES_MIN > 0 && CACHE_BYTES_MIN <= CACHE_BYTES_MAX);
    assert!(
        CACHE_BYTES_MAX / CACHE_RECORD_PARTS <= 1 << u32::BITS,
        "a record has 32 bits of bytes"
    );
    assert!(CACHE_RECORD_PARTS >= 2 && CACHE_WAITERS_PARTS >= 2 && CACHE_WAITERS_MAX > 0);
    assert!(CACHE_SLOTS_PER_ENTRY >= 2, "a slot must be free behind every run of taken ones");
    assert!(CACHE_PROBES_MAX > 0);
    assert!(CACHE_WINDOW_MIN >= CACHE_PAYS_PARTS && CACHE_WINDOW_MIN <= CACHE_WINDOW_MAX);
    assert!(CACHE_PAYS_PARTS > 1 && CACHE_OFF_WINDOWS > 0);
    assert!(CACHE_WINDOW_MAX.checked_mul(CACHE_OFF_WINDOWS).is_some());
};

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sound() {
        assert_eq!(cutter_limits::faults(super::TABLE), [""; 0]);
    }
}
