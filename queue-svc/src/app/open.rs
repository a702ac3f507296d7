//! The queues of a replica, by name and by what their tokens' ids say.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::queue::Queue;
use crate::domain::{TokenView, queue_tag, tag_of};

/// All queues that are open here.
#[derive(Debug, Default)]
pub(super) struct OpenQueues {
    by_name: HashMap<Arc<str>, Arc<Queue>>,
    /// Tags are short: two queues may have the same.
    by_tag: HashMap<u16, Vec<Arc<Queue>>>,
}

impl OpenQueues {
    pub(super) fn insert(&mut self, queue: &Arc<Queue>) {
        self.by_name.insert(Arc::clone(&queue.id), Arc::clone(queue));
        self.by_tag.entry(queue_tag(&queue.id)).or_default().push(Arc::clone(queue));
    }

    pub(super) fn get(&self, queue_id: &str) -> Option<&Arc<Queue>> {
        self.by_name.get(queue_id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.by_name.values()
    }

    /// Where a token made here should be: one queue almost always, whatever their number.
    pub(super) fn tagged(&self, token: &Uuid) -> &[Arc<Queue>] {
        self.by_tag.get(&tag_of(token)).map_or(&[], Vec::as_slice)
    }

    /// A token that memory has, for somebody who asks about it: live or ended lately, in its own queue or
    /// wherever it is.
    pub(super) fn remembered(&self, token: &Uuid) -> Option<TokenView> {
        let ended = self.tagged(token).iter().find_map(|queue| queue.ended_view(token));
        ended.or_else(|| {
            self.all().find_map(|queue| queue.ask_about(token).or_else(|| queue.ended_view(token)))
        })
    }

    /// The queue in which a token is live, as far as memory knows.
    pub(super) fn with(&self, token: &Uuid) -> Option<&Arc<Queue>> {
        let has = |queue: &&Arc<Queue>| queue.look().status(token).is_some();
        self.tagged(token).iter().find(has).or_else(|| self.all().find(has))
    }
}
