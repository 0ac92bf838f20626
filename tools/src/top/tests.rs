//! The page and the screen, drawn without a terminal.

use std::ffi::OsStr;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use serde_json::{Value, json};

use super::history::History;
use super::page::{self, View};
use super::screen::{Deed, deed_of, draw};
use super::*;
use crate::admin::testing::{answering_each, busy_json, choosing_json, http, stats_json, stats_of};

/// Twelve half seconds of a busy server; `change` is made to the last answer.
fn history(change: impl FnOnce(&mut Value)) -> History {
    let mut history = History::new(stats_of(stats_json()));
    (1..12).for_each(|number| history.push(stats_of(busy_json(number))));
    let mut last = busy_json(12);
    change(&mut last);
    history.push(stats_of(last));
    history
}

fn view(history: &History) -> View<'_> {
    View { address: "127.0.0.1:1338", history, coloured: true, problem: None }
}

fn drawn(view: &View<'_>, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| assert_eq!(draw(frame, view, 0), 0)).unwrap();
    terminal.backend().buffer().clone()
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let text = |row: &[ratatui::buffer::Cell]| row.iter().map(|cell| cell.symbol()).collect();
    buffer.content.chunks(width).map(text).collect()
}

#[track_caller]
fn assert_holds(text: &str, wanted: &[&str]) {
    let missing: Vec<_> = wanted.iter().filter(|wanted| !text.contains(**wanted)).collect();
    assert!(missing.is_empty(), "{missing:?} in\n{text}");
}

#[test]
fn a_page_shows_every_figure_that_is_asked_for() {
    let text = page::text(&view(&history(|_| {})), 100);
    assert_holds(
        &text,
        &[
            "cutter 0.1.0   at 127.0.0.1:1338   up 6.50 s   3 connections",
            "2000 queries/s   calls a query 2.00 enter, 0.10 wake, 0.40 yield   in 6.00 MB/s",
            "application digits  SLO 20.0 ms  ───",
            "queries 2000/s   predictions 1960/s   cancelled 0/s   defaults 40.0/s   late 40.0/s",
            "end to end   p50 1.00 ms   p99 10.0 ms   p99.9 10.0 ms   of the last 6.00 s",
            "rows ███········· 1024 of 4096",
            "p99 of each period ████████████",
            "highest 10.0 ms   0 of 12 periods over the SLO",
            "model softmax:1  1 restart  ───",
            "queued 7",
            "service p50 / p99 600 µs / 6.00 ms",
            "  0 up            ██████······  50 %  4.00     8         2",
            "  1 backing_off   ············   0 %     –     8         0",
        ],
    );
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_model_that_fails_says_so_in_red_and_within_the_width() {
    let failing = |stats: &mut Value| {
        let model = &mut stats["models"][0];
        model["batches_failed"] = json!(245);
        model["items_failed"] = json!(900);
        model["failed_share"] = json!(0.9);
        model["last_error"] = json!("no weights ".repeat(20));
        let digits = &mut stats["applications"][0];
        digits["late"] = json!(30);
        digits["predictions_dropped"] = json!(60);
    };
    let history = history(failing);
    let shown = page::text(&view(&history), 100);
    assert_holds(&shown, &["failed batches ", "90 % of the last", "  no weights no weights"]);
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    let buffer = drawn(&view(&history), 100, 40);
    let red = buffer.content.iter().filter(|cell| cell.fg == Color::Red);
    let red: String = red.map(|cell| cell.symbol()).collect();
    let told =
        ["failed queries ", "90 % of the last", "no weights", "after the deadline", "dropped"];
    assert_holds(&red, &told);
}

#[test]
fn a_policy_is_shown_with_what_it_makes_of_each_of_its_models() {
    let mut earlier = choosing_json();
    earlier["at_ns"] = json!(1_000_000_000);
    let mut history = History::new(stats_of(earlier));
    history.push(stats_of(choosing_json()));
    let shown = page::text(&view(&history), 120);
    assert_holds(
        &shown,
        &[
            "  policy exp3, apprentice   right and in time 77.5 %   regret −2.50   feedback",
            "feedback 25.0 %   after 2.00 ms",
            "confidence 75.0 %   would have agreed 80.0 %   would have earned 90.0 %",
            "  arm softmax:1   weight 0.600   share 75.0 %   reward 0.800 (0.721 to 0.879)",
            "agrees 75.0 %   stragglers 10",
            "  arm trees:1     weight 0.400   share 25.0 %   reward –   cached 40.0 %, off",
            "taken out   predicted late 7",
        ],
    );
    assert!(!page::text(&view(&self::history(|_| {})), 120).contains("policy"));
    let widest = |text: String| text.lines().map(|line| line.chars().count()).max();
    assert!(widest(page::text(&view(&history), 50)) <= Some(50));
}

#[test]
fn quantiles_that_the_samples_cannot_support_are_not_shown() {
    let mut history = History::new(stats_of(stats_json()));
    let mut few = busy_json(1);
    few["applications"][0]["end_to_end"] = json!({
        "count": 100, "sum": 100, "max": 9, "buckets": [[1, 100]],
    });
    history.push(stats_of(few));
    assert_holds(&page::text(&view(&history), 100), &["p50 1 ns   p99 –   p99.9 –"]);
}

#[test]
fn what_is_over_the_slo_is_red_and_counted() {
    let history = history(|stats| stats["applications"][0]["slo_ns"] = json!(5_000_000));
    let view = view(&history);
    let buffer = drawn(&view, 100, 40);
    assert_holds(&page::text(&view, 100), &["12 of 12 periods over the SLO"]);
    let red = buffer.content.iter().filter(|cell| cell.fg == Color::Red);
    let red: String = red.map(|cell| cell.symbol()).collect();
    assert_holds(&red, &["late 40.0/s", "10.0 ms", "████████████", "backing_off"]);
}

#[test]
fn without_colours_nothing_is_coloured() {
    let history = history(|_| {});
    let buffer = drawn(&View { coloured: false, ..view(&history) }, 100, 40);
    assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert!([None, Some("")].iter().all(|set| is_coloured(set.map(OsStr::new))));
    assert!(!is_coloured(Some(OsStr::new("1"))));
}

#[test]
fn an_engine_that_is_silent_is_told_with_its_last_figures() {
    let history = history(|_| {});
    let view = View { problem: Some("no admin port at 127.0.0.1:1338"), ..view(&history) };
    let rows = rows(&drawn(&view, 100, 40));
    assert_holds(&rows.join("\n"), &["no admin port at 127.0.0.1:1338", "queries 2000/s"]);
}

#[test]
fn the_first_page_waits() {
    let history = History::new(stats_of(stats_json()));
    assert_holds(&page::text(&view(&history), 100), &["waiting for the second answer"]);
}

#[test]
fn every_size_can_be_drawn() {
    let history = history(|_| {});
    let draw = |width, height| drop(drawn(&view(&history), width, height));
    // All that are small, and of the others every width and every height.
    (1..30).for_each(|width| (1..12).for_each(|height| draw(width, height)));
    (30..130).for_each(|width| [1, 11, 29].into_iter().for_each(|height| draw(width, height)));
    (12..30).for_each(|height| [1, 60, 129].into_iter().for_each(|width| draw(width, height)));
}

#[test]
fn a_narrow_page_keeps_its_lines_within_the_width_and_the_important_columns() {
    let history = history(|_| {});
    let text = page::text(&view(&history), 50);
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 50, "{widest}\n{text}");
    assert_holds(
        &text,
        &["  # state          busy batch limit  service", "  0 up             50 %"],
    );
    assert!(!text.contains("batches/s"), "{text}");
}

#[test]
fn a_low_screen_says_how_much_is_below_and_scrolls_no_further_than_the_end() {
    let history = history(|_| {});
    let (view, mut terminal) = (view(&history), Terminal::new(TestBackend::new(100, 8)).unwrap());
    terminal.draw(|frame| assert_eq!(draw(frame, &view, 0), 0)).unwrap();
    let top = rows(terminal.backend().buffer());
    assert!(top[7].starts_with("q ends") && top[7].contains("more lines below"), "{top:?}");
    let mut from = 0;
    terminal.draw(|frame| from = draw(frame, &view, u16::MAX)).unwrap();
    let bottom = rows(terminal.backend().buffer());
    assert!(bottom[6].contains("backing_off") && bottom[7].trim() == "q ends", "{bottom:?}");
    assert_eq!(usize::from(from), page::lines(&view, 100).len() - 7);
}

#[test]
fn q_escape_and_control_c_end_it_and_arrows_move() {
    let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    let ends = [key(KeyCode::Char('q')), key(KeyCode::Esc), control_c].map(deed_of);
    assert_eq!(ends, [Deed::End; 3]);
    let moves = [KeyCode::Down, KeyCode::Up, KeyCode::Char('c')].map(|code| deed_of(key(code)));
    assert_eq!(moves, [Deed::Move(1), Deed::Move(-1), Deed::Nothing]);
}

#[test]
fn once_asks_twice_and_prints_what_came_between() {
    let answers = [stats_json(), busy_json(1)].map(|stats| http(200, &stats.to_string()));
    let text = answering_each(answers.into(), |client| once(client, Duration::ZERO).unwrap());
    assert_holds(&text, &["queries 2000/s", "p99 10.0 ms"]);
}

#[test]
fn a_period_out_of_range_is_refused() {
    use clap::{Args, FromArgMatches};
    let command = || TopOptions::augment_args(clap::Command::new("top"));
    let parsed = command().try_get_matches_from(["top", "--period-ms", "50"]).unwrap();
    let options = TopOptions::from_arg_matches(&parsed).unwrap();
    assert_eq!(
        (options.period_ms, options.admin.as_str(), options.once),
        (50, ADMIN_DEFAULT, false)
    );
    assert!(command().try_get_matches_from(["top", "--period-ms", "49"]).is_err());
}
