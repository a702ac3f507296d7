//! The manual for the night of an on-sale, as a page: what alerts lead to. It is the project's own text, made
//! into HTML once, and loads nothing but the sheets of the box office.

#![expect(clippy::wildcard_enum_match_arm, reason = "most of what a document has stays as it is")]

use std::sync::LazyLock;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// What is served below which address, and where in it other documents link to it.
const DOCUMENTS: [(&str, &str, &str); 2] = [
    ("/manual", "on-sale.md", include_str!("../../../../docs/on-sale.md")),
    ("/manual/draw", "draw.md", include_str!("../../../../docs/draw.md")),
];

/// The manual of the night, and how a draw is held and checked.
static PAGES: LazyLock<[String; 2]> = LazyLock::new(|| DOCUMENTS.map(|(_, _, text)| page(text)));

/// The page of the night, with these links to sheets in its head.
pub(super) fn night(sheets: &str) -> String {
    PAGES[0].replace("{sheets}", sheets)
}

/// The page about draws.
pub(super) fn draw(sheets: &str) -> String {
    PAGES[1].replace("{sheets}", sheets)
}

/// A document as a page.
fn page(text: &str) -> String {
    let events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    let title = heading(&events, 0);
    let mut body = String::new();
    html::push_html(&mut body, with_anchors(&events).into_iter());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         {{sheets}}\n</head>\n<body>\n<main id=\"main\" class=\"manual\">\n{body}</main>\n</body>\n</html>\n",
        super::escaped(&title)
    )
}

/// The words of the first heading from here on.
fn heading(events: &[Event<'_>], from: usize) -> String {
    let begun =
        events.iter().skip(from).skip_while(|event| !matches!(event, Event::Start(Tag::Heading { .. })));
    begun
        .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))))
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(&**text),
            _ => None,
        })
        .collect()
}

/// Gives each heading the anchor that is expected by links to it, and each kind of alert in a table that of
/// its name. A wide table moves by itself. What is linked to and not served here is named only.
fn with_anchors<'a>(events: &[Event<'a>]) -> Vec<Event<'a>> {
    let (mut out, mut links, mut in_cell) = (Vec::with_capacity(events.len()), Vec::new(), false);
    let mut tables = 0;
    for (at, event) in events.iter().enumerate() {
        let event = match event.clone() {
            Event::Start(Tag::Heading { level, classes, attrs, .. }) => {
                let id = Some(CowStr::from(anchor(&heading(events, at))));
                Event::Start(Tag::Heading { level, id, classes, attrs })
            }
            Event::Start(Tag::Table(columns)) => {
                tables += 1;
                let begin = "<div class=\"scrolled\" tabindex=\"0\" role=\"region\" aria-label=\"Table";
                out.push(Event::Html(format!("{begin} {tables}\">").into()));
                Event::Start(Tag::Table(columns))
            }
            Event::End(TagEnd::Table) => {
                out.push(Event::End(TagEnd::Table));
                Event::Html("</div>".into())
            }
            Event::Start(Tag::TableCell) => {
                in_cell = true;
                Event::Start(Tag::TableCell)
            }
            Event::Code(text) if in_cell && is_kind(&text) => {
                Event::InlineHtml(format!("<code id=\"{text}\">{text}</code>").into())
            }
            Event::End(TagEnd::TableCell) => {
                in_cell = false;
                Event::End(TagEnd::TableCell)
            }
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let served = served(&dest_url);
                links.push(served.is_some());
                let Some(to) = served else { continue };
                Event::Start(Tag::Link { link_type, dest_url: to.into(), title, id })
            }
            Event::End(TagEnd::Link) => {
                if links.pop() != Some(true) {
                    continue;
                }
                Event::End(TagEnd::Link)
            }
            other => other,
        };
        out.push(event);
    }
    out
}

/// Where a link of a document leads here.
fn served(link: &str) -> Option<String> {
    if link.starts_with('#') || link.starts_with("https://") {
        return Some(link.to_owned());
    }
    let (file, part) = link.split_once('#').map_or((link, None), |(file, part)| (file, Some(part)));
    let (address, ..) = DOCUMENTS.iter().find(|(_, name, _)| *name == file)?;
    Some(part.map_or_else(|| (*address).to_owned(), |part| format!("{address}#{part}")))
}

/// The anchor of a heading, as the places where such documents are usually read make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

/// Whether this is a kind of alert: words in small letters, with hyphens.
fn is_kind(text: &str) -> bool {
    text.contains('-') && !text.starts_with('-') && text.chars().all(|c| c == '-' || c.is_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_kinds_of_alerts_have_anchors_and_links_lead_somewhere() {
        let page = page(
            "# The *night* & more\n\n## What to do\n\nSee [draws](draw.md#the-beacon), [that](#what-to-do), \
             [code](../edge/x.rs) and <b>\n\n| kind | do |\n| --- | --- |\n| `a-batch-failed` | `--x-y` |\n",
        );
        for part in [
            "<title>The night &amp; more</title>",
            "<h1 id=\"the-night--more\">",
            "<h2 id=\"what-to-do\">",
            "<a href=\"/manual/draw#the-beacon\">draws</a>",
            "<a href=\"#what-to-do\">that</a>",
            ", code and",
            "<td><code id=\"a-batch-failed\">a-batch-failed</code></td><td><code>--x-y</code></td>",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }

    #[test]
    fn every_anchor_of_the_manual_is_there_once_and_every_link_leads_to_one() {
        let pages = [night("<link>"), draw("<link>")];
        for page in &pages {
            assert!(page.contains("<link>") && !page.contains("{sheets}"));
            for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let (at, part) = link.split_once('#').unwrap_or((link, ""));
                let target = match at {
                    "" => page,
                    "/manual" => &pages[0],
                    "/manual/draw" => &pages[1],
                    elsewhere => {
                        assert!(elsewhere.starts_with("https://"), "{elsewhere}");
                        continue;
                    }
                };
                let anchors = target.matches(&format!("id=\"{part}\"")).count();
                assert!(part.is_empty() || anchors == 1, "{link}: {anchors}");
            }
        }
        assert!(pages[0].contains("<h3 id=\"boxofficefailing\">"));
        assert!(pages[0].contains("<code id=\"a-checkout-is-parked\">"));
    }
}
