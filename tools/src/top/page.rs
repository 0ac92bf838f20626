//! What is shown, as lines of text with styles, for a width. Pure.
//!
//! Lines that are too long are broken between figures, and columns that do not fit are left out,
//! the least important first. So the page is right at any width; the screen cuts it at its height.

use cutter_admin_api::Histogram;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::history::{History, Windows};
use crate::admin::arms::NONE;
use crate::admin::words::{byte_rate, figure, left, right, time};
use crate::admin::{ApplicationWindow, CallsPerQuery, ModelWindow, ReplicaWindow, Window};
use crate::limits::TOP_SAMPLES_BEYOND;
use crate::text::counted;

const LEVELS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const BAR_COLUMNS: usize = 12;
pub(super) const INDENT: usize = 2;
const GAP: usize = 3;
/// A utilisation from which on queues grow fast.
const NEARLY_FULL: f64 = 0.9;

/// What a page is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) address: &'a str,
    pub(super) history: &'a History,
    pub(super) coloured: bool,
    /// Why the last question was not answered.
    pub(super) problem: Option<&'a str>,
}

/// The page for a width.
pub(super) fn lines(view: &View<'_>, columns: u16) -> Vec<Line<'static>> {
    let ink = Ink { coloured: view.coloured, columns: usize::from(columns) };
    let mut page = ink.head(view);
    if let Some(windows) = view.history.windows() {
        for (index, app) in windows.period.applications.iter().enumerate() {
            page.extend(ink.application(view.history, windows, index, app));
        }
        for (model, recent) in windows.period.models.iter().zip(&windows.recent.models) {
            page.extend(ink.model(model, recent));
        }
    } else {
        page.push(Line::default());
        page.push(Line::styled("  waiting for the second answer", ink.dim()));
    }
    page
}

/// The page without any style.
pub(super) fn text(view: &View<'_>, columns: u16) -> String {
    let plain = |line: Line<'_>| {
        let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
        format!("{}\n", text.trim_end())
    };
    lines(view, columns).into_iter().map(plain).collect()
}

/// One figure with its name, which is not broken apart.
pub(super) type Figure = Vec<Span<'static>>;

/// How a page is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink {
    coloured: bool,
    columns: usize,
}

impl Ink {
    fn head(self, view: &View<'_>) -> Vec<Line<'static>> {
        let engine = &view.history.latest().engine;
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let identity = vec![
            vec![Span::styled(format!("cutter {}", engine.version), bold)],
            vec![Span::raw(format!("at {}", view.address))],
            self.named("up", time(engine.uptime_ns)),
            self.counted(engine.connections.to_string(), "connections"),
        ];
        let mut head = self.flow(0, identity);
        if let Some(Windows { period, .. }) = view.history.windows() {
            head.extend(self.flow(0, self.traffic(period)));
        }
        if let Some(problem) = view.problem {
            head.push(Line::styled(problem.to_owned(), self.bad()));
        }
        head
    }

    fn traffic(self, period: &Window) -> Vec<Figure> {
        let calls = period.calls_per_query.map(|calls| {
            let CallsPerQuery { enter, yielded, wake } = calls;
            format!("{} enter, {} wake, {} yield", figure(enter), figure(wake), figure(yielded))
        });
        vec![
            self.counted(figure(period.query_qps), "queries/s"),
            self.named("calls a query", calls.unwrap_or_else(|| NONE.to_owned())),
            self.named("in", byte_rate(period.in_bytes_per_s)),
            self.named("out", byte_rate(period.out_bytes_per_s)),
        ]
    }

    fn application(
        self,
        history: &History,
        windows: &Windows,
        index: usize,
        app: &ApplicationWindow,
    ) -> Vec<Line<'static>> {
        let slo = format!("SLO {}", time(app.slo_ns));
        let mut lines = self.title(&format!("application {}", app.name), &slo);
        let mut rates = vec![
            self.named("queries", format!("{}/s", figure(app.query_qps))),
            self.named("predictions", format!("{}/s", figure(app.prediction_qps))),
            self.named("cancelled", format!("{}/s", figure(app.cancelled_qps))),
        ];
        let defaults: f64 = app.default_qps.iter().map(|(_, qps)| qps).sum();
        rates.push(self.named("defaults", format!("{}/s", figure(defaults))));
        rates.extend(app.default_qps.iter().map(|(reason, qps)| {
            let text = format!("{reason} {}/s", figure(*qps));
            vec![Span::styled(text, self.bad())]
        }));
        for (name, qps) in [
            ("answered after the deadline", app.late_qps),
            ("predictions dropped", app.dropped_qps),
        ] {
            if qps > 0.0 {
                let text = format!("{name} {}/s", figure(qps));
                rates.push(vec![Span::styled(text, self.bad())]);
            }
        }
        lines.extend(self.flow(INDENT, rates));
        let recent = &windows.recent.applications[index].end_to_end;
        let mut times = self.quantiles("end to end", recent, Some(app.slo_ns));
        let span = time(windows.recent.duration_ns);
        times.push(vec![Span::styled(format!("of the last {span}"), self.dim())]);
        lines.extend(self.flow(INDENT, times));
        let rows = app.rows_in_use as f64 / app.rows.max(1) as f64;
        let mut rows = vec![Span::styled("rows ", self.dim()), self.bar(rows)];
        rows.push(Span::raw(format!(" {} of {}", app.rows_in_use, app.rows)));
        lines.extend(self.flow(INDENT, vec![rows]));
        lines.extend(self.sparkline(history, index, app.slo_ns));
        let stats = history.latest();
        let selection = stats.applications.get(index).and_then(|app| app.selection.as_ref());
        lines.extend(selection.into_iter().flat_map(|it| self.selection(stats, it)));
        lines
    }

    /// The 99th percentiles of the last periods, as many as there is room for.
    fn sparkline(self, history: &History, index: usize, slo_ns: u64) -> Vec<Line<'static>> {
        let past = history.p99_ns(index);
        let label = "p99 of each period ";
        let room = self.columns.saturating_sub(INDENT + label.len()).max(1);
        let shown: Vec<Option<u64>> =
            past.range(past.len().saturating_sub(room)..).copied().collect();
        let Some(most_ns) = shown.iter().flatten().max().copied() else { return Vec::new() };
        let over = shown.iter().flatten().filter(|ns| **ns > slo_ns).count();
        let cell = |ns: Option<u64>| match ns {
            None => Span::raw(" "),
            Some(ns) => {
                let style = if ns > slo_ns { self.bad() } else { self.good() };
                Span::styled(level(ns, most_ns), style)
            }
        };
        let mut line = vec![Span::raw(" ".repeat(INDENT)), Span::styled(label, self.dim())];
        line.extend(shown.iter().map(|ns| cell(*ns)));
        let told = vec![
            self.named("highest", time(most_ns)),
            self.counted(format!("{over} of {}", shown.len()), "periods over the SLO"),
        ];
        [vec![Line::from(line)], self.flow(INDENT, told)].concat()
    }

    fn model(self, model: &ModelWindow, recent: &ModelWindow) -> Vec<Line<'static>> {
        let restarts = counted(model.restarts, "restart");
        let name = format!("model {}:{}", model.model, model.version);
        let mut lines = self.title(&name, &restarts);
        let mut figures = vec![
            self.named("queued", model.queued.to_string()),
            self.named("too late to be sent", format!("{}/s", figure(model.expired_qps))),
        ];
        let stages = [
            ("queue", &recent.queue),
            ("batch wait", &recent.batch_wait),
            ("service", &recent.service),
        ];
        for (name, times) in stages {
            let p99 = times.supported_quantile(0.99, TOP_SAMPLES_BEYOND);
            let p50 = times.supported_quantile(0.5, TOP_SAMPLES_BEYOND);
            let text = format!("{} / {}", time_or_none(p50), time_or_none(p99));
            figures.push(self.named(&format!("{name} p50 / p99"), text));
        }
        lines.extend(self.flow(INDENT, figures));
        lines.extend(self.failures(recent));
        let columns = fitting(self.columns.saturating_sub(INDENT));
        let header: Vec<String> = columns.iter().map(|column| column.title()).collect();
        let header = format!("{}{}", " ".repeat(INDENT), header.join(" "));
        lines.push(Line::styled(header, self.dim()));
        for (ordinal, replica) in model.replicas.iter().enumerate() {
            let mut cells = vec![Span::raw(" ".repeat(INDENT))];
            for (place, column) in columns.iter().enumerate() {
                cells.push(Span::raw(if place == 0 { "" } else { " " }));
                cells.push(self.cell(*column, ordinal, replica));
            }
            lines.push(Line::from(cells));
        }
        lines
    }

    /// Of a model whose batches fail; nothing else.
    fn failures(self, model: &ModelWindow) -> Vec<Line<'static>> {
        let failed_qps = model.failed_batch_qps + model.failed_item_qps;
        if model.failed_share == 0.0 && failed_qps == 0.0 {
            return Vec::new();
        }
        let rate = format!("failed batches {}/s", figure(model.failed_batch_qps));
        let items = format!("failed queries {}/s", figure(model.failed_item_qps));
        let share = format!("{:.0} % of the last", model.failed_share * 100.0);
        let told = [rate, items, share].map(|text| vec![Span::styled(text, self.bad())]);
        let mut lines = self.flow(INDENT, told.into());
        if let Some(error) = &model.last_error {
            let room = self.columns.saturating_sub(INDENT);
            let shown: String = error.chars().take(room).collect();
            lines.extend(self.flow(INDENT, vec![vec![Span::styled(shown, self.bad())]]));
        }
        lines
    }

    fn cell(self, column: Column, ordinal: usize, replica: &ReplicaWindow) -> Span<'static> {
        let width = column.width();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        let text = match column {
            Column::Number => ordinal.to_string(),
            Column::State => {
                let style = if replica.up { self.good() } else { self.bad() };
                return Span::styled(left(&replica.state, width), style);
            }
            Column::Bar => return self.bar(replica.utilisation),
            Column::Utilisation => format!("{:.0} %", replica.utilisation * 100.0),
            Column::Batch => or_none(replica.batch_mean.map(figure)),
            Column::Limit => replica.batch_limit.to_string(),
            Column::InFlight => replica.in_flight.to_string(),
            Column::Service => or_none(replica.service_mean_ns.map(whole_time)),
            Column::Batches => figure(replica.batch_qps),
            Column::Restarts => replica.restarts.to_string(),
        };
        Span::raw(right(&text, width))
    }

    fn quantiles(self, name: &str, times: &Histogram, slo_ns: Option<u64>) -> Vec<Figure> {
        let quantile = |(label, q): (&str, f64)| {
            let found = times.supported_quantile(q, TOP_SAMPLES_BEYOND);
            let late = found.zip(slo_ns).is_some_and(|(ns, slo_ns)| ns > slo_ns);
            let style = if late { self.bad() } else { Style::new() };
            let label = Span::styled(format!("{label} "), self.dim());
            vec![label, Span::styled(time_or_none(found), style)]
        };
        let quantiles = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map(quantile);
        let mut figures = vec![vec![Span::styled(name.to_owned(), self.dim())]];
        figures.extend(quantiles);
        figures
    }

    /// A full line with a name, a figure and a rule, below an empty one.
    fn title(self, name: &str, figure: &str) -> Vec<Line<'static>> {
        let used = name.chars().count() + figure.chars().count() + 4;
        let rule = "─".repeat(self.columns.saturating_sub(used));
        let title = vec![
            Span::styled(name.to_owned(), self.accent().add_modifier(Modifier::BOLD)),
            Span::styled(format!("  {figure}  "), self.dim()),
            Span::styled(rule, self.dim()),
        ];
        vec![Line::default(), Line::from(title)]
    }

    /// Figures one after another, in as many lines as they take.
    pub(super) fn flow(self, indent: usize, figures: Vec<Figure>) -> Vec<Line<'static>> {
        let mut lines: Vec<Line<'static>> = Vec::new();
        for figure in figures {
            let width: usize = figure.iter().map(Span::width).sum();
            match lines.last_mut() {
                Some(line) if line.width() + GAP + width <= self.columns => {
                    line.spans.push(Span::raw(" ".repeat(GAP)));
                    line.spans.extend(figure);
                }
                _ => {
                    let mut line = vec![Span::raw(" ".repeat(indent))];
                    line.extend(figure);
                    lines.push(Line::from(line));
                }
            }
        }
        lines
    }

    pub(super) fn named(self, name: &str, figure: String) -> Figure {
        vec![Span::styled(format!("{name} "), self.dim()), Span::raw(figure)]
    }

    fn counted(self, figure: String, name: &str) -> Figure {
        vec![Span::raw(figure), Span::styled(format!(" {name}"), self.dim())]
    }

    fn bar(self, share: f64) -> Span<'static> {
        let style = if share >= NEARLY_FULL { self.bad() } else { self.good() };
        Span::styled(bar(share), style)
    }

    fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn good(self) -> Style {
        self.coloured_as(Color::Green)
    }

    pub(super) fn bad(self) -> Style {
        self.coloured_as(Color::Red)
    }

    fn accent(self) -> Style {
        self.coloured_as(Color::Cyan)
    }

    fn coloured_as(self, color: Color) -> Style {
        if self.coloured { Style::new().fg(color) } else { Style::new() }
    }
}

/// A column of the table of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Number,
    State,
    Bar,
    Utilisation,
    Batch,
    Limit,
    InFlight,
    Service,
    Batches,
    Restarts,
}

impl Column {
    const ALL: [Self; 10] = [
        Self::Number,
        Self::State,
        Self::Bar,
        Self::Utilisation,
        Self::Batch,
        Self::Limit,
        Self::InFlight,
        Self::Service,
        Self::Batches,
        Self::Restarts,
    ];

    /// The most important first.
    const BY_IMPORTANCE: [Self; 10] = [
        Self::Number,
        Self::State,
        Self::Utilisation,
        Self::Service,
        Self::Batch,
        Self::Limit,
        Self::InFlight,
        Self::Restarts,
        Self::Bar,
        Self::Batches,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Number => "#",
            Self::State => "state",
            Self::Bar => "utilisation",
            Self::Utilisation => "busy",
            Self::Batch => "batch",
            Self::Limit => "limit",
            Self::InFlight => "in flight",
            Self::Service => "service",
            Self::Batches => "batches/s",
            Self::Restarts => "restarts",
        }
    }

    fn width(self) -> usize {
        match self {
            Self::Number => 3,
            Self::State => "not_connected".len(),
            Self::Bar => BAR_COLUMNS,
            Self::Utilisation | Self::Batch | Self::Limit => 5,
            Self::Service => "999 µs  ".chars().count(),
            Self::InFlight | Self::Batches | Self::Restarts => self.name().len(),
        }
    }

    fn title(self) -> String {
        match self {
            Self::State | Self::Bar => left(self.name(), self.width()),
            _ => right(self.name(), self.width()),
        }
    }
}

/// The columns for which there is room, in their order.
fn fitting(room: usize) -> Vec<Column> {
    let mut used = 0;
    let fits = |column: &Column| {
        used += column.width() + 1;
        used <= room + 1
    };
    let chosen: Vec<Column> = Column::BY_IMPORTANCE.into_iter().take_while(fits).collect();
    Column::ALL.into_iter().filter(|column| chosen.contains(column)).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1 of a few cells"
)]
fn bar(share: f64) -> String {
    let eighths = (share.clamp(0.0, 1.0) * (BAR_COLUMNS * 8) as f64).round() as usize;
    let (full, part) = (eighths / 8, EIGHTHS[eighths % 8]);
    let empty = BAR_COLUMNS - full - usize::from(!part.is_empty());
    format!("{}{part}{}", "█".repeat(full), "·".repeat(empty))
}

fn level(value: u64, most: u64) -> &'static str {
    let most = u128::from(most.max(1));
    LEVELS[(u128::from(value) * 7 / most).min(7) as usize]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean of times is a time"
)]
fn whole_time(ns: f64) -> String {
    time(ns as u64)
}

pub(super) fn time_or_none(ns: Option<u64>) -> String {
    ns.map_or_else(|| NONE.to_owned(), time)
}
