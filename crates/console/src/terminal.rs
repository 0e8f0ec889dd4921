//! The terminal that progress bars are drawn on. It may go away at any time; drawing then does nothing.

use std::io;

use console::Term;
use indicatif::TermLike;

/// Standard error as a terminal whose failures nobody has to handle: indicatif panics at an error of its terminal, such as the EIO
/// of one that was closed (`MultiState::suspend` unwraps it).
#[derive(Debug)]
pub(crate) struct LastingTerminal(Term);

impl LastingTerminal {
    pub(crate) fn stderr() -> Self {
        Self(Term::buffered_stderr())
    }
}

/// Makes a failure to draw none.
#[expect(clippy::unnecessary_wraps, reason = "the trait's methods may fail")]
fn drawn(_: io::Result<()>) -> io::Result<()> {
    Ok(())
}

impl TermLike for LastingTerminal {
    fn width(&self) -> u16 {
        self.0.size().1
    }

    fn height(&self) -> u16 {
        self.0.size().0
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        drawn(self.0.move_cursor_up(lines))
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        drawn(self.0.move_cursor_down(lines))
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        drawn(self.0.move_cursor_right(columns))
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        drawn(self.0.move_cursor_left(columns))
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        drawn(self.0.write_line(line))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        drawn(self.0.write_str(text))
    }

    fn clear_line(&self) -> io::Result<()> {
        drawn(self.0.clear_line())
    }

    fn flush(&self) -> io::Result<()> {
        drawn(self.0.flush())
    }
}
