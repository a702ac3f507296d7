//! The first page before its modules have come: what is to come, with a link to each show. It is laid out as
//! the modules lay it out, so that nothing moves when they take over.

use axum::{extract::State, http::HeaderMap, response::Response};
use boxoffice_proto::booking::{Concert, ListShowsResponse, Show};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    PATIENCE, index,
    page::{Page, escaped, paragraph, unscripted},
    show::{instant, is_on},
    wants_json,
    words::{Words, grouped, with},
};
use crate::{
    app::{Edge, FirstPage, ToCome},
    http::{App, json},
};

/// The page, or for a program what there is. The modules fill it where the programme cannot be read now.
pub(super) async fn first(State(edge): App, headers: HeaderMap) -> Response {
    if wants_json(&headers) {
        return index(edge.doors.docs);
    }
    let mut page = Page::new(&edge, &headers);
    if let Ok(Ok(to_come)) = timeout(PATIENCE, edge.coming.first_page(edge.now())).await {
        page.announce(&edge, &to_come);
    }
    page.render()
}

impl Page {
    fn announce(&mut self, edge: &Edge, to_come: &FirstPage) {
        self.entitle(self.words.on_sale);
        self.main = listed(self.words, &to_come.message, edge.now());
        // It is the same for all who come within a second, and may be long.
        let sale =
            to_come.json(|to_come| known(to_come).map_or_else(Bytes::new, |sale| sale.to_string().into()));
        if let Ok(sale) = str::from_utf8(&sale)
            && !sale.is_empty()
        {
            self.know_written("sale", sale);
        }
    }
}

/// What the modules need not ask for, as the API answers it.
fn known(to_come: &ToCome) -> Option<Value> {
    let mut concerts = Vec::with_capacity(to_come.concerts.len());
    for (concert, page) in &to_come.concerts {
        let concert = json::Concert::try_from(concert.clone()).ok()?;
        let shows = page.shows.iter().cloned().map(json::Show::try_from).collect::<Result<_, _>>().ok()?;
        let page = json::Shows { shows, next_page_token: page.next_page_token.clone() };
        concerts.push(json!({ "concert": concert, "page": page }));
    }
    let (from, next) = (json::Instant(to_come.from), &to_come.next_page_token);
    Some(json!({ "from": from, "concerts": concerts, "nextPageToken": next }))
}

/// Concerts and their shows in the order of the calendar.
fn listed(words: &Words, to_come: &ToCome, now: i64) -> String {
    let cards = to_come.concerts.iter().map(|of| card(words, of, now)).collect::<String>();
    let is_all = to_come.next_page_token.is_empty();
    let empty = if cards.is_empty() && is_all { words.empty } else { "" };
    let more = if is_all { String::new() } else { unscripted(words.modules) };
    let (on_sale, empty) = (words.on_sale, paragraph("", empty));
    format!("<h1>{on_sale}</h1>{empty}<div class=\"concerts\">{cards}</div>{more}")
}

/// A concert with those of its shows that take place; nothing if there is none.
fn card(words: &Words, (concert, page): &(Concert, ListShowsResponse), now: i64) -> String {
    let shows = page.shows.iter().filter(|show| is_on(show));
    let shows = shows.map(|show| line(words, concert, show, now)).collect::<String>();
    if shows.is_empty() {
        return shows;
    }
    let title = escaped(&concert.title);
    format!("<section class=\"card\"><h2>{title}</h2><ul class=\"list\">{shows}</ul></section>")
}

fn line(words: &Words, concert: &Concert, show: &Show, now: i64) -> String {
    let faint = |text: &str| format!("<div class=\"faint\">{}</div>", escaped(text));
    let begins = words.beginning(&show.local_date, &show.local_time, &concert.time_zone);
    let opens = instant(show.opens_at.as_ref()).filter(|opens| *opens > now);
    let opens = opens.map(|opens| faint(&with(words.sale_opens, &words.moment(opens)))).unwrap_or_default();
    let price = words.money(show.price, &show.currency, show.currency_exponent);
    format!(
        "<li><div class=\"grow\"><a class=\"name\" href=\"/shows/{}\">{}</a>{}{opens}</div>\
         <div class=\"end\">{}{}</div></li>",
        show.show_id,
        escaped(&show.title),
        faint(&begins),
        escaped(&with(words.from, &price)),
        faint(&with(words.seats, &grouped(show.seat_count.into()))),
    )
}

#[cfg(test)]
mod tests {
    use boxoffice_proto::{booking::ShowStatus, time::timestamp};

    use super::{
        super::words::{ENGLISH, KOREAN},
        *,
    };

    const NOW: i64 = 1_900_000_000_000_000;

    fn to_come(shows: Vec<Show>) -> ToCome {
        let concert = Concert {
            title: "A <b>gala</b>".to_owned(),
            time_zone: "Asia/Seoul".to_owned(),
            ..Concert::default()
        };
        let page = ListShowsResponse { shows, ..ListShowsResponse::default() };
        ToCome { from: NOW, concerts: vec![(concert, page)], next_page_token: String::new() }
    }

    fn show() -> Show {
        Show {
            show_id: 7,
            title: "\"One\" & only".to_owned(),
            local_date: "2031-05-01".to_owned(),
            local_time: "19:00".to_owned(),
            seat_count: 12_000,
            price: 50_000,
            currency: "KRW".to_owned(),
            opens_at: Some(timestamp(NOW + 1)),
            ..Show::default()
        }
    }

    #[test]
    fn what_is_to_come_is_listed_as_its_modules_list_it() {
        let told = listed(&ENGLISH, &to_come(vec![show()]), NOW);
        assert_eq!(
            told,
            "<h1>On sale</h1><div class=\"concerts\"><section class=\"card\"><h2>A &lt;b&gt;gala&lt;/b&gt;</h2>\
             <ul class=\"list\"><li><div class=\"grow\">\
             <a class=\"name\" href=\"/shows/7\">&quot;One&quot; &amp; only</a>\
             <div class=\"faint\">Thursday, May 1, 2031 at 7:00 PM (Asia/Seoul)</div>\
             <div class=\"faint\">The sale opens on Mar 17, 2030, 5:46 PM UTC.</div></div>\
             <div class=\"end\">from ₩50,000<div class=\"faint\">12,000 seats</div></div></li></ul></section></div>"
        );
        let later = listed(&KOREAN, &to_come(vec![show()]), NOW + 1);
        assert!(later.contains("₩50,000부터") && !later.contains("판매를 시작"), "{later}");
    }

    #[test]
    fn a_show_that_is_called_off_is_not_listed_and_an_empty_programme_says_so() {
        let mut off = show();
        off.set_status(ShowStatus::Cancelled);
        let nothing = "<h1>On sale</h1><p>Nothing is on sale yet.</p><div class=\"concerts\"></div>";
        assert_eq!(listed(&ENGLISH, &to_come(vec![off.clone()]), NOW), nothing);
        let goes_on = ToCome { next_page_token: "12".to_owned(), ..to_come(vec![off]) };
        let told = listed(&ENGLISH, &goes_on, NOW);
        assert!(told.contains(ENGLISH.modules) && !told.contains(ENGLISH.empty), "{told}");
    }
}
