//! The operators' journal around changes that succeed, are refused, get lost, and are cut off.

use access::{Caller as Who, House, Identity, Role};
use boxoffice_proto::queue::UpdateQueueRequest;
use chassis::db::{Db, DbConfig};
use serde_json::json;

use super::*;

struct Desk {
    acting: Acting,
    db: Db,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = DbConfig::at(format!("sqlite:{}", folder.path().join("edge.db").display()));
        let db = Db::open(&config, &chassis::migrations!()).await.unwrap();
        Self { acting: Acting::new(Actions::new(db.clone()), Clock::system()), db, _folder: folder }
    }

    async fn act(
        &self,
        who: Who,
        change: impl Future<Output = Result<u8, Fault>> + Send + 'static,
    ) -> Result<u8, Fault> {
        let caller = Caller::new(who, House::default(), "token", None);
        let tell = |seven: &u8| json!(seven);
        self.acting.act::<UpdateQueueRequest, _>(&caller, "vip\0", None, tell, change).await
    }

    async fn newest(&self) -> RecordedAction {
        self.acting.actions.list(&ActionsOf::default(), None, 1).await.unwrap().remove(0)
    }
}

fn olga() -> Who {
    let roles = [Role::Operator].into_iter().collect();
    Who::User(Identity { user: "olga".into(), roles, priority: None, expires_at: i64::MAX })
}

#[tokio::test]
async fn an_action_is_there_before_its_change_and_has_its_outcome_afterwards() {
    let desk = Desk::new().await;
    let actions = desk.acting.actions.clone();
    let change = async move {
        let (action, end) = actions.list(&ActionsOf::default(), None, 1).await.unwrap().remove(0);
        assert_eq!((action.what.as_str(), end), ("UpdateQueue", None), "the intent is there first");
        Ok(7)
    };
    assert_eq!(desk.act(olga(), change).await.unwrap(), 7);
    let (action, end) = desk.newest().await;
    assert_eq!(
        (action.who.as_str(), action.role.as_str(), action.target.as_str()),
        ("olga", "operator", "vip")
    );
    assert_eq!((action.trace_id.len(), end.unwrap().0), (32, ActionEnd::Done("7".to_owned())));
    for (reason, end) in [
        (Reason::QueueNotFound, ActionEnd::Refused("QUEUE_NOT_FOUND".to_owned())),
        (Reason::Unavailable, ActionEnd::Unknown("UNAVAILABLE".to_owned())),
    ] {
        let refused = async move { Err(Fault::new(reason, "No.")) };
        assert_eq!(desk.act(Who::Unasked, refused).await.unwrap_err().reason, reason);
        let (action, told) = desk.newest().await;
        assert_eq!((action.who.as_str(), action.role.as_str(), told.unwrap().0), ("anyone", "", end));
    }
}

#[tokio::test]
async fn an_outcome_is_written_when_nobody_waits_for_it() {
    let desk = Desk::new().await;
    let (go, wait) = oneshot::channel::<()>();
    {
        let act = desk
            .act(olga(), async move { wait.await.map(|()| 7).map_err(|_| Fault::new(Reason::Internal, "")) });
        let mut act = std::pin::pin!(act);
        while desk.acting.actions.list(&ActionsOf::default(), None, 1).await.unwrap().is_empty() {
            assert!(futures::poll!(act.as_mut()).is_pending());
        }
        assert!(futures::poll!(act.as_mut()).is_pending());
    }
    go.send(()).unwrap();
    // The edge does not end before it is.
    desk.acting.drain().await;
    assert_eq!(desk.newest().await.1.unwrap().0, ActionEnd::Done("7".to_owned()));
}

#[tokio::test]
async fn nothing_is_changed_where_the_intent_cannot_be_written() {
    let desk = Desk::new().await;
    desk.db.clone().close().await.unwrap();
    let refused = desk.act(olga(), async { panic!("the change is made") }).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Unavailable);
}
