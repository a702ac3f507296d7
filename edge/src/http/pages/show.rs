//! The page of a show before its modules have come: what it is, how many wait, and a form that joins its
//! line. It is laid out as the modules lay it out, so that nothing moves when they take over.
//!
//! Where somebody has to sign in there is no form, since only the modules know a bearer token. Where nobody
//! is asked, a person is a name that is made up here and handed on: to the modules, which keep it, or with
//! the address of the place that the form leads to.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use boxoffice_proto::{
    Fault, Reason,
    booking::{Concert, Show, ShowStatus},
    queue::{IssueTokenRequest, Queue},
    time::micros,
};
use prost_types::Timestamp;
use serde_json::json;
use tokio::time::timeout;

use super::{
    PATIENCE,
    page::{Page, escaped, paragraph},
    words::{Words, grouped, with},
};
use crate::{
    app::{Caller, Edge, programme, queue},
    http::{App, extract::Params, json, origin::NoForeignPage, problem::Problem},
};

/// The letters of a name that is made up, none of which is taken for another one. Eight are enough for a
/// demonstration, in which two guests with one name would be one person.
const LETTERS: &[u8; 22] = b"abcdefghkmnpqrstuvwxyz";

/// What is offered on the page of a show.
struct Offer {
    show: Show,
    concert: Concert,
    queue: Queue,
}

impl Offer {
    async fn read(edge: &Edge, show: &str) -> Result<Self, Fault> {
        let none = || Fault::new(Reason::ShowNotFound, Reason::ShowNotFound.title());
        let show = programme::show(edge, show.parse().map_err(|_| none())?).await?;
        let concert = programme::concert(edge, show.concert_id).await?;
        let queue = queue::get(edge, concert.queue_id.clone()).await?;
        Ok(Self { show, concert, queue })
    }
}

/// Whether the show takes place. One that an earlier release tells of always does.
pub(super) fn is_on(show: &Show) -> bool {
    matches!(show.status(), ShowStatus::Unspecified | ShowStatus::Scheduled)
}

/// The page, which the modules fill where there is no such show or it cannot be read now.
pub(super) async fn show(State(edge): App, Path(show): Path<String>, headers: HeaderMap) -> Response {
    let mut page = Page::new(&edge, &headers);
    if let Ok(Ok(offer)) = timeout(PATIENCE, Offer::read(&edge, &show)).await {
        page.offer(&edge, &offer, "");
    }
    of_a_show(page.render())
}

/// What the form does: joins the line, and leads to the place.
pub(super) async fn join(
    State(edge): App,
    _: NoForeignPage,
    caller: Caller,
    Path(show): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let user_id = params.get("user")?.unwrap_or_default().to_owned();
    let offer = Offer::read(&edge, &show).await?;
    let (queue_id, show_id) = (offer.concert.queue_id.clone(), offer.show.show_id);
    let request = IssueTokenRequest { queue_id, user_id: user_id.clone(), ..IssueTokenRequest::default() };
    let fault = match queue::join(&edge, &caller, request).await {
        Ok((place, _)) => {
            let guest = if is_guest(&user_id) { format!("#guest={user_id}") } else { String::new() };
            let place = format!("/line/{}?show={show_id}{guest}", place.token);
            return Ok(Redirect::to(&place).into_response());
        }
        Err(fault) => fault,
    };
    let mut page = Page::new(&edge, &headers);
    let why = if fault.reason == Reason::QueueFull {
        page.words.full
    } else if matches!(fault.reason, Reason::Unavailable | Reason::DeadlineExceeded) {
        page.words.busy
    } else {
        return Err(fault.into());
    };
    // It is an answer for a person, and not the refusal of a request: that would be made a document of.
    page.offer(&edge, &offer, why);
    Ok(of_a_show(page.render()))
}

/// Has a browser name this page as the origin of what its form sends, which it does to the page's own server
/// alone. There is nothing in the address of a show that is for nobody else.
fn of_a_show(mut response: Response) -> Response {
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Whether a name is one that was made up here.
fn is_guest(name: &str) -> bool {
    let letters = name.strip_prefix("guest-").map(str::as_bytes);
    letters.is_some_and(|letters| letters.len() == 8 && letters.iter().all(|one| LETTERS.contains(one)))
}

/// A name for somebody who has none.
fn guest() -> String {
    let letters =
        rand::random::<[u8; 8]>().map(|random| char::from(LETTERS[usize::from(random) % LETTERS.len()]));
    format!("guest-{}", String::from_iter(letters))
}

impl Page {
    /// Shows what is offered, after a refusal with why.
    fn offer(&mut self, edge: &Edge, offer: &Offer, why: &str) {
        let (words, now) = (self.words, edge.now());
        self.entitle(&offer.show.title);
        self.main = head(words, offer, now);
        if is_on(&offer.show) {
            self.main += &paragraph("notice bad", why);
            self.main += &if edge.doors.are_secured() {
                format!("<noscript><p>{}</p></noscript>", words.modules)
            } else {
                form(words, offer, now)
            };
        }
        let Offer { show, concert, queue } = offer;
        let read = (
            json::Show::try_from(show.clone()),
            json::Concert::try_from(concert.clone()),
            json::Queue::try_from(queue.clone()),
        );
        // What is lacking the modules ask for.
        if let (Ok(show), Ok(concert), Ok(queue)) = read {
            self.know(json!({ "show": show, "concert": concert, "queue": queue }));
        }
    }
}

/// What is said of the show.
fn head(words: &Words, offer: &Offer, now: i64) -> String {
    let Offer { show, concert, .. } = offer;
    let begins = words.beginning(&show.local_date, &show.local_time, &concert.time_zone);
    let price = words.money(show.price, &show.currency, show.currency_exponent);
    let mut facts = [
        with(words.minutes, &show.duration_minutes.to_string()),
        with(words.seats, &grouped(show.seat_count.into())),
        with(words.from, &price),
    ]
    .join(" · ");
    if let Some(most) = show.max_seats_per_user {
        facts += " · ";
        facts += &with(if most == 1 { words.at_most_one } else { words.at_most }, &most.to_string());
    }
    let (opens, closes) = (instant(show.opens_at.as_ref()), instant(show.closes_at.as_ref()));
    let is_over = closes.or(instant(show.starts_at.as_ref())).is_some_and(|end| end <= now);
    let mut state = String::new();
    if !is_on(&offer.show) {
        state += &paragraph("notice bad", words.called_off);
    } else if is_over {
        state += &paragraph("notice", words.sale_over);
    }
    if let Some(opens) = opens.filter(|opens| is_on(&offer.show) && *opens > now) {
        state += &paragraph("notice", &with(words.sale_opens, &words.moment(opens)));
    }
    if let Some(closes) = closes.filter(|_| is_on(&offer.show) && !is_over) {
        state += &paragraph("faint", &with(words.sale_closes, &words.moment(closes)));
    }
    [
        paragraph("faint", &concert.title),
        format!("<h1>{}</h1>", escaped(&show.title)),
        paragraph("lead", &begins),
        paragraph("faint", &facts),
        paragraph("prose", &show.description),
        state,
    ]
    .concat()
}

/// The form that joins the line as somebody who has no name yet.
fn form(words: &Words, Offer { show, queue, .. }: &Offer, now: i64) -> String {
    let (guest, policy) = (guest(), queue.policy.clone().unwrap_or_default());
    let opens = instant(policy.opens_at.as_ref()).filter(|opens| *opens > now);
    let (mut before, mut named) = (String::new(), words.join);
    let many = if let Some(opens) = opens {
        before += &paragraph("", &with(words.opens_on, &words.moment(opens)));
        let (until, left) = (words.opens_in, words.clock(opens - now));
        before += &format!("<p>{until}<br><span class=\"big clock\" role=\"timer\">{left}</span></p>");
        named = words.register;
        with(words.registered_now, &grouped(queue.registered))
    } else {
        let said = match queue.waiting {
            0 => words.nobody_waits,
            1 => words.one_waits,
            _ => words.many_wait,
        };
        with(said, &grouped(queue.waiting))
    };
    let paused = if policy.paused == Some(true) { words.paused } else { "" };
    format!(
        "<form class=\"card\" method=\"post\" action=\"/shows/{}?user={guest}\" data-guest=\"{guest}\" \
         aria-label=\"{}\">{before}<p>{many}</p>{}<button class=\"main\" data-key=\"join\">{named}</button>\
         <p class=\"faint\">{}</p><p class=\"faint\">{} {guest}</p></form>",
        show.show_id,
        words.join,
        paragraph("notice", paused),
        words.join_why,
        words.as_who,
    )
}

pub(super) fn instant(at: Option<&Timestamp>) -> Option<i64> {
    at.and_then(micros)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use boxoffice_proto::{queue::QueuePolicy, time::timestamp};

    use super::{
        super::words::{ENGLISH, KOREAN},
        *,
    };

    const NOW: i64 = 1_900_000_000_000_000;

    fn offer() -> Offer {
        let show = Show {
            show_id: 7,
            title: "A <b>night</b>".to_owned(),
            description: "\"One\" & only".to_owned(),
            local_date: "2031-05-01".to_owned(),
            local_time: "19:00".to_owned(),
            starts_at: Some(timestamp(NOW + 1_000_000)),
            duration_minutes: 90,
            seat_count: 12_000,
            price: 50_000,
            currency: "KRW".to_owned(),
            ..Show::default()
        };
        let concert =
            Concert { title: "{main}".to_owned(), time_zone: "Asia/Seoul".to_owned(), ..Concert::default() };
        Offer { show, concert, queue: Queue { waiting: 1_234, ..Queue::default() } }
    }

    #[test]
    fn a_show_is_told_as_its_modules_tell_it() {
        assert_eq!(
            head(&ENGLISH, &offer(), NOW),
            "<p class=\"faint\">{main}</p><h1>A &lt;b&gt;night&lt;/b&gt;</h1>\
             <p class=\"lead\">Thursday, May 1, 2031 at 7:00 PM (Asia/Seoul)</p>\
             <p class=\"faint\">90 min · 12,000 seats · from ₩50,000</p>\
             <p class=\"prose\">&quot;One&quot; &amp; only</p>"
        );
        let mut of = offer();
        of.show.closes_at = Some(timestamp(NOW));
        of.show.max_seats_per_user = Some(4);
        let told = head(&KOREAN, &of, NOW);
        for part in [
            "2031년 5월 1일 목요일 오후 7:00 (Asia/Seoul)",
            "90분 · 12,000석 · ₩50,000부터 · 1인당 최대 4매까지",
            KOREAN.sale_over,
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        of.show.set_status(ShowStatus::Cancelling);
        assert!(head(&ENGLISH, &of, NOW).ends_with(&paragraph("notice bad", ENGLISH.called_off)));
    }

    #[test]
    fn its_form_joins_the_line_as_somebody() {
        let told = form(&ENGLISH, &offer(), NOW);
        let name = told.split("data-guest=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(is_guest(name), "{name}");
        assert!(told.contains(&format!("action=\"/shows/7?user={name}\"")), "{told}");
        assert!(told.contains("<p>1,234 people are waiting.</p><button"), "{told}");
        let mut later = offer();
        let policy = QueuePolicy { paused: Some(true), ..QueuePolicy::default() };
        later.queue.policy = Some(QueuePolicy { opens_at: Some(timestamp(NOW + 65_000_000)), ..policy });
        let told = form(&ENGLISH, &later, NOW);
        let opens = "The line opens on Mar 17, 2030, 5:47 PM UTC.";
        for part in [opens, ">01:05</span>", "0 registered so far.", ENGLISH.register, ENGLISH.paused] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn only_names_that_were_made_up_are_guests() {
        assert!(is_guest(&guest()) && guest() != guest());
        for name in
            ["guest-", "guest-abcdefg", "guest-abcdefghk", "guest-abcdefgi", "guest-abcdefg#", "ann", ""]
        {
            assert!(!is_guest(name), "{name}");
        }
    }
}
