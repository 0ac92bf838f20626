//! The terminal: its mode, its keys, and drawing the page into it.
//!
//! Raw mode and the other screen are left again on every way out: at the end, on an error, and on a
//! panic (by the hook that `ratatui::try_init` sets).

use std::sync::mpsc;
use std::time::Duration;

use cutter_admin_api::Stats;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use ratatui::{DefaultTerminal, Frame};

use super::TopError;
use super::history::History;
use super::page::{self, View};
use crate::admin::{AdminClient, AdminError, poll_until};

/// How long a key may wait while nothing else happens.
const LOOK: Duration = Duration::from_millis(50);

/// Shows until `q`.
pub(super) fn run(client: AdminClient, period: Duration, coloured: bool) -> Result<(), TopError> {
    // Asked before the screen is taken, so that what goes wrong at once is told as usual.
    let first = client.stats()?;
    let (sender, answers) = mpsc::channel();
    let (stop, stopped) = mpsc::channel();
    let poller = std::thread::spawn(move || {
        poll_until(&stopped, period, || {
            // The screen may have ended; then this is about to end, too.
            let _ = sender.send(client.stats());
        });
    });
    let shown = ratatui::try_init().map_err(TopError::Terminal).and_then(|mut terminal| {
        let shown = Screen::new(client, first, coloured).show(&mut terminal, &answers);
        let restored = ratatui::try_restore().map_err(TopError::Terminal);
        shown.and(restored)
    });
    drop(stop);
    // It may still wait for a silent engine, and nobody should have to wait for that.
    drop(poller);
    shown
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    End,
    /// Move the page by so many lines.
    Move(i32),
    Nothing,
}

pub(super) fn deed_of(key: KeyEvent) -> Deed {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        _ if key.kind == KeyEventKind::Release => Deed::Nothing,
        KeyCode::Char('c') if control => Deed::End,
        KeyCode::Char('q') | KeyCode::Esc => Deed::End,
        KeyCode::Down | KeyCode::Char('j') => Deed::Move(1),
        KeyCode::Up | KeyCode::Char('k') => Deed::Move(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Deed::Move(10),
        KeyCode::PageUp => Deed::Move(-10),
        KeyCode::Home => Deed::Move(i32::from(i16::MIN)),
        _ => Deed::Nothing,
    }
}

#[derive(Debug)]
struct Screen {
    address: String,
    history: History,
    problem: Option<String>,
    coloured: bool,
    /// The first line of the page that is shown.
    first_line: u16,
}

impl Screen {
    fn new(client: AdminClient, first: Stats, coloured: bool) -> Self {
        Self {
            address: client.address().to_string(),
            history: History::new(first),
            problem: None,
            coloured,
            first_line: 0,
        }
    }

    fn show(
        &mut self,
        terminal: &mut DefaultTerminal,
        answers: &mpsc::Receiver<Result<Stats, AdminError>>,
    ) -> Result<(), TopError> {
        let mut changed = true;
        loop {
            if std::mem::take(&mut changed) {
                let view = View {
                    address: &self.address,
                    history: &self.history,
                    coloured: self.coloured,
                    problem: self.problem.as_deref(),
                };
                let mut first_line = self.first_line;
                terminal
                    .draw(|frame| first_line = draw(frame, &view, first_line))
                    .map_err(TopError::Terminal)?;
                self.first_line = first_line;
            }
            if event::poll(LOOK).map_err(TopError::Terminal)? {
                changed = true;
                if let Event::Key(key) = event::read().map_err(TopError::Terminal)? {
                    match deed_of(key) {
                        Deed::End => return Ok(()),
                        Deed::Move(lines) => self.scroll(lines),
                        Deed::Nothing => {}
                    }
                }
            }
            for answer in answers.try_iter() {
                changed = true;
                self.problem =
                    answer.map(|stats| self.history.push(stats)).err().map(|e| e.to_string());
            }
        }
    }

    fn scroll(&mut self, lines: i32) {
        let line = i32::from(self.first_line) + lines;
        self.first_line = u16::try_from(line.max(0)).unwrap_or(u16::MAX);
    }
}

/// Draws the page from `first_line` on, or from as far down as there is something. Says from where.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View<'_>, first_line: u16) -> u16 {
    let [body, foot] =
        Layout::vertical([Constraint::Fill(1), Constraint::Max(1)]).areas::<2>(frame.area());
    let lines = page::lines(view, body.width);
    let total = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let first_line = first_line.min(total.saturating_sub(body.height));
    let below = total.saturating_sub(first_line.saturating_add(body.height));
    frame.render_widget(Paragraph::new(lines).scroll((first_line, 0)), body);
    draw_foot(frame, foot, below);
    first_line
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, below: u16) {
    let text = match below {
        0 => "q ends".to_owned(),
        _ => format!("q ends   {below} more lines below: ↓"),
    };
    let style = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Paragraph::new(Line::styled(text, style)), area);
}
