//! Tables that read the same in a terminal and in Markdown, and numbers as people read them.

/// A table under construction: a head and rows of the same width.
pub struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with these column titles.
    pub fn new(titles: [&str; COLUMNS]) -> Self {
        Self { rows: vec![titles.map(str::to_owned)] }
    }

    /// Adds a row.
    pub fn add(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells);
    }

    /// The table with padded columns, each line ended.
    pub fn render(&self) -> String {
        let widths: [usize; COLUMNS] =
            std::array::from_fn(|column| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            push_line(&mut text, row, widths);
            if index == 0 {
                push_line(&mut text, &widths.map(|width| "-".repeat(width)), widths);
            }
        }
        text
    }
}

fn push_line<const COLUMNS: usize>(text: &mut String, cells: &[String; COLUMNS], widths: [usize; COLUMNS]) {
    for (cell, width) in cells.iter().zip(widths) {
        text.push_str(&format!("| {cell:width$} "));
    }
    text.push_str("|\n");
}

/// A whole number with commas between thousands.
pub fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_padded_to_the_widest_cell() {
        let mut table = Table::new(["a", "long"]);
        table.add(["×××".into(), "1".into()]);
        assert_eq!(table.render(), "| a   | long |\n| --- | ---- |\n| ××× | 1    |\n");
    }

    #[test]
    fn thousands_are_grouped() {
        for (value, text) in [(0.0, "0"), (999.4, "999"), (1000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(grouped(value), text);
        }
    }
}
