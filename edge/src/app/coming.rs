//! What is to come, as the first page tells it: everybody who comes for an on-sale asks for that.

use std::{sync::Arc, time::Duration};

use boxoffice_proto::{
    Fault,
    booking::{Concert, ListConcertsRequest, ListShowsRequest, ListShowsResponse},
    time,
};
use futures::future::try_join_all;
use moka::future::Cache;

use super::shared::SharedMessage;
use crate::clients::{Clients, ask};

/// How long it is told as it was read. A change through this edge is told at once, save where it was being
/// read meanwhile.
const REMEMBERED: Duration = Duration::from_secs(1);
/// How many concerts the first page has.
const CONCERTS: i32 = 12;
/// How many shows of each it has.
const SHOWS: i32 = 100;

/// What is to come from an instant on, by date: a page of concerts, and of each a page of its shows.
#[derive(Debug)]
pub(crate) struct ToCome {
    /// The instant, in microseconds.
    pub(crate) from: i64,
    pub(crate) concerts: Vec<(Concert, ListShowsResponse)>,
    /// Where the next page of concerts begins; empty if there is none.
    pub(crate) next_page_token: String,
}

/// What is to come, and the JSON of it that all who ask within a second share.
pub(crate) type FirstPage = SharedMessage<ToCome>;

/// The first page of what is to come, read once a second at most however many ask for it.
pub(crate) struct Coming {
    clients: Clients,
    read: Cache<(), Arc<FirstPage>>,
}

impl Coming {
    pub(super) fn new(clients: Clients) -> Self {
        Self { clients, read: Cache::builder().max_capacity(1).time_to_live(REMEMBERED).build() }
    }

    /// Reads it anew for whoever asks next, because the programme was changed.
    pub(super) async fn forget(&self) {
        self.read.invalidate(&()).await;
    }

    /// What is to come at this time, in microseconds, as it was a second ago or later.
    pub(crate) async fn first_page(&self, now: i64) -> Result<Arc<FirstPage>, Fault> {
        let read = async {
            let (page_size, from) = (CONCERTS, Some(time::timestamp(now)));
            let request = ListConcertsRequest { page_size, from, ..ListConcertsRequest::default() };
            let page = ask!(self.clients.booking, list_concerts(request))?;
            let with_shows = page.concerts.into_iter().map(async |concert| {
                let request = ListShowsRequest {
                    concert_id: concert.concert_id,
                    page_size: SHOWS,
                    from,
                    order: "startsAt".to_owned(),
                    ..ListShowsRequest::default()
                };
                let shows = ask!(self.clients.booking, list_shows(request));
                shows.map(|shows| (concert, shows))
            });
            let concerts = try_join_all(with_shows).await?;
            let to_come = ToCome { from: now, concerts, next_page_token: page.next_page_token };
            Ok(Arc::new(SharedMessage::new(to_come)))
        };
        self.read.try_get_with((), read).await.map_err(Arc::unwrap_or_clone)
    }
}
