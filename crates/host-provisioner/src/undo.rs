//! Undoing what a creation made, from its record alone.

/// What undo did, and what it could not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoReport {
    remains: Vec<String>,
}

impl UndoReport {
    /// What may remain, by id or token.
    pub fn remains(&self) -> Vec<String> {
        self.remains.clone()
    }
}
