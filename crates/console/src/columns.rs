//! Text in aligned columns.

use comfy_table::{Row, Table, presets};

/// Rows as lines of aligned columns, without lines between them.
pub fn align<R: Into<Row>>(header: Option<Row>, rows: impl IntoIterator<Item = R>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(header) = header {
        table.set_header(header);
    }
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}
