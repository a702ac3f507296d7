//! The queues that this replica has in memory, by their ids and by the tags in their tokens' ids.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::queue::Queue;
use crate::domain::{TokenView, queue_tag, tag_of};

/// All queues that this replica has loaded.
#[derive(Debug, Default)]
pub(super) struct OpenQueues {
    by_name: HashMap<Arc<str>, Arc<Queue>>,
    /// The queues with each tag. Tags are short, so two queues may have the same.
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

    /// The queues that may have issued this token: almost always one, however many queues there are. A token
    /// whose id was made elsewhere may be in any queue.
    pub(super) fn tagged(&self, token: &Uuid) -> &[Arc<Queue>] {
        self.by_tag.get(&tag_of(token)).map_or(&[], Vec::as_slice)
    }

    /// A token for a user who asks for it, when memory has it, live or ended lately. All queues are searched,
    /// those of its tag first.
    pub(super) fn remembered(&self, token: &Uuid) -> Option<TokenView> {
        // Where it is live is looked for first: who left and registers again for a draw has the same token.
        let tagged = self.tagged(token);
        let live = tagged.iter().find_map(|queue| queue.ask_about(token));
        let lately = || tagged.iter().find_map(|queue| queue.ended_view(token));
        live.or_else(lately).or_else(|| {
            self.all().find_map(|queue| queue.ask_about(token).or_else(|| queue.ended_view(token)))
        })
    }

    /// The queue in which memory has this token as live.
    pub(super) fn with(&self, token: &Uuid) -> Option<&Arc<Queue>> {
        let has = |queue: &&Arc<Queue>| queue.look().status(token).is_some();
        self.tagged(token).iter().find(has).or_else(|| self.all().find(has))
    }
}
