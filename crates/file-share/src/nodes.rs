//! What the other side knows: a table of nodes, each a file with the hard links by which it was seen. No descriptors.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use rustix::io::Errno;

use crate::tree::Identity;

/// The number of the shared folder itself (`FUSE_ROOT_ID`).
pub(crate) const ROOT: u64 = 1;

/// Folders above a file, at most. A path has no more, since each takes two bytes of 4,096 from the kernel; here it ends a search among
/// links of which some are out of date.
const MAX_DEPTH: usize = 2048;

/// Hard links to a file that are remembered: it has more only where somebody means to fill this table, or is found by its others.
const MAX_LINKS: usize = 16;

/// A name in a known folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HardLink {
    pub(crate) parent: u64,
    pub(crate) name: Arc<[u8]>,
}

#[derive(Debug)]
struct Node {
    identity: Identity,
    /// The latest last. A folder has one.
    links: Vec<HardLink>,
    /// How often the other side was told of it, and has not forgotten it.
    lookups: u64,
    /// Links that name it as their folder.
    children: usize,
    /// Numbers of its open files.
    open: Vec<u64>,
    /// Its last name was removed.
    is_gone: bool,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: HashMap<u64, Node>,
    numbers: HashMap<Identity, u64>,
    next: u64,
    max: usize,
}

impl Nodes {
    /// A table that knows the shared folder. Numbers begin at `first`: those of a table before this one must mean nothing to it.
    pub(crate) fn new(root: Identity, first: u64, max: usize) -> Self {
        let node =
            Node { identity: root, links: Vec::new(), lookups: 1, children: 0, open: Vec::new(), is_gone: false };
        Self { nodes: HashMap::from([(ROOT, node)]), numbers: HashMap::from([(root, ROOT)]), next: first, max }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The file of a number. A number that was never given out is [stale](Errno::STALE).
    pub(crate) fn identity(&self, node: u64) -> Result<Identity, Errno> {
        self.nodes.get(&node).map(|node| node.identity).ok_or(Errno::STALE)
    }

    /// The number of a file that is known.
    pub(crate) fn number(&self, identity: Identity) -> Option<u64> {
        self.numbers.get(&identity).copied()
    }

    /// A file was seen by a link, and the other side is told of it.
    pub(crate) fn seen(&mut self, identity: Identity, parent: u64, name: &[u8]) -> Result<u64, Errno> {
        let number = match self.numbers.get(&identity) {
            Some(number) => *number,
            None if self.nodes.len() >= self.max => return Err(Errno::NFILE),
            None => {
                let number = self.next;
                self.next += 1;
                let (links, open) = (Vec::new(), Vec::new());
                self.nodes.insert(number, Node { identity, links, lookups: 0, children: 0, open, is_gone: false });
                self.numbers.insert(identity, number);
                number
            }
        };
        self.add_link(number, parent, name);
        if let Some(node) = self.nodes.get_mut(&number) {
            node.lookups = node.lookups.saturating_add(1);
            node.is_gone = false;
        }
        Ok(number)
    }

    /// Makes a link the latest of a node.
    fn add_link(&mut self, number: u64, parent: u64, name: &[u8]) {
        if number == ROOT || !self.nodes.contains_key(&parent) {
            return;
        }
        let Some(node) = self.nodes.get_mut(&number) else { return };
        if node.links.last().is_some_and(|link| link.parent == parent && *link.name == *name) {
            return;
        }
        let before = match node.links.iter().position(|link| link.parent == parent && *link.name == *name) {
            Some(known) => {
                let link = node.links.remove(known);
                node.links.push(link);
                return;
            }
            None if node.identity.is_folder => std::mem::take(&mut node.links),
            None if node.links.len() >= MAX_LINKS => vec![node.links.remove(0)],
            None => Vec::new(),
        };
        node.links.push(HardLink { parent, name: name.into() });
        if let Some(parent) = self.nodes.get_mut(&parent) {
            parent.children += 1;
        }
        self.left(before);
    }

    /// Links that are no longer.
    fn left(&mut self, links: Vec<HardLink>) {
        let mut left: Vec<u64> = links.into_iter().map(|link| link.parent).collect();
        while let Some(number) = left.pop() {
            if let Some(parent) = self.nodes.get_mut(&number) {
                parent.children = parent.children.saturating_sub(1);
                left.extend(self.drop_unused(number).into_iter().map(|link| link.parent));
            }
        }
    }

    /// Removes a node that nobody knows, and returns its links.
    fn drop_unused(&mut self, number: u64) -> Vec<HardLink> {
        match self.nodes.entry(number) {
            Entry::Occupied(node) if number != ROOT && node.get().lookups == 0 && node.get().children == 0 => {
                let node = node.remove();
                self.numbers.remove(&node.identity);
                node.links
            }
            _ => Vec::new(),
        }
    }

    /// A file that is known was found by a link.
    pub(crate) fn found(&mut self, identity: Identity, parent: u64, name: &[u8]) {
        if let Some(number) = self.number(identity) {
            self.add_link(number, parent, name);
        }
    }

    /// The folder where a file was seen last.
    pub(crate) fn parent(&self, number: u64) -> Option<u64> {
        self.nodes.get(&number)?.links.last().map(|link| link.parent)
    }

    /// The hard links to a file.
    pub(crate) fn links(&self, number: u64) -> &[HardLink] {
        self.nodes.get(&number).map_or(&[], |node| &node.links)
    }

    /// The numbers of all files.
    pub(crate) fn all(&self) -> Vec<u64> {
        self.nodes.keys().copied().collect()
    }

    /// A name was removed, or found to be another file's; `last` says that the file has no other.
    pub(crate) fn unseen(&mut self, identity: Identity, parent: u64, name: &[u8], last: bool) {
        let Some(node) = self.number(identity).and_then(|number| self.nodes.get_mut(&number)) else { return };
        node.is_gone |= last;
        if let Some(known) = node.links.iter().position(|link| link.parent == parent && *link.name == *name) {
            let link = node.links.remove(known);
            self.left(vec![link]);
        }
    }

    /// A file was renamed.
    pub(crate) fn moved(&mut self, identity: Identity, from: (u64, &[u8]), to: (u64, &[u8])) {
        let Some(number) = self.number(identity) else { return };
        // The new link first: a folder that only this file holds in the table must not be dropped in between.
        self.add_link(number, to.0, to.1);
        if from != to {
            self.unseen(identity, from.0, from.1, false);
        }
    }

    /// The other side forgot a node so many times. Returns the file, if it is gone for good.
    pub(crate) fn forget(&mut self, number: u64, times: u64) -> Option<Identity> {
        let node = self.nodes.get_mut(&number)?;
        if number == ROOT {
            return None;
        }
        node.lookups = node.lookups.saturating_sub(times);
        let (identity, is_gone) = (node.identity, node.is_gone);
        let links = self.drop_unused(number);
        self.left(links);
        (is_gone && !self.nodes.contains_key(&number)).then_some(identity)
    }

    /// An open file of a node.
    pub(crate) fn opened(&mut self, number: u64, handle: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.open.push(handle);
        }
    }

    pub(crate) fn closed(&mut self, number: u64, handle: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.open.retain(|open| *open != handle);
        }
    }

    /// The open files of a node.
    pub(crate) fn open(&self, number: u64) -> &[u64] {
        self.nodes.get(&number).map_or(&[], |node| &node.open)
    }

    /// The paths from the shared folder to a file, the likeliest first: names of folders, and its own.
    pub(crate) fn paths(&self, number: u64) -> Result<Vec<Vec<Arc<[u8]>>>, Errno> {
        if number == ROOT {
            return Ok(vec![Vec::new()]);
        }
        let node = self.nodes.get(&number).ok_or(Errno::STALE)?;
        Ok(node.links.iter().rev().filter_map(|link| self.path(link)).collect())
    }

    fn path(&self, link: &HardLink) -> Option<Vec<Arc<[u8]>>> {
        let mut names = vec![link.name.clone()];
        let mut at = link.parent;
        while at != ROOT {
            let link = self.nodes.get(&at)?.links.last()?;
            names.push(link.name.clone());
            at = link.parent;
            if names.len() > MAX_DEPTH {
                return None;
            }
        }
        names.reverse();
        Some(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(inode: u64, is_folder: bool) -> Identity {
        Identity { device: 1, inode, born: 0, is_folder }
    }

    fn table() -> Nodes {
        Nodes::new(identity(1, true), 100, 10)
    }

    fn paths(nodes: &Nodes, number: u64) -> Vec<String> {
        let paths = nodes.paths(number).expect("known");
        paths
            .iter()
            .map(|path| path.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>().join("/"))
            .collect()
    }

    #[test]
    fn a_file_with_two_names_is_one_node() {
        let mut nodes = table();
        let folder = nodes.seen(identity(2, true), ROOT, b"folder").expect("room");
        let file = nodes.seen(identity(3, false), ROOT, b"a").expect("room");
        assert_eq!(nodes.seen(identity(3, false), folder, b"b"), Ok(file));
        assert_eq!(paths(&nodes, file), ["folder/b", "a"]);
        nodes.unseen(identity(3, false), folder, b"b", false);
        assert_eq!(paths(&nodes, file), ["a"]);
    }

    #[test]
    fn a_file_of_many_names_is_found_by_the_latest() {
        let mut nodes = table();
        let folder = nodes.seen(identity(2, true), ROOT, b"folder").expect("room");
        let file = nodes.seen(identity(3, false), folder, b"first").expect("room");
        for name in 0_u8..100 {
            nodes.seen(identity(3, false), ROOT, &[name]).expect("room");
        }
        assert_eq!((nodes.paths(file).expect("known").len(), &*nodes.links(file)[15].name), (MAX_LINKS, &[99][..]));
        // The folder of a link that is not remembered can be forgotten.
        nodes.forget(folder, 1);
        assert_eq!(nodes.len(), 2);
    }

    #[test]
    fn a_folder_that_moves_takes_its_files_along() {
        let mut nodes = table();
        let (a, b) = (identity(2, true), identity(3, true));
        let first = nodes.seen(a, ROOT, b"a").expect("room");
        let second = nodes.seen(b, ROOT, b"b").expect("room");
        let file = nodes.seen(identity(4, false), first, b"f").expect("room");
        nodes.moved(a, (ROOT, b"a"), (second, b"inner"));
        assert_eq!(paths(&nodes, file), ["b/inner/f"]);
    }

    #[test]
    fn what_is_forgotten_takes_no_room() {
        let mut nodes = table();
        let folder = nodes.seen(identity(2, true), ROOT, b"folder").expect("room");
        let file = nodes.seen(identity(3, false), folder, b"f").expect("room");
        assert_eq!(nodes.forget(folder, 1), None);
        // The file's link still needs it.
        assert_eq!((nodes.len(), paths(&nodes, file)), (3, vec!["folder/f".to_owned()]));
        nodes.unseen(identity(3, false), folder, b"f", true);
        assert_eq!(nodes.forget(file, u64::MAX), Some(identity(3, false)));
        assert_eq!(nodes.len(), 1);
        assert_eq!(nodes.forget(ROOT, u64::MAX), None);
        assert_eq!(nodes.len(), 1);
    }

    #[test]
    fn folders_seen_in_each_other_end_no_search() {
        let mut nodes = table();
        let (a, b) = (identity(2, true), identity(3, true));
        let first = nodes.seen(a, ROOT, b"a").expect("room");
        let second = nodes.seen(b, first, b"b").expect("room");
        nodes.seen(a, second, b"a").expect("room");
        assert_eq!(nodes.paths(first).expect("known"), Vec::<Vec<Arc<[u8]>>>::new());
    }

    #[test]
    fn the_table_has_an_end() {
        let mut nodes = table();
        for inode in 2..=10 {
            nodes.seen(identity(inode, false), ROOT, b"f").expect("room");
        }
        assert_eq!(nodes.seen(identity(11, false), ROOT, b"f"), Err(Errno::NFILE));
    }
}
