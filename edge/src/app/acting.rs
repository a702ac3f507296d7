//! What operators and cashiers change, and the journal of it. Every such change goes through [`Acting::act`],
//! whichever door it comes by: the action is written before the change is made, and its outcome afterwards
//! (I-ACTION-KEPT). What users do with what is their own is no such action, and costs nothing here.

use std::time::Duration;

use access::Role;
use boxoffice_proto::{Fault, Reason, access::Asks, checkout::ListOperatorActionsRequest, validate::Checks};
use chassis::{
    clock::Clock,
    context::Context,
    db,
    page::{List, PageRequest},
};
use serde_json::Value;
use tokio::{sync::oneshot, time::timeout};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::caller::Caller;
use crate::{
    domain::action::{Action, ActionEnd, RecordedAction},
    store::{Actions, ActionsOf},
};

/// Who acts where nobody is asked who they are.
const ANYONE: &str = "anyone";
/// The most characters of a target; the ids that the contract knows are no longer.
const TARGET: usize = 64;
/// How long a change may take whose request came without a deadline.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often an outcome that could not be written is tried again, and the pause before each.
const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);

/// Where a page of actions begins: with the next older one than that of this time and id.
pub(crate) type ActedBefore = Option<(i64, Uuid)>;

/// The end of a page whose last action is this one.
pub(crate) const fn acted(recorded: &RecordedAction) -> ActedBefore {
    Some((recorded.0.created_at, recorded.0.action_id))
}

/// Reads which page of these actions is asked for.
///
/// # Errors
/// INVALID_ARGUMENT.
pub(crate) fn actions_page(
    request: &ListOperatorActionsRequest,
) -> Result<(ActionsOf, PageRequest<ActedBefore>), Fault> {
    let ListOperatorActionsRequest { who, what, target, page_size, page_token } = request;
    let list = List::of("operator actions", format_args!("{:?}", (who, what, target)));
    let page = Checks::of(|checks| {
        for (field, value) in [("who", who), ("what", what), ("target", target)] {
            if value.chars().count() > TARGET || value.chars().any(char::is_control) {
                checks.refuse(field, "must be at most 64 characters, none of them a control character");
            }
        }
        list.read(*page_size, page_token, None, |field, wrong| checks.refuse(field, wrong))
    })?;
    Ok((ActionsOf { who: who.clone(), what: what.clone(), target: target.clone() }, page))
}

/// Makes the changes of operators and cashiers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Acting {
    actions: Actions,
    clock: Clock,
    /// The changes that are being made.
    changes: TaskTracker,
}

impl Acting {
    pub(crate) fn new(actions: Actions, clock: Clock) -> Self {
        Self { actions, clock, changes: TaskTracker::new() }
    }

    /// Waits, for a bounded time, until the outcome of every change is written: its caller may have gone.
    pub(super) async fn drain(&self) {
        self.changes.close();
        if timeout(PATIENCE, self.changes.wait()).await.is_err() {
            tracing::warn!(
                changes = self.changes.len(),
                "outcomes of operators' actions are not written at the end"
            );
        }
    }

    /// Makes a change that this caller was allowed, of what has the id `target`, where there was `before`.
    /// `tell` says what of the answer is written.
    ///
    /// The change is a task of its own, so that its outcome is written even when the caller does not wait
    /// for it.
    ///
    /// # Errors
    /// UNAVAILABLE when the action cannot be written: then nothing is changed. Otherwise as `change`.
    pub(super) async fn act<R: Asks, T: Send + 'static>(
        &self,
        caller: &Caller,
        target: &str,
        before: Option<String>,
        tell: fn(&T) -> Value,
        change: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let context = Context::current().unwrap_or_else(|| Context::fresh(PATIENCE));
        let action = Action {
            action_id: Uuid::new_v4(),
            who: caller.user().unwrap_or(ANYONE).to_owned(),
            role: caller.role::<R>(target).map(Role::as_str).unwrap_or_default().to_owned(),
            what: R::RULE.path.rsplit('/').next().unwrap_or_default().to_owned(),
            // What no id can be is refused by the service, and must not keep the action from being written.
            target: target.chars().filter(|c| !c.is_control()).take(TARGET).collect(),
            before,
            trace_id: context.trace.trace_id(),
            created_at: self.clock.now(),
        };
        self.actions.intend(&action).await.map_err(failed)?;
        let (answered, answer) = oneshot::channel();
        let (acting, action_id) = (self.clone(), action.action_id);
        self.changes.spawn(context.scope(async move {
            let answer = change.await;
            let end = ended(tell, &answer);
            let written = acting.actions.conclude(action_id, &end, acting.clock.now()).await;
            // Nobody waits any more when the caller has gone.
            drop(answered.send(answer));
            if let Err(error) = written {
                acting.conclude_later(action_id, &end, error).await;
            }
        }));
        let lost = |_| Err(Fault::new(Reason::Unavailable, Reason::Unavailable.title()));
        answer.await.unwrap_or_else(lost)
    }

    /// Writes an outcome that could not be written so far.
    async fn conclude_later(&self, action_id: Uuid, end: &ActionEnd, mut error: db::Error) {
        for _ in 0..ATTEMPTS {
            tokio::time::sleep(PAUSE).await;
            match self.actions.conclude(action_id, end, self.clock.now()).await {
                Ok(()) => return,
                Err(again) => error = again,
            }
        }
        tracing::error!(alert = true, %action_id, %error, "the outcome of an operator's action is not written");
    }

    /// A page of the actions, newest first.
    ///
    /// # Errors
    /// UNAVAILABLE when they cannot be read.
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        of: &ActionsOf,
        page: &PageRequest<ActedBefore>,
    ) -> Result<Vec<RecordedAction>, Fault> {
        caller.allow(ListOperatorActionsRequest::default())?;
        self.actions.list(of, *page.from(), page.limit()).await.map_err(failed)
    }
}

/// What a read found before a change, as `tell` says it; `None` where there is nothing yet. What the read
/// calls malformed is nothing too: the change is refused for the same cause, and says more.
///
/// # Errors
/// The read failed, so that it is not known what there is.
pub(super) fn before<T>(
    tell: fn(&T) -> Value,
    found: Result<T, Fault>,
    missing: Reason,
) -> Result<Option<String>, Fault> {
    match found {
        Ok(found) => Ok(Some(tell(&found).to_string())),
        Err(fault) if fault.reason == missing || fault.reason == Reason::InvalidArgument => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn ended<T>(tell: fn(&T) -> Value, answer: &Result<T, Fault>) -> ActionEnd {
    match answer {
        Ok(answer) => ActionEnd::Done(tell(answer).to_string()),
        Err(fault) if fault.reason.leaves_outcome_unknown() => ActionEnd::Unknown(fault.reason.to_string()),
        Err(fault) => ActionEnd::Refused(fault.reason.to_string()),
    }
}

fn failed(cause: db::Error) -> Fault {
    Fault::database("The operators' journal", cause.is_passing(), cause)
}

#[cfg(test)]
#[path = "acting_tests.rs"]
mod tests;
