//! The lines of a replica, by name and by what their tokens' ids say.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::line::Line;
use crate::domain::{TokenView, line_tag, tag_of};

/// All lines that are open here.
#[derive(Debug, Default)]
pub(super) struct Lines {
    by_name: HashMap<Arc<str>, Arc<Line>>,
    /// Tags are short: two lines may have the same.
    by_tag: HashMap<u16, Vec<Arc<Line>>>,
}

impl Lines {
    pub(super) fn insert(&mut self, line: &Arc<Line>) {
        self.by_name.insert(Arc::clone(&line.id), Arc::clone(line));
        self.by_tag.entry(line_tag(&line.id)).or_default().push(Arc::clone(line));
    }

    pub(super) fn get(&self, queue_id: &str) -> Option<&Arc<Line>> {
        self.by_name.get(queue_id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Line>> {
        self.by_name.values()
    }

    /// Where a token made here should be: one line almost always, whatever their number.
    pub(super) fn tagged(&self, token: &Uuid) -> &[Arc<Line>] {
        self.by_tag.get(&tag_of(token)).map_or(&[], Vec::as_slice)
    }

    /// A token that memory has, for somebody who asks about it: live or ended lately, in its own line or
    /// wherever it is.
    pub(super) fn remembered(&self, token: &Uuid) -> Option<TokenView> {
        let ended = self.tagged(token).iter().find_map(|line| line.ended_view(token));
        ended.or_else(|| self.all().find_map(|line| line.ask_about(token).or_else(|| line.ended_view(token))))
    }

    /// The line in which a token is live, as far as memory knows.
    pub(super) fn with(&self, token: &Uuid) -> Option<&Arc<Line>> {
        let has = |line: &&Arc<Line>| line.look().status(token).is_some();
        self.tagged(token).iter().find(has).or_else(|| self.all().find(has))
    }
}
