//! The fixed words under which things are counted: they appear in metrics and in answers.

/// Why a query got the default output instead of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No model is linked to the application.
    NoModel,
    /// No replica of the model is up yet.
    NotReady,
    /// A queue or a pool is full.
    Overloaded,
    /// The deadline passed, or would have passed.
    Late,
    /// The model failed on this query.
    ModelError,
    /// The server is ending.
    ShuttingDown,
    /// Too few of the linked models agree.
    Unsure,
}

impl Reason {
    /// All reasons, in the order of [`Reason::index`].
    pub const ALL: [Self; 7] = [
        Self::NoModel,
        Self::NotReady,
        Self::Overloaded,
        Self::Late,
        Self::ModelError,
        Self::ShuttingDown,
        Self::Unsure,
    ];

    /// Its place in [`Reason::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoModel => "no_model",
            Self::NotReady => "not_ready",
            Self::Overloaded => "overloaded",
            Self::Late => "late",
            Self::ModelError => "model_error",
            Self::ShuttingDown => "shutting_down",
            Self::Unsure => "unsure",
        }
    }
}

/// The stages of a query's way, each with a histogram of the time spent in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// From the complete request to the input in its row.
    Parse,
    /// From there until the query is taken into a batch.
    Queue,
    /// From there until the replica begins with the batch: it may have to finish another.
    BatchWait,
    /// From there until the batch's completion is seen.
    Service,
    /// From there until the answer is handed to the kernel.
    Reply,
}

impl Stage {
    /// All stages, in the order in which a query passes them.
    pub const ALL: [Self; 5] =
        [Self::Parse, Self::Queue, Self::BatchWait, Self::Service, Self::Reply];

    /// Its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Queue => "queue",
            Self::BatchWait => "batch_wait",
            Self::Service => "service",
            Self::Reply => "reply",
        }
    }
}

/// The HTTP statuses counted by themselves; any other counts as [`HTTP_STATUS_OTHER`].
pub const HTTP_STATUSES: [u16; 17] =
    [400, 404, 405, 408, 409, 411, 413, 414, 415, 417, 429, 431, 500, 501, 503, 504, 505];

/// The name of all other statuses.
pub const HTTP_STATUS_OTHER: &str = "other";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_stands_at_its_index() {
        assert_eq!(Reason::ALL.map(Reason::index), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn reasons_have_the_names_that_clients_see() {
        assert_eq!(
            Reason::ALL.map(Reason::as_str),
            [
                "no_model",
                "not_ready",
                "overloaded",
                "late",
                "model_error",
                "shutting_down",
                "unsure"
            ]
        );
    }

    #[test]
    fn stages_have_the_names_that_dashboards_see() {
        assert_eq!(
            Stage::ALL.map(Stage::as_str),
            ["parse", "queue", "batch_wait", "service", "reply"]
        );
    }
}

/// Why a batch was formed then, and no larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Why {
    /// The replica had nothing to do, and took all that waited.
    #[default]
    Idle,
    /// The batch before it was about to end.
    JustInTime,
    /// It had the size of the limit, and more waited.
    Full,
    /// More would have made its first query late.
    Deadline,
    /// Its first query had waited for others for as long as it may.
    WaitOver,
    /// Queries were given up so that those behind them are in time.
    LookAhead,
}

impl Why {
    /// All of them, in the order of [`Why::index`].
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::JustInTime, Self::Full, Self::Deadline, Self::WaitOver, Self::LookAhead];

    /// Its place in [`Why::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::JustInTime => "just_in_time",
            Self::Full => "full",
            Self::Deadline => "deadline",
            Self::WaitOver => "wait_over",
            Self::LookAhead => "look_ahead",
        }
    }
}
