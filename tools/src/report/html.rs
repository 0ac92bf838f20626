//! The page around the charts. It is well-formed XML as well, so that tests can read it.

use std::fmt::Write;

use super::svg::{Drawing, escape};

const STYLE: &str = include_str!("style.css");

/// Up to this length, the text of a table's cell stays on one line.
const UNBROKEN_CHARACTERS_MAX: usize = 22;

/// A page as it grows.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    body: String,
    drawings: usize,
}

/// What a row's verdict looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Neutral,
}

impl Page {
    #[must_use]
    pub fn new(title: &str) -> Self {
        let (title, body) = (title.to_owned(), format!("<h1>{}</h1>\n", escape(title)));
        Self { title, body, drawings: 0 }
    }

    pub fn open_section(&mut self, heading: &str) {
        let _ = write!(self.body, "<section>\n<h2>{}</h2>\n", escape(heading));
    }

    pub fn close_section(&mut self) {
        self.body.push_str("</section>\n");
    }

    pub fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", escape(text));
    }

    /// A verdict in one word or few, and its reasons.
    pub fn verdict(&mut self, tone: Tone, verdict: &str, reasons: &[String]) {
        let (class, verdict) = (tone.class(), escape(verdict));
        let _ = writeln!(self.body, "<p class=\"verdict {class}\"><strong>{verdict}</strong></p>");
        self.list(class, reasons);
    }

    pub fn list(&mut self, class: &str, items: &[String]) {
        if !items.is_empty() {
            let items = items.iter().map(|item| format!("<li>{}</li>\n", escape(item)));
            let items: String = items.collect();
            let _ = write!(self.body, "<ul class=\"{class}\">\n{items}</ul>\n");
        }
    }

    /// A table; the first column names the row. A table without rows is absent.
    pub fn table(&mut self, caption: &str, head: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        let cells = |cells: &[String]| -> String {
            let mut cells = cells.iter().map(|cell| escape(cell));
            let first = cells.next().unwrap_or_default();
            let rest: String = cells.map(|cell| table_cell(&cell)).collect();
            format!("<tr><th scope=\"row\">{first}</th>{rest}</tr>\n")
        };
        let head: String =
            head.iter().map(|name| format!("<th scope=\"col\">{}</th>", escape(name))).collect();
        let head = if head.is_empty() {
            String::new()
        } else {
            format!("<thead><tr>{head}</tr></thead>\n")
        };
        let rows: String = rows.iter().map(|row| cells(row)).collect();
        let caption = escape(caption);
        let _ = write!(
            self.body,
            "<div class=\"scroll\"><table>\n<caption>{caption}</caption>\n{head}<tbody>\n{rows}\
             </tbody>\n</table></div>\n"
        );
    }

    /// Opens a row of tables beside each other, as far as they fit.
    pub fn open_row(&mut self) {
        self.body.push_str("<div class=\"row\">\n");
    }

    pub fn close_row(&mut self) {
        self.body.push_str("</div>\n");
    }

    /// Charts that have anything to show, each with words on how to read it.
    pub fn charts<const N: usize>(&mut self, charts: [(Option<Drawing>, &str); N]) {
        for (drawing, caption) in charts {
            let Some(drawing) = drawing else { continue };
            self.drawings += 1;
            let svg = drawing.finish(&format!("chart-{}", self.drawings));
            let title = escape(&drawing.title);
            let caption = match caption {
                "" => String::new(),
                _ => format!("<figcaption>{}</figcaption>\n", escape(caption)),
            };
            let _ = write!(
                self.body,
                "<figure>\n<h3>{title}</h3>\n<div class=\"scroll\">{svg}</div>{caption}</figure>\n"
            );
        }
    }

    #[must_use]
    pub fn finish(&self) -> String {
        let (title, body) = (escape(&self.title), &self.body);
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <meta name=\"color-scheme\" content=\"light dark\"/>\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
             <body>\n<main>\n{body}</main>\n</body>\n</html>\n"
        )
    }
}

/// A number shall not be parted from its unit; sentences and paths may be.
fn table_cell(text: &str) -> String {
    if text.chars().count() <= UNBROKEN_CHARACTERS_MAX {
        format!("<td class=\"short\">{text}</td>")
    } else {
        format!("<td>{text}</td>")
    }
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Neutral => "neutral",
        }
    }
}
