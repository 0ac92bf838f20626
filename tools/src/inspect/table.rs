//! Text in columns, each as wide as its widest cell.

use crate::admin::words::left;

const GAP: &str = "  ";

/// A title, names of columns, and rows.
#[derive(Debug)]
pub(super) struct Table {
    title: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(title: &'static str, columns: &[&str]) -> Self {
        Self { title, rows: vec![columns.iter().map(|name| (*name).to_owned()).collect()] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// An empty line, the title, and the columns, indented.
    pub(super) fn text(&self) -> String {
        let mut text = format!("\n{}\n", self.title);
        if self.rows.len() == 1 {
            return text + GAP + "nothing\n";
        }
        let width_of = |cell: &String| cell.chars().count();
        let columns = 0..self.rows[0].len();
        let column = |at: usize| self.rows.iter().filter_map(move |row| row.get(at));
        let widths: Vec<usize> =
            columns.map(|at| column(at).map(width_of).max().unwrap_or(0)).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| left(cell, *width));
            let line = cells.fold(String::new(), |line, cell| line + GAP + &cell);
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}
