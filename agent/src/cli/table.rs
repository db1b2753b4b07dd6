//! How are columns written? As kubectl does: no boxes, three blanks between columns, nothing behind the last one.

use crate::cli::paint::Paint;
use model::printable;

/// Blanks between columns.
const GAP: usize = 3;

/// Rows of cells below headers. Cells hold one line each: what a terminal would act on is escaped.
pub(crate) struct Table {
    headers: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Table {
    /// Makes a table without rows.
    pub(crate) fn new(headers: &[&'static str]) -> Self {
        let widths = headers.iter().map(|header| header.len()).collect();
        Self { headers: headers.to_vec(), rows: Vec::new(), widths }
    }

    /// Adds a row; an empty cell is written `-`, so that columns can be counted, but for the last one.
    pub(crate) fn push(&mut self, cells: &[String]) {
        let row = self.cells(cells);
        for (width, cell) in self.widths.iter_mut().zip(&row) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push(row);
    }

    /// Returns whether there are no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes headers and rows.
    pub(crate) fn text(&self, paint: Paint) -> String {
        let headers: Vec<String> = self.headers.iter().map(ToString::to_string).collect();
        let rows = self.rows.iter().map(|row| self.line(row, paint));
        std::iter::once(self.line(&headers, Paint::Plain)).chain(rows).collect()
    }

    /// Writes one more row in the columns as they are.
    pub(crate) fn row(&self, cells: &[String], paint: Paint) -> String {
        self.line(&self.cells(cells), paint)
    }

    fn cells(&self, cells: &[String]) -> Vec<String> {
        let last = self.headers.len().saturating_sub(1);
        let cell = |(place, cell): (usize, &String)| match cell.as_str() {
            "" if place != last => "-".to_owned(),
            text => printable(text).into_owned(),
        };
        cells.iter().enumerate().map(cell).collect()
    }

    fn line(&self, cells: &[String], paint: Paint) -> String {
        let mut line = String::new();
        let mut blanks = 0;
        for (cell, width) in cells.iter().zip(&self.widths) {
            if !cell.is_empty() {
                line.push_str(&" ".repeat(blanks));
                line.push_str(&paint.word(cell));
                blanks = 0;
            }
            blanks += width.saturating_sub(cell.chars().count()) + GAP;
        }
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(cells: &[&str]) -> Vec<String> {
        cells.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new(&["NAME", "SYNC", "MESSAGE"]);
        table.push(&cells(&["shop", "OutOfSync", "one"]));
        table.push(&cells(&["a-longer-name", "", ""]));
        assert_eq!(
            table.text(Paint::Plain),
            "NAME            SYNC        MESSAGE\n\
             shop            OutOfSync   one\n\
             a-longer-name   -\n"
        );
        assert_eq!(table.row(&cells(&["b", "Synced", "x"]), Paint::Plain), "b               Synced      x\n");
    }

    #[test]
    fn colours_do_not_shift_columns() {
        let mut table = Table::new(&["SYNC", "NAME"]);
        table.push(&cells(&["OutOfSync", "a"]));
        table.push(&cells(&["Synced", "b"]));
        assert_eq!(
            table.text(Paint::Colours),
            "SYNC        NAME\n\u{1b}[33mOutOfSync\u{1b}[0m   a\n\u{1b}[32mSynced\u{1b}[0m      b\n"
        );
    }

    #[test]
    fn a_cell_forges_neither_lines_nor_colours() {
        let mut table = Table::new(&["NAME", "MESSAGE"]);
        table.push(&cells(&["shop", "bad\nshop   Synced\u{1b}[2J\u{202e}x"]));
        assert_eq!(
            table.text(Paint::Plain),
            "NAME   MESSAGE\nshop   bad\\nshop   Synced\\u{1b}[2J\\u{202e}x\n"
        );
    }
}
