//! One page as it is sent: the document with what one request adds to it.

use std::time::Duration;

use axum::{
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use boxoffice_proto::queue::QueueMessage;
use serde_json::{Value, json};

use super::{
    PARTS, language,
    words::{ENGLISH, KOREAN, Words},
};
use crate::{
    app::Edge,
    http::json::{Instant, Token, TokenStatus},
};

/// After how many seconds a page without JavaScript loads itself again, at the least and at the most: as
/// often as its place may be polled, which is every ten minutes long before an opening.
const REFRESH: std::ops::RangeInclusive<i64> = 5..=600;

/// The document for one request.
pub(super) struct Page {
    document: &'static str,
    pub(super) words: &'static Words,
    claim: String,
    roles: String,
    title: String,
    menu: String,
    head: String,
    pub(super) main: String,
    footer: String,
    known: String,
    /// The time, in microseconds.
    now: i64,
}

impl Page {
    pub(super) fn new(edge: &Edge, headers: &HeaderMap) -> Self {
        let words = language(headers);
        let Words { skip, navigation, on_sale, mine, footer, .. } = words;
        // The modules put a button for the language beside the links, and change nothing else of it.
        let menu = format!(
            "<a class=\"jump\" href=\"#main\">{skip}</a><nav aria-label=\"{navigation}\">\
             <a class=\"brand\" href=\"/\">boxoffice</a><a href=\"/\">{on_sale}</a>\
             <a href=\"/me\">{mine}</a></nav>"
        );
        Self {
            document: &PARTS.on_sale,
            menu,
            footer: format!("<p>{footer}</p>"),
            ..Self::bare(edge, headers)
        }
    }

    /// A page of the box office.
    pub(super) fn of_operators(edge: &Edge, headers: &HeaderMap) -> Self {
        Self { document: &PARTS.box_office, ..Self::bare(edge, headers) }
    }

    fn bare(edge: &Edge, headers: &HeaderMap) -> Self {
        let words = language(headers);
        let attribute = |text: Option<&str>| escaped(text.unwrap_or_default());
        Self {
            document: "",
            words,
            claim: attribute(edge.doors.user_claim()),
            roles: attribute(edge.doors.roles_claim()),
            title: "boxoffice".to_owned(),
            menu: String::new(),
            head: String::new(),
            main: unscripted(words.modules),
            footer: String::new(),
            known: String::new(),
            now: edge.now(),
        }
    }

    /// Names the page.
    pub(super) fn entitle(&mut self, title: &str) {
        self.title = format!("{} · boxoffice", escaped(title));
    }

    /// Writes what is known into the document, for the modules.
    pub(super) fn know(&mut self, mut known: Value) {
        known["now"] = json!(Instant(self.now));
        self.write(&known.to_string());
    }

    /// Writes one member into the document, for the modules; its JSON is written already.
    pub(super) fn know_written(&mut self, member: &str, json: &str) {
        let now = json!(Instant(self.now));
        self.write(&format!("{{\"{member}\":{json},\"now\":{now}}}"));
    }

    fn write(&mut self, known: &str) {
        // Within a script nothing but the end of it is markup.
        let text = known.replace('<', "\\u003c");
        self.known = format!("<script type=\"application/json\" id=\"known\">{text}</script>");
    }

    /// Adds what is said of a place, until the modules say it better. Of all that is in it, others than we
    /// have written only the seller's message, which is text.
    pub(super) fn tell(&mut self, token: &Token) {
        let Words { position, behind, wait, .. } = self.words;
        if token.poll_after_seconds > 0 {
            self.renew(token.poll_after_seconds);
        }
        let figures = if token.status == TokenStatus::Waiting {
            let minutes = |seconds: i64| (seconds.max(0) + 59) / 60;
            let range =
                (minutes(token.estimated_wait_seconds_low), minutes(token.estimated_wait_seconds_high));
            format!(
                "<p class=\"place\">{}</p><p>{position}</p><p>{behind}: {}</p><p>{wait}: {} – {}</p>",
                token.position, token.waiting_behind, range.0, range.1
            )
        } else {
            String::new()
        };
        let said = self.words.status(token.status);
        let message = token.message.as_ref().map(|notice| self.message(notice.message())).unwrap_or_default();
        self.main = format!("<div class=\"card\"><h1>{said}</h1>{message}{figures}</div>");
        self.know(json!({ "place": token }));
    }

    /// Says that the place cannot be read at this moment, and looks again.
    pub(super) fn tell_later(&mut self, after: Option<Duration>) {
        let seconds = after.unwrap_or_default().as_secs().try_into().unwrap_or(i64::MAX);
        self.renew(seconds);
        self.main = unscripted(self.words.later);
    }

    /// Loads the page again after so many seconds where no module does better.
    fn renew(&mut self, seconds: i64) {
        let seconds = seconds.clamp(*REFRESH.start(), *REFRESH.end());
        self.head = format!("<noscript><meta http-equiv=\"refresh\" content=\"{seconds}\"></noscript>");
    }

    /// What the seller says, in the language of the page if it is said in that, else in the other one.
    fn message(&self, QueueMessage { ko, en }: &QueueMessage) -> String {
        let texts =
            [(KOREAN.language, ko), (ENGLISH.language, en)].into_iter().filter(|(_, text)| !text.is_empty());
        let best = texts.max_by_key(|(language, _)| *language == self.words.language);
        best.map_or_else(String::new, |(language, text)| {
            format!("<p class=\"notice\" lang=\"{language}\">{}</p>", escaped(text))
        })
    }

    pub(super) fn render(self) -> Response {
        let filled = filled(self.document, |name| {
            Some(match name {
                "language" => self.words.language,
                "claim" => &self.claim,
                "roles" => &self.roles,
                "title" => &self.title,
                "menu" => &self.menu,
                "head" => &self.head,
                "main" => &self.main,
                "footer" => &self.footer,
                "known" => &self.known,
                _ => return None,
            })
        });
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache"),
            (header::VARY, "accept, accept-language"),
        ];
        (headers, filled).into_response()
    }
}

/// What a page says without JavaScript that says nothing else.
pub(super) fn unscripted(text: &str) -> String {
    format!("<noscript><h1>boxoffice</h1><p>{text}</p></noscript>")
}

/// A paragraph of this class, which is left out without a text.
pub(super) fn paragraph(class: &str, text: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    if text.is_empty() { String::new() } else { format!("<p{class}>{}</p>", escaped(text)) }
}

/// A document with what its names in braces stand for. It is read once: braces in what is filled in, such as
/// those of a show's title, stay what they are, and so do those of the sheet.
fn filled<'a>(document: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(document.len() * 2);
    let mut rest = document;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let named = after.split_once('}').and_then(|(name, behind)| Some((value(name)?, behind)));
        match named {
            Some((text, behind)) => {
                out.push_str(text);
                rest = behind;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// A text as it stands in a document or in an attribute.
pub(super) fn escaped(text: &str) -> String {
    let name = |character| match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        _ => None,
    };
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match name(character) {
            Some(name) => out.push_str(name),
            None => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_read_again() {
        let value = |name: &str| match name {
            "title" => Some("{main} {"),
            "main" => Some("the <main>"),
            _ => None,
        };
        let document = "a{color: red} {title}|{main}|{other}{";
        assert_eq!(filled(document, value), "a{color: red} {main} {|the <main>|{other}{");
    }
}
