//! Small tables for the eye.

/// Prints a table: a title, what the columns are, and the rows.
pub fn print<const N: usize>(title: &str, columns: [&str; N], rows: &[[String; N]]) {
    let mut widths = columns.map(|column| column.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    println!("\n{title}");
    let line = |cells: [&str; N]| {
        let mut text = String::new();
        for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
            // The first column says what it is about, the others are numbers.
            let cell = if place == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            text.push_str("  ");
            text.push_str(&cell);
        }
        println!("{}", text.trim_end());
    };
    line(columns);
    for row in rows {
        line(row.each_ref().map(String::as_str));
    }
}

/// How many times `of` fits into `value`, as `1.5 x`.
pub fn ratio(value: f64, of: f64) -> String {
    format!("{:.2} x", value / of)
}
