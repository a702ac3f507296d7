//! The service as it is run: over a socket, with a real client, started twice on the same database, and
//! stopped.

use std::{net::SocketAddr, time::Duration};

use boxoffice_proto::wallet::{self as pb, wallet_service_client::WalletServiceClient};
use chassis::{
    clock::Clock,
    db::Db,
    testing::{databases, patience::timeout},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::{order, plain};
use crate::{Config, Listeners, Policy};

struct Running {
    client: WalletServiceClient<Channel>,
    shutdown: CancellationToken,
    ended: JoinHandle<Result<(), chassis::Error>>,
}

async fn start(config: Config) -> Running {
    let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = grpc.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let http = Some(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let ended = tokio::spawn(crate::serve(
        config,
        Listeners { grpc: grpc.into(), http },
        Clock::system(),
        shutdown.clone(),
    ));
    let client = WalletServiceClient::connect(format!("http://{address}")).await.unwrap();
    Running { client, shutdown, ended }
}

impl Running {
    async fn charge(&mut self, amount: i64) -> i64 {
        let request =
            pb::ChargeWalletRequest { user_id: "ann".to_owned(), amount, request_id: String::new() };
        plain(self.client.charge_wallet(request).await).unwrap().wallet.unwrap().balance
    }

    async fn stop(self) {
        drop(self.client);
        self.shutdown.cancel();
        timeout(Duration::from_secs(10), self.ended).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_replicas_share_a_ledger_and_nothing_is_lost_when_they_are_stopped_and_started() {
    for database in databases().await {
        let policy = Policy { currency: "EUR".parse().unwrap() };
        let config = Config {
            database: database.config.clone(),
            policy,
            requests: Default::default(),
            doors: access::Doors::open(),
        };
        // One after the other: a SQLite file is not migrated by two processes at once.
        let mut one = start(config.clone()).await;
        assert_eq!(one.charge(1_000).await, 1_000);
        let mut two = start(config.clone()).await;
        assert_eq!(two.charge(500).await, 1_500);

        let (first, second) = tokio::join!(
            one.client.create_payment(order(1, "ann", 300)),
            two.client.create_payment(order(1, "ann", 300))
        );
        assert_eq!(
            plain(first).unwrap(),
            plain(second).unwrap(),
            "the same payment through both ({})",
            database.name
        );
        one.stop().await;
        two.stop().await;

        let mut again = start(config).await;
        let request = pb::GetWalletRequest { user_id: "ann".to_owned() };
        let wallet = plain(again.client.get_wallet(request).await).unwrap().wallet.unwrap();
        assert_eq!((wallet.balance, wallet.currency.as_str(), wallet.currency_exponent), (1_200, "EUR", 2));
        again.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_that_start_together_on_a_new_postgres_all_come_up() {
    for database in databases().await.into_iter().filter(|database| database.name == "postgres") {
        let opening: Vec<_> = (0..4)
            .map(|_| {
                let config = database.config.clone();
                tokio::spawn(async move { Db::open(&config, &chassis::migrations!()).await })
            })
            .collect();
        for opened in opening {
            opened.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_told_at_the_start() {
    let database = chassis::db::DbConfig::at("mysql://somewhere");
    let policy = Policy { currency: "KRW".parse().unwrap() };
    let config = Config { database, policy, requests: Default::default(), doors: access::Doors::open() };
    let listeners = Listeners { grpc: TcpListener::bind("127.0.0.1:0").await.unwrap().into(), http: None };
    let ended = crate::serve(config, listeners, Clock::system(), CancellationToken::new()).await;
    assert!(matches!(ended, Err(chassis::Error::Db(_))), "{ended:?}");
}
