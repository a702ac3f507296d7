//! The operators' journal: the same promises on SQLite and on PostgreSQL.

use chassis::{args, db::Db, testing::databases};
use uuid::Uuid;

use super::*;

const NOW: i64 = 1_764_000_000_000_000;

async fn on_both(test: impl AsyncFn(Actions)) {
    for database in databases().await {
        test(Actions::new(Db::open(&database.config, &chassis::migrations!()).await.unwrap())).await;
    }
}

fn action(who: &str, what: &str, created_at: i64) -> Action {
    Action {
        action_id: Uuid::new_v4(),
        who: who.to_owned(),
        role: "operator".to_owned(),
        what: what.to_owned(),
        target: "default".to_owned(),
        before: Some("{}".to_owned()),
        trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        created_at,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_keeps_its_first_outcome_and_is_found_by_who_what_and_target() {
    on_both(async |actions| {
        let (old, new) = (action("olga", "UpdateQueue", NOW), action("carl", "ChargeWallet", NOW + 1));
        for one in [&old, &new] {
            actions.intend(one).await.unwrap();
        }
        let done = ActionEnd::Done("{\"a\":1}".to_owned());
        actions.conclude(old.action_id, &done, NOW + 5).await.unwrap();
        actions.conclude(old.action_id, &ActionEnd::Unknown("UNAVAILABLE".into()), NOW + 6).await.unwrap();
        let all = ActionsOf::default();
        let (old, new) = ((old, Some((done, NOW + 5))), (new, None));
        assert_eq!(actions.list(&all, None, 9).await.unwrap(), [new.clone(), old.clone()]);
        let before = Some((new.0.created_at, new.0.action_id));
        assert_eq!(actions.list(&all, before, 9).await.unwrap(), std::slice::from_ref(&old));
        for (who, what, target, found) in [
            ("olga", "", "", Some(&old)),
            ("", "ChargeWallet", "", Some(&new)),
            ("carl", "ChargeWallet", "default", Some(&new)),
            ("olga", "ChargeWallet", "", None),
            ("olga", "", "other", None),
        ] {
            let of = ActionsOf { who: who.into(), what: what.into(), target: target.into() };
            let found: Vec<_> = found.cloned().into_iter().collect();
            assert_eq!(actions.list(&of, None, 9).await.unwrap(), found, "{of:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_refuses_to_change_or_remove_what_is_written() {
    on_both(async |actions| {
        let action = action("olga", "UpdateQueue", NOW);
        actions.intend(&action).await.unwrap();
        actions.conclude(action.action_id, &ActionEnd::Refused("NO".into()), NOW).await.unwrap();
        for sql in [
            "UPDATE operator_action SET who = 'carl'",
            "DELETE FROM operator_action",
            "UPDATE operator_outcome SET reason = 'YES'",
            "DELETE FROM operator_outcome",
            "INSERT INTO operator_outcome SELECT action_id, 'DONE', NULL, NULL, 1 FROM operator_action",
        ] {
            actions.db.write(sql, Vec::new()).await.expect_err(sql);
        }
        let orphan =
            "INSERT INTO operator_outcome (action_id, outcome, after, ended_at) VALUES ($1, 'DONE', '{}', 1)";
        actions.db.write(orphan, args![Uuid::new_v4()]).await.expect_err("an outcome of nothing");
        assert_eq!(actions.list(&ActionsOf::default(), None, 9).await.unwrap().len(), 1);
    })
    .await;
}
